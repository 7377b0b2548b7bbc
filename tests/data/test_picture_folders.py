"""Pictures sorted by class: layouts, names of classes, what is passed over, and the cache."""

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnmnist.data import picture_folders
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.picture_folders import NetworkInput
from cnnmnist.errors import DataError, PictureError
from support.datasets import write_pictures
from support.limits import SPECIAL_FILES, limited, make_special
from support.pictures import digit
from support.systems import needs_unix


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNMNIST_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pictures(folder: Path, per_class: int = 6, size: tuple[int, int] = (20, 20), suffix: str = "png") -> Path:
    """Grey pictures whose brightness tells class and number; the same number is in both splits."""
    for split in ("train", "test"):
        for level, name in ((50, "cat"), (150, "dog")):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(per_class):
                Image.new("L", size, level + number).save(folder / split / name / f"{number}.{suffix}")
    return folder


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
    prepare = picture_folders._prepare
    monkeypatch.setattr(
        picture_folders, "_prepare", lambda *given: prepared.append(len(given[1])) or prepare(*given)
    )
    assert load_dataset(data_dir=folder).digest == first.digest
    assert prepared == []
    Image.new("L", (20, 20), 99).save(folder / "train" / "cat" / "0.png")
    assert load_dataset(data_dir=folder).digest != first.digest
    assert prepared == [24]


@needs_unix  # Windows tells no time of a change
@pytest.mark.parametrize("change", ["swapped", "replaced"])
def test_other_pictures_of_the_same_names_sizes_and_times_are_prepared_anew(tmp_path: Path, change: str) -> None:
    """As in an archive that a program wrote: its files have one time, and bitmaps have one size."""
    folder = pictures(tmp_path / "pets", suffix="bmp")
    for path in folder.rglob("*.bmp"):
        os.utime(path, (0, 0))
    before = load_dataset(data_dir=folder)
    cat, dog = (folder / "test" / name / "0.bmp" for name in ("cat", "dog"))
    if change == "swapped":
        cat.rename(tmp_path / "cat")
        dog.rename(cat)
        (tmp_path / "cat").rename(dog)
    else:
        cat.write_bytes(dog.read_bytes())
        os.utime(cat, (0, 0))
    assert load_dataset(data_dir=folder).digest != before.digest


@pytest.mark.parametrize("spoil", ["damaged", "not writable"])
def test_without_a_usable_cache_they_are_prepared_anew(tmp_path: Path, cache: Path, spoil: str) -> None:
    folder = pictures(tmp_path / "pets")
    if spoil == "not writable":
        cache.write_text("a file")
    digest = load_dataset(data_dir=folder).digest
    for path in cache.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    assert load_dataset(data_dir=folder).digest == digest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda folder: (folder / "test").rename(folder / "other"),
            r"pets has no test split with classes: name .*pets/train to have it divided",
        ),
        (
            lambda folder: [shutil.rmtree(folder / "test" / name) for name in ("cat", "dog")],  # as Kaggle's
            r"pets has no test split with classes",
        ),
        (
            lambda folder: (folder / "test" / "cow").mkdir(),
            r"test/cow is of a class that the training split does not have",
        ),
        (
            lambda folder: (folder / "train" / "cat").rename(folder / "cat"),
            r"train must have 2 to 100 folders, .*has 1",
        ),
    ],
)
def test_a_folder_that_is_sorted_otherwise_is_one_sentence(tmp_path: Path, change, reason: str) -> None:
    folder = pictures(tmp_path / "pets")
    change(folder)
    with pytest.raises(DataError, match=reason):
        load_dataset(data_dir=folder)


# Layouts


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("training", "testing"),
        ("Train", "Test"),
        ("train", "val"),
        ("train", "validation"),
        ("training_set", "test_set"),
        ("trainingSet", "testSet"),
        ("mnist_train", "mnist_test"),
        ("train_1", "test_1"),
        ("train-images", "valid-images"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/train", "test"),
    ],
)
def test_the_splits_have_any_of_their_usual_names(tmp_path: Path, train: str, test: str) -> None:
    write_pictures(tmp_path / "pets" / train, {"cat": 24, "dog": 24})
    write_pictures(tmp_path / "pets" / test, {"cat": 3, "dog": 2}, first=50)
    dataset = load_dataset(data_dir=tmp_path / "pets")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (44, 4, 5)
    assert sorted(dataset.test.labels.tolist()) == [0, 0, 0, 1, 1]
    assert dataset.notes == ()


@pytest.mark.parametrize("names", [("train", "training"), ("test_train", "train")])
def test_two_folders_for_one_split_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for number, name in enumerate((*names, "test")):
        write_pictures(tmp_path / "pets" / name, {"cat": 3, "dog": 3}, first=10 * number)
    with pytest.raises(DataError, match=rf"several folders for the train split: {', '.join(sorted(names))};"):
        load_dataset(data_dir=tmp_path / "pets")


@pytest.mark.parametrize("expected", [None, NetworkInput("whole", (20, 20), only_test=True)])
def test_folders_beside_the_splits_are_named(tmp_path: Path, expected: NetworkInput | None) -> None:
    folder = pictures(tmp_path / "pets")
    for name in ("masks", "extra/cat"):
        write_pictures(folder, {name: 2})
    (folder / "README.md").write_text("no picture")
    (note,) = load_dataset(data_dir=folder, expected=expected).notes
    assert note == f"{folder} has folders that are no splits and were passed over: extra, masks."


@pytest.mark.parametrize("names", [("train", "test", "masks"), ("train/train", "test1/test1"), ("Train", "val")])
def test_folders_of_unsorted_pictures_are_not_taken_for_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_pictures(tmp_path / "flat", dict.fromkeys(names, 3))
    with pytest.raises(DataError, match=f"{names[0]} must have 2 to 100 folders, one for each class, but has 0"):
        load_dataset(data_dir=tmp_path / "flat")


def test_it_is_said_where_the_classes_may_be_one_folder_deeper(tmp_path: Path) -> None:
    for number, writer in enumerate(("anna", "ben")):
        write_pictures(tmp_path / "own" / writer, {"0": 7, "1": 7}, first=10 * number)
    dataset = load_dataset(data_dir=tmp_path / "own")
    assert dataset.class_names == ("anna", "ben")
    assert dataset.notes[1].endswith("own, and not those in each of them: 0, 1.")


def test_a_validation_split_beside_a_test_split_is_the_validation_split(tmp_path: Path) -> None:
    for split, first in (("train", 0), ("val", 40), ("test", 60)):
        write_pictures(tmp_path / "pets" / split, {"cat": 4 + first // 20, "dog": 4}, first=first)
    dataset = load_dataset(data_dir=tmp_path / "pets")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (8, 10, 11)
    marks = [np.flatnonzero(image == 255)[0] for image in dataset.validation.images]
    assert {mark // 20 for mark in marks} == {9}, "the pictures from number 40 on have their dot in row 9"


def test_one_folder_for_each_class_is_divided_by_the_content(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets", {"cat": 70, "dog": 14, "emu": 2})
    dataset = load_dataset(data_dir=folder)
    assert np.bincount(dataset.test.labels).tolist() == [10, 2, 1]
    assert len(dataset.train) + len(dataset.validation) == 73
    assert len(dataset.notes) == 1
    assert "one image in 7, chosen by its content, is the test split" in dataset.notes[0]
    in_test = {image.tobytes() for image in dataset.test.images}
    for path in folder.rglob("*.png"):  # other names, the same content
        path.rename(path.with_name(f"x{path.name}"))
    again = load_dataset(data_dir=folder)
    assert {image.tobytes() for image in again.test.images} == in_test


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=4), copies=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_equal_images_are_never_in_both_splits(counts: list[int], copies: int) -> None:
    from cnnmnist.data.layouts import choose_test

    labels = np.repeat(np.arange(len(counts)), counts).repeat(copies).astype(np.uint8)
    numbers = np.arange(sum(counts)).repeat(copies)
    images = numbers.astype(">u2").view(np.uint8).reshape(-1, 1, 2)
    chosen = choose_test(images, labels)
    assert not set(numbers[chosen]) & set(numbers[~chosen])
    for number, count in enumerate(counts):
        assert (chosen[labels == number].sum() > 0) == (count > 1), "a class is in both splits if it can be"
        assert not chosen[labels == number].all()


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "vehicles", {"car": 5, "steam train": 5, "train": 5})
    assert load_dataset(data_dir=folder).class_names == ("car", "steam train", "train")


def test_what_an_archive_of_macos_adds_is_ignored(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets", {"cat": 5, "dog": 5, "__MACOSX": 1, ".cache": 1})
    (folder / "__MACOSX" / "cat").mkdir()
    (folder / "cat" / "__MACOSX").mkdir()
    (folder / "cat" / "__MACOSX" / "0.png").write_bytes(b"damaged")
    (folder / "cat" / "._0.png").write_bytes(b"damaged")
    dataset = load_dataset(data_dir=folder)
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.notes) == 1


def test_a_class_name_with_an_accent_may_be_written_in_two_ways(tmp_path: Path) -> None:
    """As macOS writes it, and as other systems do."""
    names = {form: unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")}
    for split, form in (("train", "NFD"), ("test", "NFC")):
        write_pictures(tmp_path / "mine" / split, {names[form]: 3, "tea": 3})
    dataset = load_dataset(data_dir=tmp_path / "mine")
    assert dataset.class_names == (names["NFC"], "tea")
    assert np.bincount(dataset.test.labels).tolist() == [3, 3]


def test_numbered_classes_are_sorted_as_numbers(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "mine", {str(number): 3 for number in (11, 2, 0, 10, 1)} | {"x": 3})
    assert load_dataset(data_dir=folder).class_names == ("0", "1", "2", "10", "11", "x")


# Nothing vanishes


@pytest.mark.parametrize(
    "suffix", ["png", "jfif", "jpg", "JPEG", "jpe", "pgm", "ppm", "bmp", "tif", "webp", "gif"]
)
def test_every_format_that_is_read_is_found_by_its_suffix(tmp_path: Path, suffix: str) -> None:
    for split in ("train", "test"):
        write_pictures(tmp_path / "pets" / split, {"cat": 3, "dog": 3})
        for path in [*(tmp_path / "pets" / split / "dog").iterdir()]:
            with Image.open(path) as picture:
                format_name = {"jfif": "JPEG", "jpe": "JPEG"}.get(suffix)
                picture.convert("L").save(path.with_suffix(f".{suffix}"), format=format_name)
            if suffix != "png":
                path.unlink()
    dataset = load_dataset(data_dir=tmp_path / "pets")
    assert np.bincount(dataset.test.labels).tolist() == [3, 3]
    assert dataset.notes == ()


def test_pictures_in_folders_inside_of_a_class_are_read(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pets" / "train", {"cat": 3, "cat/tabby": 2, "cat/tabby/young": 1, "dog": 3})
    write_pictures(tmp_path / "pets" / "test", {"cat/tabby": 2, "dog/big": 2})
    dataset = load_dataset(data_dir=tmp_path / "pets")
    assert dataset.class_names == ("cat", "dog")
    labels = np.concatenate([dataset.train.labels, dataset.validation.labels])
    assert np.bincount(labels).tolist() == [6, 3]
    assert np.bincount(dataset.test.labels).tolist() == [2, 2]


def spoilt(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"bad{number:02}.png").write_bytes(b"no picture")


def test_all_damaged_pictures_are_named_at_once(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets")
    spoilt(folder / "train" / "cat", 20)
    spoilt(folder / "test" / "dog", 15)
    with pytest.raises(PictureError) as caught:
        load_dataset(data_dir=folder)
    message = str(caught.value)
    assert message.startswith(f"35 pictures in {folder} cannot be read: ")
    assert message.count(".png") == 10
    assert "and 25 more" in message
    assert "--skip-damaged" in message


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets", per_class=13)
    for number in range(3):
        (folder / "train" / "cat" / f"notes{number}.txt").write_text("no picture")
    (folder / "test" / "README").write_text("no picture")
    spoilt(folder / "test" / "dog", 4)
    for _ in range(2):  # read, and from the cache
        dataset = load_dataset(data_dir=folder, skip_damaged=True)
        assert len(dataset.test) == 26
        assert dataset.notes == ("8 of 60 files were passed over: 3 .txt, 1 without suffix, 4 damaged.",)
    with pytest.raises(PictureError, match="4 pictures"):
        load_dataset(data_dir=folder)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_pictures_is_refused(tmp_path: Path, split: str) -> None:
    folder = pictures(tmp_path / "pets")
    for path in (folder / split / "dog").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(DataError, match=rf"0 pictures in .*{split}/dog"):
        load_dataset(data_dir=folder)


def test_a_class_of_damaged_pictures_alone_is_refused_too(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets")
    for path in (folder / "train" / "dog").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="train/dog were passed over"):
        load_dataset(data_dir=folder, skip_damaged=True)


def test_a_class_that_cannot_be_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path / "pets")
    scan = os.scandir

    def scandir(path: str = ".") -> object:  # as for another user than root
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"Cannot read .*train/dog: Permission denied"):
        load_dataset(data_dir=folder)


@pytest.mark.parametrize(
    ("name", "code"),
    [("c\xa0t", r"U\+00A0 \(NO-BREAK SPACE\)"), ("cat\u200f", r"U\+200F"), ("c\x1bt", r"U\+001B")],
)
def test_a_class_name_that_cannot_be_shown_is_named_by_its_code_point(
    tmp_path: Path, name: str, code: str
) -> None:
    folder = pictures(tmp_path / "pets")
    (folder / "train" / "cat").rename(folder / "train" / name)
    with pytest.raises(DataError, match=code) as caught:
        load_dataset(data_dir=folder)
    assert str(caught.value).isprintable()


# What a network expects


def test_pictures_for_a_network_of_digits_are_prepared_as_digits(tmp_path: Path, reference: np.ndarray) -> None:
    folder = tmp_path / "own"
    for split in ("train", "test"):
        for name in ("7", "x"):
            (folder / split / name).mkdir(parents=True)
            for number in range(2):
                digit(side=100 + 9 * number).save(folder / split / name / f"{number}.png")
    Image.new("L", (200, 200), 255).save(folder / "test" / "x" / "blank.png")
    Image.new("L", (200, 200), 255).save(folder / "train" / "x" / "blank.png")
    row = Image.new("L", (700, 400), 255)
    row.paste(digit(), (0, 40))
    row.paste(digit(), (340, 40))
    row.save(folder / "test" / "7" / "row.png")
    plain = load_dataset(data_dir=folder)
    expected = NetworkInput("digits", (28, 28))
    for _ in range(2):  # prepared, and from the cache
        dataset = load_dataset(data_dir=folder, expected=expected)
        assert len(dataset.test) == 4
        assert all(np.corrcoef(image.ravel(), reference.ravel())[0, 1] > 0.9 for image in dataset.test.images)
        assert dataset.notes == ("3 of 11 pictures were passed over: 2 without a digit, 1 with several.",)
        assert load_dataset(data_dir=folder).digest == plain.digest, "each preparation has its own images"


@pytest.mark.parametrize(("background", "inverted"), [(0, True), (255, False), (None, False), (128, False)])
def test_whole_pictures_are_negated_where_the_training_images_are(
    tmp_path: Path, background: int | None, inverted: bool
) -> None:
    for split in ("train", "test"):
        write_pictures(tmp_path / "shoes" / split, {"boot": 3, "clog": 3}, size=(60, 90))
        for path in (tmp_path / "shoes" / split).rglob("*.png"):
            Image.fromarray(255 - np.asarray(Image.open(path))).save(path)  # a light background
    expected = NetworkInput("whole", (30, 20), background)
    dataset = load_dataset(data_dir=tmp_path / "shoes", expected=expected)
    assert dataset.image_shape == (30, 20)
    assert (dataset.test.images[:, 0, 0] < 64).all() == inverted


def test_every_picture_of_a_folder_without_splits_tests_a_network_of_digits(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for name in "77a":
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(3):
            digit(side=100 + 9 * number).save(folder / name / f"{number}.png")
    assert len(load_dataset(data_dir=folder, expected=NetworkInput("digits", (28, 28))).test) == 6
    assert len(load_dataset(data_dir=folder, expected=NetworkInput("whole", (28, 28))).test) == 2
    for path in folder.rglob("*.png"):
        Image.new("L", (60, 60), 255).save(path)
    with pytest.raises(DataError, match="Too few of the pictures"):
        load_dataset(data_dir=folder, expected=NetworkInput("digits", (28, 28)))


def test_the_test_split_alone_is_prepared_where_it_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[int] = []
    prepare = picture_folders._prepare
    monkeypatch.setattr(
        picture_folders, "_prepare", lambda *given: prepared.append(len(given[1])) or prepare(*given)
    )
    folder = pictures(tmp_path / "pets")
    whole = load_dataset(data_dir=folder, expected=NetworkInput("whole", (20, 20)))
    part = load_dataset(data_dir=folder, expected=NetworkInput("whole", (20, 20), only_test=True))
    assert prepared == [24, 12]
    assert (part.test.images == whole.test.images).all()
    assert (len(part.train), len(part.validation)) == (0, 0)


def test_links_are_followed_to_classes_and_never_in_circles(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets", {"cat": 7, "dog": 7})
    (folder / "emu").symlink_to("dog")
    (folder / "loop").symlink_to("loop")
    (folder / "cat" / "up").symlink_to("..")
    dataset = load_dataset(data_dir=folder)
    assert dataset.class_names == ("cat", "dog", "emu")
    assert dataset.notes[1] == "2 of 23 files were passed over: 1 linked, 1 without suffix."


@pytest.mark.parametrize("splits", [("train", "test"), ("",)], ids=["with splits", "without splits"])
def test_a_link_to_nothing_is_a_damaged_picture(tmp_path: Path, splits: tuple[str, ...]) -> None:
    for split in splits:
        write_pictures(tmp_path / "pets" / split, {"cat": 7, "dog": 7})
    (tmp_path / "pets" / splits[0] / "cat" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(PictureError, match=r"gone\.png"):
        load_dataset(data_dir=tmp_path / "pets")
    assert "1 damaged" in load_dataset(data_dir=tmp_path / "pets", skip_damaged=True).notes[-1]


@pytest.mark.parametrize("kind", [each for each in SPECIAL_FILES if each != "folder"])
@pytest.mark.parametrize("divided", [False, True])
def test_a_picture_that_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str, divided: bool) -> None:
    folder = pictures(tmp_path / "pets")
    make_special(folder / "train" / "cat" / "z.png", kind)
    with limited(seconds=5), pytest.raises(PictureError, match=r"Cannot read .*z\.png"):
        load_dataset(data_dir=folder / "train" if divided else folder)
