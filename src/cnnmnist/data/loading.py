"""Data sets: loaded from a folder, the cache, Keras' cache, a mirror, or the program itself, and checked."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnnmnist.data.download import DownloadProgress, cache_directory, fetch, has_digest
from cnnmnist.data.folders import CLASSES, SIDES, STEMS, Images, read_folder
from cnnmnist.data.idx import read_idx
from cnnmnist.data.registry import DATASETS, KERAS_CACHE_DIGEST, KnownDataset
from cnnmnist.errors import DataError, DownloadError, suggestion

EMBEDDED = Path(__file__).parent / "mnist5k"
EMBEDDED_SOURCE = "the 5,000 digits embedded in the program"
KERAS_SOURCE = "Keras' cache"
KERAS_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Split:
    """Images, uint8 (n, height, width), and their labels, uint8 (n,)."""

    images: Images
    labels: Images

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set of small images with labels, in three splits."""

    name: str
    """Such as ``mnist`` or ``mnist5k``."""
    source: str
    """Folder or other origin, as messages show it."""
    digest: str
    """SHA-256 of the shapes and bytes of the four arrays, whether their files are compressed or not."""
    class_names: tuple[str, ...]
    """Names of the classes, in the order of the labels."""
    train: Split
    validation: Split
    """The first training images. By default they only measure the network."""
    test: Split
    data_dir: Path | None = None
    """Absolute path of the folder, if the user named a folder."""
    from_pictures: bool = False
    """Whether :func:`cnnmnist.data.pictures.fit_picture` made the images from pictures of any size."""
    fallback_reason: str | None = None
    """The reason why MNIST was replaced by the embedded digits, if it was."""

    def split(self, name: str) -> Split:
        """Return the split of this name: train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image in pixels."""
        return self.train.images.shape[1], self.train.images.shape[2]


def load_dataset(
    name: str | None = None, data_dir: str | Path | None = None, *, progress: DownloadProgress | None = None
) -> Dataset:
    """Load a data set from a folder or a cache, or download it.

    A data set from a folder gets the first of these names that exists: the name of the known data set with the
    same content, the argument ``name``, the prefix of the files, the name of the folder.

    Args:
        name: a known data set. The default is MNIST or, if it cannot be downloaded, the embedded digits.
        data_dir: a folder, as :func:`cnnmnist.data.folders.read_folder` reads it. The default for MNIST is
            ``$CNNMNIST_DATA_DIR``.
        progress: called during a download.

    Raises:
        DataError: no data set has this name, or a file is missing or damaged or does not fit the others.
        DownloadError: no cache and no mirror has the data set.
    """
    if name is not None and name not in DATASETS and data_dir is None:
        hint = suggestion(name, DATASETS) or "."
        raise DataError(f"There is no data set {name!r}{hint} Known data sets: {', '.join(DATASETS)}.")
    if name == "mnist5k" and data_dir is None:
        return _embedded()
    if data_dir is None and name in (None, "mnist") and os.environ.get("CNNMNIST_DATA_DIR"):
        data_dir = os.environ["CNNMNIST_DATA_DIR"]
    if data_dir is not None:
        return _from_folder(Path(data_dir).absolute(), name)
    try:
        return _known(name or "mnist", progress)
    except DownloadError as error:
        if name is not None:
            raise
        return replace(_embedded(), fallback_reason=str(error))


def locate(name: str) -> str | None:
    """Return the place of a known data set on this machine, as messages show it, or None if it has none."""
    if name == "mnist5k":
        return EMBEDDED_SOURCE
    if name == "mnist" and os.environ.get("CNNMNIST_DATA_DIR"):
        return os.environ["CNNMNIST_DATA_DIR"]
    if _is_complete(cache_directory() / name, name):
        return str(cache_directory() / name)
    return KERAS_SOURCE if name == "mnist" and _keras_file() else None


def _embedded() -> Dataset:
    return _dataset("mnist5k", EMBEDDED_SOURCE, read_folder(EMBEDDED).arrays)


def _from_folder(folder: Path, name: str | None) -> Dataset:
    if not str(folder).isprintable():
        raise DataError(f"The folder {str(folder)!r} has control characters in its name: rename it.")
    content = read_folder(folder, name)
    # Without the training images, because some copies of MNIST lack a few of their faint pixels.
    fingerprint = _digest(content.arrays[1:])
    known = next((key for key, each in DATASETS.items() if each.fingerprint == fingerprint), None)
    name = known or name or content.name or folder.name
    dataset = _dataset(name, str(folder), content.arrays, content.class_names)
    return replace(dataset, data_dir=folder, from_pictures=content.from_pictures)


def _known(name: str, progress: DownloadProgress | None) -> Dataset:
    known, folder = DATASETS[name], cache_directory() / name
    if not _is_complete(folder, name):
        if name == "mnist" and (path := _keras_file()):
            with np.load(path, allow_pickle=False) as arrays:
                return _dataset(name, KERAS_SOURCE, [arrays[key] for key in KERAS_KEYS])
        fetch(name, known.mirrors, known.files, folder, progress)
    return _dataset(name, str(folder), [read_idx(folder / f"{stem}.gz") for stem in STEMS])


def _is_complete(folder: Path, name: str) -> bool:
    return all(has_digest(folder / file, sha256) for file, sha256 in DATASETS[name].files.items())


def _keras_file() -> Path | None:
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111 - Path.home may raise
    path = Path(home, "datasets", "mnist.npz")
    return path if has_digest(path, KERAS_CACHE_DIGEST) else None


def _dataset(name: str, source: str, arrays: list[Images], class_names: tuple[str, ...] | None = None) -> Dataset:
    train_images, train_labels, test_images, test_labels = arrays
    known = DATASETS.get(name)
    _check(source, arrays, known)
    if known:
        class_names = known.class_names
    elif class_names is None:
        classes = max(CLASSES.start, int(train_labels.max()) + 1, int(test_labels.max()) + 1)
        class_names = tuple(map(str, range(classes)))
    first = known.validation if known and known.validation < len(train_labels) else max(1, len(train_labels) // 12)
    return Dataset(
        name=name,
        source=source,
        digest=_digest(arrays),
        class_names=class_names,
        train=Split(train_images[first:], train_labels[first:]),
        validation=Split(train_images[:first], train_labels[:first]),
        test=Split(test_images, test_labels),
    )


def _check(source: str, arrays: list[Images], known: KnownDataset | None) -> None:
    limit = len(known.class_names) if known else CLASSES.stop - 1
    for part in (0, 2):
        (images, labels), (image_file, label_file) = arrays[part : part + 2], STEMS[part : part + 2]
        if len(images) != len(labels):
            raise DataError(
                f"In {source}, {image_file} holds {len(images):,} images but {label_file} {len(labels):,} labels: "
                "they do not belong together."
            )
        if len(images) < 2 or not all(side in SIDES for side in images.shape[1:]):
            raise DataError(
                f"In {source}, {image_file} holds images of shape {images.shape}: at least 2, with sides of "
                f"{SIDES.start} to {SIDES.stop - 1} pixels, are needed."
            )
        wrong = np.flatnonzero(labels >= limit)
        if len(wrong):
            raise DataError(
                f"In {source}, {label_file} holds the label {labels[wrong[0]]} at byte {8 + wrong[0]}: "
                f"labels are below {limit}."
            )
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise DataError(
            f"In {source}, {STEMS[2]} holds images of {arrays[2].shape[1:]} pixels but {STEMS[0]} of "
            f"{arrays[0].shape[1:]}: they do not belong together."
        )


def _digest(arrays: list[Images]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
