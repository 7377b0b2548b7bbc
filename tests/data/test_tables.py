"""CSV files as Kaggle has them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import CnnMnistError, DataError
from support.datasets import small_arrays, write_folder
from support.limits import limited, make_sparse

SIDE = 9


def write_table(path: Path, images: np.ndarray, labels: np.ndarray | None, header: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = images.reshape(len(images), -1)
    rows = pixels if labels is None else np.column_stack([labels, pixels])
    names = ["label"][: labels is not None] + [f"pixel{number}" for number in range(pixels.shape[1])]
    lines = [",".join(names)] if header else []
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in rows.tolist())]) + "\n")
    return path.parent


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("prefix", ["", "fashion-mnist_", "mnist-"])
def test_tables_of_both_splits_are_read(tmp_path: Path, header: bool, prefix: str) -> None:
    train, train_labels, test, test_labels = small_arrays()
    write_table(tmp_path / "mine" / f"{prefix}train.csv", train, train_labels, header)
    write_table(tmp_path / "mine" / f"{prefix}test.csv", test, test_labels, header)
    dataset = load_dataset(data_dir=tmp_path / "mine")
    assert (dataset.test.images == test).all()
    assert dataset.test.labels.tolist() == test_labels.tolist()
    assert (np.concatenate([dataset.validation.images, dataset.train.images]) == train).all()
    assert dataset.preparation == "whole"
    assert dataset.notes == ()


@pytest.mark.parametrize("competition", [True, False], ids=["test.csv without labels", "train.csv alone"])
def test_images_without_a_test_split_are_divided_by_their_content(tmp_path: Path, competition: bool) -> None:
    images, labels, unlabelled, _ = small_arrays(classes=4, train=140)
    folder = write_table(tmp_path / "mine" / "train.csv", images, labels)
    if competition:
        write_table(folder / "test.csv", unlabelled, None)
        (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    dataset = load_dataset(data_dir=folder)
    assert np.bincount(dataset.test.labels).tolist() == [5, 5, 5, 5]
    assert "one image in 7" in dataset.notes[0]
    order = np.random.default_rng(3).permutation(len(images))
    write_table(folder / "train.csv", images[order], labels[order])
    again = load_dataset(data_dir=folder)
    assert {each.tobytes() for each in again.test.images} == {each.tobytes() for each in dataset.test.images}


def test_the_column_of_the_labels_is_found_by_its_name(tmp_path: Path) -> None:
    images, labels, *_ = small_arrays()
    header = ",".join([*(f"p{number}" for number in range(SIDE * SIDE)), '"Label"'])
    rows = np.column_stack([images.reshape(len(images), -1), labels])
    (tmp_path / "mine").mkdir()
    for part in ("train", "test"):
        lines = [header, *(",".join(map(str, row)) for row in rows.tolist())]
        (tmp_path / "mine" / f"{part}.csv").write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    dataset = load_dataset(data_dir=tmp_path / "mine")
    assert (dataset.test.images == images).all()
    assert dataset.test.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("name", [None, "mnist"])
def test_labels_in_the_last_column_of_a_table_without_names_are_not_taken_for_pixels(
    tmp_path: Path, name: str | None
) -> None:
    images, labels, *_ = small_arrays()
    images[:, 0, 0] = 0  # the background
    rows = np.column_stack([images.reshape(len(images), -1), labels])
    for part in ("train", "test"):
        np.savetxt(tmp_path / f"mnist_{part}.csv", rows, "%d", ",")
    with pytest.raises(DataError, match=r"every image has the label 0: .*labels in the first one"):
        load_dataset(name, tmp_path)


def test_tables_that_the_user_calls_mnist_have_its_classes_and_preparation(tmp_path: Path) -> None:
    images, labels, *_ = small_arrays(classes=4)
    dataset = load_dataset("mnist", write_table(tmp_path / "mine" / "train.csv", images, labels))
    assert (len(dataset.class_names), dataset.preparation) == (10, "digits")


def test_emnists_tables_are_turned_upright(tmp_path: Path) -> None:
    images, labels, *_ = small_arrays(classes=3)
    for part in ("train", "test"):
        path = tmp_path / "mine" / f"emnist-letters-{part}.csv"
        write_table(path, images.transpose(0, 2, 1), labels + 1, header=False)
    dataset = load_dataset(data_dir=tmp_path / "mine")
    assert (dataset.test.images == images).all()
    assert dataset.class_names == ("A", "B", "C")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no column named label"),
        (",".join(map(str, range(65))) + "\n1" + ",0" * 64, "no column named label"),
        ("label," + ",".join(["p"] * 64), "a line of 65 numbers for each image"),
        ("label" + ",p" * 64 + "\n" + ",".join(["0"] * 64), "a line of 65 numbers for each image"),
        ("label,a,b\n1,2,3\n", "has 3 columns"),
        (",label" + ",p" * 64 + "\n300,1" + ",0" * 64, "has 66 columns"),
        ("label" + ",p" * 64 + "\n#1" + ",0" * 64 + "\n2" + ",0" * 64, "could not convert string '#1'"),
        ("pixel0,pixel1\n1,2\n", "no column named label"),
        ("label," + ",".join(["p"] * 64) + "\n1," + ",".join(["256"] * 64), "no table of labels and pixels"),
        ("label," + ",".join(["p"] * 64) + "\n1,2,3\n", "."),
        ("label," + ",".join(["p"] * 64) + "\nzero," + ",".join(["0"] * 64), "zero"),
        ("\0\xff", "."),
    ],
)
def test_what_is_no_table_of_images_is_one_sentence(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.csv").write_text(content, "latin-1")
    with pytest.raises(DataError, match=reason) as caught:
        load_dataset(data_dir=tmp_path / "mine")
    assert "train.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(content=st.text('0123456789,label\n" .-', max_size=200).map(str.encode) | st.binary(max_size=50))
@settings(max_examples=100, deadline=None)
def test_any_table_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "table"
    folder.mkdir(exist_ok=True)
    header = b"label," + b",".join([b"p"] * 64) + b"\n"
    for each in (content, header + content):
        (folder / "train.csv").write_bytes(each)
        try:
            load_dataset(data_dir=folder)
        except CnnMnistError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda images, labels: (images, labels + 95),
            "mnist_test.csv holds the label 100 for image 5: labels are 0",
        ),
        (lambda images, labels: (images[:, 1:, 1:], labels), "mnist_test.csv holds images of (8, 8) pixels"),
    ],
)
def test_tables_that_do_not_fit_are_named(tmp_path: Path, spoil, reason: str) -> None:
    images, labels, *test = small_arrays()
    write_table(tmp_path / "mnist_train.csv", images, labels)
    write_table(tmp_path / "mnist_test.csv", *spoil(*test))
    with pytest.raises(DataError, match=re.escape(reason)):
        load_dataset(data_dir=tmp_path)


def test_one_of_several_tables_is_chosen_by_name(tmp_path: Path) -> None:
    images, labels, *_ = small_arrays()
    for prefix in ("a", "b"):
        write_table(tmp_path / "mine" / f"{prefix}_train.csv", images, labels)
    with pytest.raises(DataError, match="choose one of a, b with --dataset"):
        load_dataset(data_dir=tmp_path / "mine")
    assert load_dataset("b", tmp_path / "mine").name == "b"


def test_idx_files_are_taken_before_tables(tmp_path: Path) -> None:
    arrays = small_arrays()
    write_table(write_folder(tmp_path / "mine", arrays) / "train.csv", arrays[2], arrays[3])
    assert (load_dataset(data_dir=tmp_path / "mine").test.images == arrays[2]).all()
    assert len(load_dataset(data_dir=tmp_path / "mine").test) == 20


def test_a_line_or_a_table_without_end_is_not_read(tmp_path: Path) -> None:
    for size in (2_000_000_000, 5_000_000_000):
        make_sparse(tmp_path / "train.csv", size, b"0" + b",0" * 64 + b"\n")
        with limited(), pytest.raises(DataError, match="is no table"):
            load_dataset(data_dir=tmp_path)
