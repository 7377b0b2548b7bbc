"""Data sets: loaded from a folder, the cache, Keras' cache, a mirror, or the program itself, and checked."""

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnnmnist.data.download import DownloadProgress, cache_directory, fetch, has_digest, holds
from cnnmnist.data.folders import read_folder
from cnnmnist.data.layouts import CLASSES, SIDES, FolderContent, Images
from cnnmnist.data.picture_folders import NetworkInput
from cnnmnist.data.registry import DATASETS, KERAS_CACHE_DIGEST, KnownDataset, Preparation
from cnnmnist.errors import DataError, DownloadError, suggestion

EMBEDDED = Path(__file__).parent / "mnist5k"
EMBEDDED_SOURCE = "the 5,000 digits embedded in the program"
KERAS_SOURCE = "Keras' cache"
KERAS_KEYS = ("x_train", "y_train", "x_test", "y_test")
NAMED_BY_FILES = ("emnist-", "qmnist")  # prefixes of files, which tell a data set as its digest does
AGREEING = 0.95  # of the training images, whose backgrounds must not be dark here and light there


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
    preparation: Preparation = "whole"
    """How pictures become images like the training images."""
    fallback_reason: str | None = None
    """The reason why MNIST was replaced by the embedded digits, if it was."""
    notes: tuple[str, ...] = ()
    """Sentences about files that were passed over, and about splits that the program chose itself."""

    def split(self, name: str) -> Split:
        """Return the split of this name: train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    @property
    def splits(self) -> dict[str, int]:
        """Number of images in each split, by its name."""
        return {name: len(self.split(name)) for name in ("train", "validation", "test")}

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image in pixels."""
        return self.train.images.shape[1], self.train.images.shape[2]

    @property
    def background(self) -> int | None:
        """The median grey level, 0 to 255, along the edges of the training images.

        None if the background is dark in some of them and light in others, and so says nothing.
        """
        from cnnmnist.data.pictures import DARK, LIGHT  # imports Pillow

        images = self.train.images
        edges = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
        levels = np.median(edges, axis=1)
        level = int(np.median(levels))
        same = levels <= LIGHT if level < DARK else levels >= DARK if level > LIGHT else np.ones(1)
        return level if same.mean() >= AGREEING else None


def load_dataset(
    name: str | None = None,
    data_dir: str | Path | None = None,
    *,
    progress: DownloadProgress | None = None,
    expected: NetworkInput | None = None,
    skip_damaged: bool = False,
) -> Dataset:
    """Load a data set from a folder or a cache, or download it.

    A data set from a folder gets the first of these names that exists: the name of the known data set with the
    same content, the argument ``name``, the prefix of the files, the name of the folder. A known data set is
    recognised by its content; IDX and CSV files, which do not name their classes, also by the argument ``name``.

    Args:
        name: a known data set. The default is MNIST or, if it cannot be downloaded, the embedded digits.
        data_dir: a folder, as :func:`cnnmnist.data.folders.read_folder` reads it. The default for MNIST is
            ``$CNNMNIST_DATA_DIR``.
        progress: called during a download.
        expected: what the pictures of a folder are made into; by default, images like the pictures themselves.
        skip_damaged: whether to pass over damaged pictures instead of refusing their folder.

    Raises:
        PictureError: pictures are damaged.
        DataError: no data set has this name, or the folder holds another known one, or a file is missing or
            damaged or does not fit the others.
        DownloadError: no cache and no mirror has the data set.
    """
    if name is not None and name not in DATASETS and data_dir is None:
        hint = suggestion(name, DATASETS) or "."
        raise DataError(f"There is no data set {name!r}{hint} Known data sets: {', '.join(DATASETS)}.")
    if data_dir is None and name in (None, "mnist") and os.environ.get("CNNMNIST_DATA_DIR"):
        data_dir = os.environ["CNNMNIST_DATA_DIR"]
    if data_dir is not None:
        return _from_folder(Path(os.path.abspath(data_dir)), name, expected, skip_damaged)  # noqa: PTH100 - keeps links
    try:
        return _known(name or "mnist", progress)
    except DownloadError as error:
        if name is not None:
            raise
        return replace(_known("mnist5k"), fallback_reason=str(error))


def locate(name: str) -> str | None:
    """Return the place of a known data set on this machine, as messages show it, or None if it has none."""
    if name == "mnist5k":
        return EMBEDDED_SOURCE
    if name == "mnist" and os.environ.get("CNNMNIST_DATA_DIR"):
        return os.environ["CNNMNIST_DATA_DIR"]
    with contextlib.suppress(DownloadError):
        if holds(cache_directory() / name, DATASETS[name]):
            return str(cache_directory() / name)
    return KERAS_SOURCE if name == "mnist" and _keras_file() else None


def _from_folder(folder: Path, name: str | None, expected: NetworkInput | None, skip_damaged: bool) -> Dataset:
    if not str(folder).isprintable():
        raise DataError(f"The folder {str(folder)!r} has control characters in its name: rename it.")
    content = read_folder(folder, name, expected, skip_damaged=skip_damaged)
    known = _recognise(content, name)
    if known and name in DATASETS and name != known:
        raise DataError(f"{folder} holds {known}, not {name}: leave --dataset out, or name another folder.")
    name = known or name or content.name or folder.name
    if known is None and name in DATASETS:  # the classes of a folder are its own, whatever it is called
        name += "-folder"
    return replace(_dataset(name, str(folder), content, DATASETS.get(known or "")), data_dir=folder)


def _recognise(content: FolderContent, name: str | None) -> str | None:
    """The name of the known data set that a folder holds."""
    if content.preparation:
        return None
    # Without the training images, because some copies of MNIST lack a few of their faint pixels.
    fingerprint = _digest(content.arrays[1:])
    known = next((key for key, each in DATASETS.items() if each.fingerprint == fingerprint), None)
    if known is None and content.name in DATASETS and content.name.startswith(NAMED_BY_FILES):
        return content.name
    return known or (name if name in DATASETS else None)


def _known(name: str, progress: DownloadProgress | None = None) -> Dataset:
    known = DATASETS[name]
    if name == "mnist5k":
        return _dataset(name, EMBEDDED_SOURCE, read_folder(EMBEDDED), known)
    folder = cache_directory() / name
    if not holds(folder, known):
        if name == "mnist" and (path := _keras_file()):
            with np.load(path, allow_pickle=False) as arrays:
                return _dataset(name, KERAS_SOURCE, FolderContent([arrays[key] for key in KERAS_KEYS]), known)
        fetch(name, known, folder, progress)
    return _dataset(name, str(folder), read_folder(folder, name), known)


def _keras_file() -> Path | None:
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111 - Path.home may raise
    path = Path(home, "datasets", "mnist.npz")
    return path if has_digest(path, KERAS_CACHE_DIGEST) else None


def _dataset(name: str, source: str, content: FolderContent, known: KnownDataset | None) -> Dataset:
    _check(source, content, known)
    train_images, train_labels, test_images, test_labels = content.arrays
    class_names, lowest = _class_names(content, known)
    train_labels, test_labels = train_labels - np.uint8(lowest), test_labels - np.uint8(lowest)
    count = len(train_labels)
    validation = known.validation if known else content.validation
    first = validation if validation and validation < count else max(1, count // 12)
    return Dataset(
        name=name,
        source=source,
        digest=_digest([train_images, train_labels, test_images, test_labels]),
        class_names=class_names,
        train=Split(train_images[first:], train_labels[first:]),
        validation=Split(train_images[:first], train_labels[:first]),
        test=Split(test_images, test_labels),
        from_pictures=content.preparation is not None,
        preparation=content.preparation or (known.preparation if known else "whole"),
        notes=content.notes,
    )


def _class_names(content: FolderContent, known: KnownDataset | None) -> tuple[tuple[str, ...], int]:
    """The names of the classes, and the label of the first class.

    Numbers are counted from the lowest label: there is no class 0 where labels begin at 1, as in EMNIST Letters.
    """
    if content.preparation and content.class_names:
        return content.class_names, 0
    if known and content.class_names is None:
        return known.class_names, known.first_label
    labels = np.concatenate(content.arrays[1::2])
    first, after = int(labels.min()), int(labels.max()) + 1
    names = dict(enumerate(content.class_names or ()))
    return tuple(names.get(number, str(number)) for number in range(first, after)), first


def _check(source: str, content: FolderContent, known: KnownDataset | None) -> None:
    arrays = content.arrays
    first = known.first_label if known else 0
    limit = first + len(known.class_names) if known else CLASSES.stop - 1
    for part in (0, 2):
        (images, labels), (image_file, label_file) = arrays[part : part + 2], content.files[part : part + 2]
        if len(images) != len(labels):
            raise DataError(
                f"In {source}, {image_file} holds {len(images):,} images but {label_file} {len(labels):,} labels: "
                "they do not belong together."
            )
        too_few = len(images) < 2 and not content.preparation
        if too_few or not all(side in SIDES for side in images.shape[1:]):
            raise DataError(
                f"In {source}, {image_file} holds images of shape {images.shape}: at least 2, with sides of "
                f"{SIDES.start} to {SIDES.stop - 1} pixels, are needed."
            )
        wrong = np.flatnonzero((labels >= limit) | (labels < first))
        if len(wrong):
            raise DataError(
                f"In {source}, {label_file} holds the label {labels[wrong[0]]} for image {wrong[0]}: labels are "
                f"{first} to {limit - 1}."
            )
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise DataError(
            f"In {source}, {content.files[2]} holds images of {arrays[2].shape[1:]} pixels but {content.files[0]} "
            f"of {arrays[0].shape[1:]}: they do not belong together."
        )
    if not content.preparation and len(labels := np.unique(np.concatenate(arrays[1::2]))) < CLASSES.start:
        raise DataError(
            f"In {source}, every image has the label {labels[0]}: at least {CLASSES.start} classes are needed; a "
            "table without names of columns has its labels in the first one."
        )


def digest_of(validation: Split, train: Split, test: Split) -> str:
    """The digest of a data set with these splits, as :attr:`Dataset.digest`."""
    images = np.concatenate([validation.images, train.images])
    labels = np.concatenate([validation.labels, train.labels])
    return _digest([images, labels, test.images, test.labels])


def _digest(arrays: list[Images]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
