"""Where a data set is found, what is recorded of it, and what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data import loading
from cnnmnist.data.folders import STEMS
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.registry import DATASETS, KnownDataset
from cnnmnist.errors import DataError, DownloadError
from support.datasets import small_arrays, write_folder

# A folder that the user names


@pytest.mark.parametrize(
    "spelling",
    ["{}", "{}.gz", "{}|.", "{}.gz|."],
)
def test_a_folder_may_spell_its_files_in_four_ways(tmp_path: Path, spelling: str) -> None:
    pattern, _, dotted = spelling.partition("|")
    arrays = small_arrays()
    folder = write_folder(
        tmp_path / "mine",
        arrays,
        lambda stem: pattern.format(stem.replace("-idx", ".idx") if dotted else stem),
    )
    found = load_dataset(data_dir=folder)
    assert found.name == "mine"
    assert found.data_dir == folder
    assert found.image_shape == (9, 9)
    assert (len(found.train), len(found.validation), len(found.test)) == (44, 4, 20)
    assert (found.validation.images == arrays[0][:4]).all()
    assert (found.train.images == arrays[0][4:]).all()
    assert (found.train.labels == arrays[1][4:]).all()
    assert (found.test.labels == arrays[3]).all()
    assert found.split("validation") is found.validation


def test_the_digest_is_that_of_the_arrays_however_they_are_stored(tmp_path: Path) -> None:
    arrays = small_arrays()
    plain = load_dataset(data_dir=write_folder(tmp_path / "a", arrays, "{}".format))
    packed = load_dataset(data_dir=write_folder(tmp_path / "b", arrays))
    arrays[0][0, 0, 0] ^= 1
    other = load_dataset(data_dir=write_folder(tmp_path / "c", arrays))
    assert plain.digest == packed.digest != other.digest


def test_a_relative_folder_is_recorded_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "mine", small_arrays())
    monkeypatch.chdir(tmp_path)
    assert load_dataset(data_dir=Path("mine")).data_dir == tmp_path / "mine"


def test_the_environment_names_the_folder_of_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNMNIST_DATA_DIR", str(write_folder(tmp_path / "mine", small_arrays())))
    assert load_dataset("mnist").data_dir == tmp_path / "mine"
    assert load_dataset().data_dir == tmp_path / "mine"
    assert load_dataset("mnist5k").data_dir is None


def test_a_known_data_set_is_recognised_although_some_training_pixels_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = small_arrays()
    fingerprint = hashlib.sha256()
    for array in arrays[1:]:
        fingerprint.update(repr(array.shape).encode() + array.tobytes())
    monkeypatch.setitem(DATASETS, "mnist", KnownDataset(validation=7, fingerprint=fingerprint.hexdigest()))
    arrays[0][arrays[0] == 1] = 0
    found = load_dataset(data_dir=write_folder(tmp_path / "copy", arrays))
    assert found.name == "mnist"
    assert len(found.validation) == 7
    with pytest.raises(DataError, match="copy holds mnist, not fashion-mnist: leave --dataset out"):
        load_dataset("fashion-mnist", tmp_path / "copy")
    arrays[2][0, 0, 0] ^= 1
    assert load_dataset(data_dir=write_folder(tmp_path / "other", arrays)).name == "other"


def test_a_folder_that_is_named_relatively_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "mine", small_arrays())
    (tmp_path / "mine" / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "mine" / "inside")
    found = load_dataset(data_dir="..")
    assert (found.name, found.data_dir) == ("mine", tmp_path / "mine")


def test_a_data_set_has_as_many_classes_as_its_labels(tmp_path: Path) -> None:
    found = load_dataset(data_dir=write_folder(tmp_path / "letters", small_arrays(classes=26, side=33)))
    assert found.class_names == tuple(str(number) for number in range(26))
    assert found.image_shape == (33, 33)


@pytest.mark.parametrize("stem", STEMS)
def test_a_missing_file_is_named_and_nothing_else_is_tried(tmp_path: Path, stem: str) -> None:
    folder = write_folder(tmp_path / "mine", small_arrays())
    (folder / f"{stem}.gz").unlink()
    with pytest.raises(DataError, match=rf"There is no {stem}\.gz in .*mine"):
        load_dataset(data_dir=folder)


@pytest.mark.parametrize("name", ["missing", "x" * 300])
def test_a_missing_folder_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        load_dataset(data_dir=tmp_path / name)


def swapped(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [arrays[1], arrays[0], arrays[2], arrays[3]]


def label_of_100(arrays: list[np.ndarray]) -> list[np.ndarray]:
    arrays[3][[7, 9]] = 100
    return arrays


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (swapped, "train-images-idx3-ubyte.gz holds labels"),
        (lambda a: [a[0], a[3], a[2], a[1]], "48 images but train-labels-idx1-ubyte 20 labels"),
        (lambda a: [a[0], a[1], a[2][:, :8, :8], a[3]], "do not belong together"),
        (lambda a: [a[0], a[1], a[2][:0], a[3][:0]], "t10k-images-idx3-ubyte holds images of shape"),
        (lambda a: [a[0][:1], a[1][:1], a[2], a[3]], "at least 2"),
        (lambda a: [a[0][:, :7], a[1], a[2][:, :7], a[3]], "8 to 64 pixels"),
        (label_of_100, "t10k-labels-idx1-ubyte holds the label 100 for image 7"),
        (lambda a: [a[0], a[1] * 0 + 3, a[2], a[3] * 0 + 3], "every image has the label 3"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, spoil, reason: str) -> None:
    folder = write_folder(tmp_path / "mine", spoil(small_arrays()))
    with pytest.raises(DataError) as caught:
        load_dataset(data_dir=folder)
    assert reason in str(caught.value)


def test_a_label_that_mnist_does_not_have_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine", small_arrays(classes=11))
    with pytest.raises(DataError, match=r"label 10 for image 10: labels are 0 to 9"):
        load_dataset("mnist", folder)


@pytest.mark.parametrize(
    ("levels", "background"),
    [
        ([0], 0),
        ([255], 255),
        ([3] * 99 + [250], 3),
        ([3] * 9 + [250], None),
        ([250] * 9 + [3], None),
        ([128], 128),
    ],
)
def test_the_background_is_the_level_on_which_the_training_images_agree(
    tmp_path: Path, levels: list[int], background: int | None
) -> None:
    arrays = small_arrays(train=1_200)
    arrays[0][:] = np.resize(levels, 1_200)[:, None, None]
    arrays[0][:, 2:-2, 2:-2] = 99
    arrays[0][:, 0, 1:4] = 77  # a picture may touch its edge
    assert load_dataset(data_dir=write_folder(tmp_path / "mine", arrays)).background == background


# The embedded digits


def test_the_embedded_digits_have_every_class_equally_often() -> None:
    digits = load_dataset("mnist5k")
    assert digits.image_shape == (28, 28)
    assert digits.fallback_reason is None
    for split, per_class in (("train", 350), ("validation", 50), ("test", 100)):
        assert np.bincount(digits.split(split).labels).tolist() == [per_class] * 10
    images = np.concatenate([digits.train.images, digits.validation.images, digits.test.images])
    assert len({image.tobytes() for image in images}) == 5_000


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"'mnits': did you mean 'mnist'\?.*mnist5k"):
        load_dataset("mnits")


# Keras' cache, and the embedded digits where MNIST cannot be had


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras' folder, where no other cache has MNIST; conftest.py sees to it that a download fails at once."""
    monkeypatch.setenv("CNNMNIST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def keras_cache(home: Path, arrays: list[np.ndarray]) -> str:
    file = home / "datasets" / "mnist.npz"
    file.parent.mkdir(parents=True)
    np.savez(file, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_keras_cache_is_taken_before_a_download(
    keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "KERAS_CACHE_DIGEST", keras_cache(keras_home, small_arrays()))
    found = load_dataset("mnist")
    assert (found.name, found.source) == ("mnist", "Keras' cache")
    assert found.digest == load_dataset(data_dir=write_folder(tmp_path / "mine", small_arrays())).digest


def test_a_keras_cache_with_another_digest_is_not_opened(keras_home: Path, tmp_path: Path) -> None:
    class Executed:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path.joinpath("executed").touch, ())

    keras_cache(keras_home, [np.array([Executed()], dtype=object)] * 4)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        load_dataset("mnist")
    assert not (tmp_path / "executed").exists()


@pytest.mark.usefixtures("keras_home")
def test_without_a_name_the_embedded_digits_stand_in_and_say_why() -> None:
    digits = load_dataset()
    assert digits.name == "mnist5k"
    assert "Connection refused" in str(digits.fallback_reason)


# The full MNIST


@pytest.mark.full
def test_the_full_mnist_is_recognised_and_split_as_the_tutorial_does(mnist_dir: Path) -> None:
    digits = load_dataset(data_dir=mnist_dir)
    assert digits.name == "mnist"
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (55_000, 5_000, 10_000)
    assert digits.validation.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.full
def test_the_full_mnist_holds_every_embedded_digit_but_not_in_its_test_split(mnist_dir: Path) -> None:
    def faint_pixels_lost(images: np.ndarray) -> set[bytes]:
        return {np.where(image == 1, 0, image).astype(np.uint8).tobytes() for image in images}

    full, few = load_dataset(data_dir=mnist_dir), load_dataset("mnist5k")
    embedded = faint_pixels_lost(np.concatenate([few.train.images, few.validation.images, few.test.images]))
    assert embedded <= faint_pixels_lost(np.concatenate([full.validation.images, full.train.images[:1_000]]))
