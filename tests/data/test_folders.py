"""Folders that a user names: files of several spellings, EMNIST's names and orientation, and wrong folders."""

import struct
from pathlib import Path

import numpy as np
import pytest
from build_mnist5k import write_idx

from cnnmnist.data.folders import STEMS
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import DataError
from support.datasets import small_arrays, write_folder, write_pictures
from support.limits import SPECIAL_FILES, limited, make_special


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNMNIST_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def emnist(folder: Path, prefix: str = "emnist-letters", labels: tuple[int, ...] = (1, 2, 3)) -> np.ndarray:
    """Write such a data set and return its training images as they are to be seen."""
    folder.mkdir(exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (6, 10, 10), np.uint8)
    values = np.array(labels * 2, np.uint8)
    for stem in STEMS:
        array = images.transpose(0, 2, 1).copy() if "images" in stem else values
        write_idx(folder / f"{prefix}-{stem.replace('t10k', 'test')}.gz", array)
    return images


def test_emnist_is_read_upright_with_its_characters_as_names(tmp_path: Path) -> None:
    images = emnist(tmp_path / "emnist")
    dataset = load_dataset(data_dir=tmp_path / "emnist")
    assert dataset.name == "emnist-letters"
    assert dataset.class_names == ("A", "B", "C"), "there is no class 0, because the labels begin at 1"
    assert set(dataset.test.labels) == {0, 1, 2}
    assert (np.concatenate([dataset.validation.images, dataset.train.images]) == images).all()


def test_one_of_several_data_sets_is_chosen_by_name(tmp_path: Path) -> None:
    emnist(tmp_path / "emnist")
    emnist(tmp_path / "emnist", "emnist-digits", (0, 1, 2))
    with pytest.raises(DataError, match=r"several data sets .*choose one of emnist-digits, emnist-letters with"):
        load_dataset(data_dir=tmp_path / "emnist")
    dataset = load_dataset("emnist-digits", tmp_path / "emnist")
    assert (dataset.name, dataset.class_names) == ("emnist-digits", ("0", "1", "2"))


@pytest.mark.parametrize("name", ["emnist-digits", "mnist"])
def test_a_data_set_that_is_not_there_is_not_replaced_by_another(tmp_path: Path, name: str) -> None:
    emnist(tmp_path / "emnist")
    with pytest.raises(DataError, match=rf"emnist holds emnist-letters, not {name}: leave --dataset out"):
        load_dataset(name, tmp_path / "emnist")


def test_all_letters_of_emnist_have_their_names(tmp_path: Path) -> None:
    emnist(tmp_path / "emnist", labels=(1, 3, 26))
    dataset = load_dataset(data_dir=tmp_path / "emnist")
    assert "".join(dataset.class_names) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert set(dataset.test.labels) == {0, 2, 25}
    assert dataset.preparation == "digits"


@pytest.mark.parametrize("lowest", [0, 1, 5])
def test_classes_are_counted_from_the_lowest_label(tmp_path: Path, lowest: int) -> None:
    arrays = small_arrays(classes=4)
    folder = write_folder(tmp_path / "mine", [each + lowest if each.ndim == 1 else each for each in arrays])
    dataset = load_dataset(data_dir=folder)
    assert dataset.class_names == tuple(str(lowest + number) for number in range(4))
    assert dataset.test.labels.tolist() == arrays[3].tolist()


def test_qmnist_is_read_with_the_first_column_of_its_labels(tmp_path: Path) -> None:
    folder, arrays = tmp_path / "raw", small_arrays()
    folder.mkdir()
    for part, (images, labels) in {"train": arrays[:2], "test": arrays[2:]}.items():
        write_idx(folder / f"qmnist-{part}-images-idx3-ubyte.gz", images)
        columns = np.column_stack([labels, *[np.full(len(labels), 70_000)] * 7]).astype(">i4")
        header = b"\0\0\x0c\x02" + struct.pack(">2I", *columns.shape)
        (folder / f"qmnist-{part}-labels-idx2-int").write_bytes(header + columns.tobytes())
    dataset = load_dataset(data_dir=folder)
    assert (dataset.name, dataset.preparation) == ("qmnist", "digits")
    assert dataset.test.labels.tolist() == arrays[3].tolist()
    assert (dataset.test.images == arrays[2]).all()


@pytest.mark.parametrize("files", [True, False], ids=["files and folders", "folders alone"])
def test_kaggles_folders_that_are_called_like_the_files_are_no_obstacle(tmp_path: Path, files: bool) -> None:
    arrays = small_arrays()
    folder = tmp_path / "mine"
    if files:
        write_folder(folder, arrays, lambda stem: stem.replace("-idx", ".idx"))
    for stem, array in zip(STEMS, arrays, strict=True):
        (folder / stem).mkdir(parents=True)
        write_idx(folder / stem / stem, array)
    assert (load_dataset(data_dir=folder).test.images == arrays[2]).all()


@pytest.mark.parametrize("inside", ["MNIST/raw", "raw", "a/b/c", "__MACOSX/../MNIST/raw"])
def test_a_folder_above_the_data_set_is_told_which_was_meant(tmp_path: Path, inside: str) -> None:
    (tmp_path / "data" / "__MACOSX").mkdir(parents=True)
    folder = write_folder(tmp_path / "data" / inside, small_arrays())
    with pytest.raises(DataError) as caught:
        load_dataset(data_dir=tmp_path / "data")
    assert f"did you mean {folder.resolve()}?" in str(caught.value)


def test_a_folder_above_pictures_or_tables_is_told_so_too(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data" / "pets" / "train", {"cat": 3, "dog": 3})
    with pytest.raises(DataError, match=r"did you mean .*data/pets"):
        load_dataset(data_dir=tmp_path / "data")
    write_pictures(tmp_path / "zoo" / "pets", {"cat": 3, "dog": 3})
    with pytest.raises(DataError, match=r"did you mean .*zoo/pets\?"):
        load_dataset(data_dir=tmp_path / "zoo")
    write_pictures(tmp_path / "archive" / "a" / "b", {"cat": 3, "dog": 3})
    with pytest.raises(DataError, match=r"did you mean .*archive/a/b\?"):
        load_dataset(data_dir=tmp_path / "archive")
    (tmp_path / "other" / "kaggle").mkdir(parents=True)
    (tmp_path / "other" / "kaggle" / "train.csv").write_text("label\n")
    with pytest.raises(DataError, match=r"did you mean .*other/kaggle"):
        load_dataset(data_dir=tmp_path / "other")


@pytest.mark.parametrize("name", ["mnist", "mnist5k", "fashion-mnist", "kmnist", "qmnist", "emnist-letters"])
def test_the_name_of_a_folder_makes_no_data_set_known(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(data_dir=write_folder(tmp_path / name, small_arrays(classes=14)))
    assert dataset.class_names == tuple(map(str, range(14)))
    assert dataset.preparation == "whole"
    assert dataset.name not in DATASETS
    classes = {"zero": 4, "one": 4, "two": 4}
    write_pictures(tmp_path / "pictures" / name / "train", classes)
    write_pictures(tmp_path / "pictures" / name / "test", classes)
    for argument in (None, name):
        dataset = load_dataset(argument, tmp_path / "pictures" / name)
        assert dataset.class_names == ("one", "two", "zero")
        assert dataset.preparation == "whole"
        assert dataset.name not in DATASETS


@pytest.mark.parametrize("kind", SPECIAL_FILES)
@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_a_table_that_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "train.csv").write_text("0" + ",0" * 64 + "\n")
    (tmp_path / name).unlink(missing_ok=True)
    make_special(tmp_path / name, kind)
    with limited(seconds=5), pytest.raises(DataError, match="is no table"):
        load_dataset(data_dir=tmp_path)
