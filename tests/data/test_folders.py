"""Folders that a user names: EMNIST's names and orientation, and pictures sorted by class."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnmnist.data import folders
from cnnmnist.data.folders import STEMS
from cnnmnist.data.idx import write_idx
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import CnnMnistError, DataError, PictureError
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


def pictures(folder: Path, per_class: int = 6, size: tuple[int, int] = (20, 20), suffix: str = "png") -> Path:
    """Grey pictures whose brightness tells class and number; the same number is in both splits."""
    for split in ("train", "test"):
        for level, name in ((50, "cat"), (150, "dog")):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(per_class):
                Image.new("L", size, level + number).save(folder / split / name / f"{number}.{suffix}")
    return folder


def test_emnist_is_read_upright_with_its_characters_as_names(tmp_path: Path) -> None:
    images = emnist(tmp_path / "emnist")
    (tmp_path / "emnist" / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    dataset = load_dataset(data_dir=tmp_path / "emnist")
    assert dataset.name == "emnist-letters"
    assert dataset.class_names == ("0", "A", "B", "C")
    assert (np.concatenate([dataset.validation.images, dataset.train.images]) == images).all()


def test_one_of_several_data_sets_is_chosen_by_name(tmp_path: Path) -> None:
    emnist(tmp_path / "emnist")
    emnist(tmp_path / "emnist", "emnist-digits", (0, 1, 2))
    with pytest.raises(DataError, match=r"several data sets .*choose one of emnist-digits, emnist-letters with"):
        load_dataset(data_dir=tmp_path / "emnist")
    dataset = load_dataset("emnist-digits", tmp_path / "emnist")
    assert (dataset.name, dataset.class_names) == ("emnist-digits", ("0", "1", "2"))


@settings(max_examples=50, deadline=None)
@given(content=st.one_of(st.binary(max_size=40), st.text("0123456789 -\n", max_size=40).map(str.encode)))
def test_any_mapping_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "mapping"
    emnist(folder)
    (folder / "emnist-letters-mapping.txt").write_bytes(content)
    try:
        assert len(load_dataset(data_dir=folder).class_names) == 4
    except CnnMnistError as error:
        assert "emnist-letters-mapping.txt is no mapping" in str(error)


def test_pictures_become_arrays_with_the_folders_as_class_names(tmp_path: Path) -> None:
    dataset = load_dataset(data_dir=pictures(tmp_path / "pets"))
    assert (dataset.name, dataset.class_names, dataset.image_shape) == ("pets", ("cat", "dog"), (20, 20))
    assert dataset.from_pictures
    images = np.concatenate([dataset.validation.images, dataset.train.images])
    labels = np.concatenate([dataset.validation.labels, dataset.train.labels])
    assert sorted(images[:, 0, 0].tolist()) == [*range(50, 56), *range(150, 156)]
    assert ((images[:, 0, 0] >= 150) == labels).all()
    assert (np.diff(labels.astype(int)) != 0).sum() > 1, "the classes are mixed"
    assert len(dataset.test) == 12


def test_pictures_of_several_sizes_are_fitted_into_28x28(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets")
    wide = np.full((100, 300, 3), 255, np.uint8)
    wide[40:60, 100:200] = (0, 0, 0)
    Image.fromarray(wide).save(folder / "test" / "dog" / "wide.jpg")
    dataset = load_dataset(data_dir=folder)
    assert dataset.image_shape == (28, 28)
    (image,) = (each for each in dataset.test.images if each.min() < 20)
    assert (image[0] > 240).all(), "the ground goes on above and below"
    rows, columns = np.nonzero(image < 128)
    assert np.ptp(columns) > 3 * np.ptp(rows), "the aspect is kept"


def test_pictures_are_prepared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path / "pets")
    first = load_dataset(data_dir=folder)
    prepared: list[int] = []
    prepare = folders._prepare
    monkeypatch.setattr(folders, "_prepare", lambda paths: prepared.append(len(paths)) or prepare(paths))
    assert load_dataset(data_dir=folder).digest == first.digest
    assert prepared == []
    Image.new("L", (20, 20), 99).save(folder / "train" / "cat" / "0.png")
    assert load_dataset(data_dir=folder).digest != first.digest
    assert prepared == [24]


@pytest.mark.parametrize("spoil", ["damaged", "not writable"])
def test_without_a_usable_cache_they_are_prepared_anew(tmp_path: Path, cache: Path, spoil: str) -> None:
    folder = pictures(tmp_path / "pets")
    if spoil == "not writable":
        cache.write_text("a file")
    digest = load_dataset(data_dir=folder).digest
    for path in cache.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    assert load_dataset(data_dir=folder).digest == digest


def test_what_is_no_picture_is_passed_over_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets")
    (folder / "train" / "cat" / "notes.txt").write_text("no picture")
    (folder / "train" / ".cache").mkdir()
    assert len(load_dataset(data_dir=folder).test) == 12
    (folder / "train" / "cat" / "bad.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"bad\.png is not a PNG"):
        load_dataset(data_dir=folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "test").rename(folder / "other"), r"Cannot read .*test: No such file"),
        (lambda folder: (folder / "test" / "cow").mkdir(), r"test/cow is of a class that .*train does not have"),
        (lambda folder: [p.unlink() for p in (folder / "test").rglob("*.png")], r"There are 0 pictures"),
        (lambda folder: (folder / "train" / "cat").rename(folder / "cat"), r"train has 1 folders"),
        (lambda folder: (folder / "train" / "cat").rename(folder / "train" / "c\x1bt"), r"printable name"),
    ],
)
def test_a_folder_that_is_sorted_otherwise_is_one_sentence(tmp_path: Path, change, reason: str) -> None:
    folder = pictures(tmp_path / "pets")
    change(folder)
    with pytest.raises(DataError, match=reason):
        load_dataset(data_dir=folder)


@pytest.mark.parametrize(
    "code", [7, 10, 27, 127, 155, 173, 0x200F, 0x2028, 0x2029, 0x202E, 0xD800, 0xE000, 0x110000, -1]
)
def test_a_class_has_a_name_that_can_be_shown(tmp_path: Path, code: int) -> None:
    emnist(tmp_path)
    (tmp_path / "emnist-letters-mapping.txt").write_text(f"1 65\n2 {code}\n")
    with pytest.raises(DataError, match=r"emnist-letters-mapping\.txt is no mapping of labels to character codes"):
        load_dataset(data_dir=tmp_path)


@pytest.mark.parametrize("kind", SPECIAL_FILES)
def test_a_mapping_that_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    emnist(tmp_path)
    (tmp_path / "emnist-letters-mapping.txt").unlink(missing_ok=True)
    make_special(tmp_path / "emnist-letters-mapping.txt", kind)
    with limited(seconds=5), pytest.raises(DataError, match="is no mapping"):
        load_dataset(data_dir=tmp_path)


@pytest.mark.parametrize("kind", SPECIAL_FILES)
def test_a_picture_that_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    folder = pictures(tmp_path / "pets")
    make_special(folder / "train" / "cat" / "z.png", kind)
    with limited(seconds=5), pytest.raises(PictureError, match=r"Cannot read .*z\.png"):
        load_dataset(data_dir=folder)
