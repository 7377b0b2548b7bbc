"""Folders of a data set: four IDX files, or pictures sorted by class, read as four arrays."""

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.download import cache_directory
from cnnmnist.data.idx import read_idx
from cnnmnist.errors import DataError, WriteError, reason
from cnnmnist.files import open_file, read_file, replacing

Images = NDArray[np.uint8]
STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# Such as train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-letters-test-images-idx3-ubyte.gz.
IDX_NAME = re.compile(r"(?:(.+)-)?(train|t10k|test)-(images[-.]idx3|labels[-.]idx1)-ubyte(?:\.gz)?")
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
CLASSES = range(2, 101)  # allowed numbers of classes
SIDES = range(8, 65)  # allowed heights and widths of an image in pixels
PICTURE_SHAPE = (28, 28)  # for pictures that do not all have one allowed size
MAX_MAPPING_BYTES = 65_536


@dataclass(frozen=True)
class FolderContent:
    """The content of a folder."""

    arrays: list[Images]
    """Images, uint8 (n, height, width), and labels, uint8 (n,), in the order of ``STEMS``."""
    name: str | None = None
    """Common prefix of the files' names."""
    class_names: tuple[str, ...] | None = None
    """None if the folder does not name the classes."""
    from_pictures: bool = False


def read_folder(folder: Path, name: str | None = None) -> FolderContent:
    """Read the four IDX files of a folder or, if it has a subfolder ``train``, its pictures.

    The names of the IDX files may have a common prefix, as EMNIST's have, and may end in .gz. Pictures are in
    ``train/CLASS/`` and ``test/CLASS/``. They become grey images of 28x28 pixels, or keep their size if all have
    the same size, with sides of 8 to 64 pixels. The cache keeps the images.

    Args:
        folder: absolute path.
        name: the prefix to choose if there are several.

    Raises:
        DataError: a file is missing or damaged, or the folder holds several data sets.
        PictureError: a picture cannot be read.
    """
    if os.path.isdir(folder / "train"):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return _read_pictures(folder)
    return _read_idx_files(folder, name)


def _read_idx_files(folder: Path, name: str | None) -> FolderContent:
    datasets: dict[str, dict[str, Path]] = {}
    with contextlib.suppress(OSError):  # a folder that cannot be read has no files
        for path in sorted(folder.iterdir()):
            if match := IDX_NAME.fullmatch(path.name):
                stem = f"{match[2].replace('test', 't10k')}-{match[3].replace('.', '-')}-ubyte"
                datasets.setdefault(match[1] or "", {}).setdefault(stem, path)
    prefix = name if name in datasets else "" if "" in datasets or not datasets else next(iter(datasets))
    if len(datasets) > 1 and prefix not in ("", name):
        raise DataError(
            f"There are several data sets in {folder}: choose one of {', '.join(datasets)} with --dataset."
        )
    files = datasets.get(prefix, {})
    for stem in STEMS:
        if stem not in files:
            missing = f"{prefix}-{stem}" if prefix else stem
            raise DataError(
                f"There is no {missing}.gz in {folder}: the folder must hold {', '.join(STEMS)}, each with or "
                "without .gz, or pictures in train/CLASS/ and test/CLASS/."
            )
    arrays = [read_idx(files[stem], ndim=3 if "images" in stem else 1) for stem in STEMS]
    if not prefix.startswith("emnist"):
        return FolderContent(arrays, prefix or None)
    # EMNIST stores its images by columns: G. Cohen et al., 2017, https://arxiv.org/abs/1702.05373.
    upright = [each.transpose(0, 2, 1).copy() if each.ndim == 3 else each for each in arrays]
    return FolderContent(upright, prefix, _emnist_class_names(folder / f"{prefix}-mapping.txt", arrays))


def _emnist_class_names(path: Path, arrays: list[Images]) -> tuple[str, ...] | None:
    """Read the characters of EMNIST's labels: each line has a label, then character codes."""
    try:
        lines = read_file(path, MAX_MAPPING_BYTES).decode("ascii").splitlines()
        characters = {row[0]: chr(row[1]) for row in ([*map(int, line.split())] for line in lines) if row}
        if not all(character.isprintable() for character in characters.values()):
            raise ValueError("it has codes of characters that cannot be shown")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path} is no mapping of labels to character codes: {reason(error)}.") from error
    labels = range(max(int(labels.max(initial=0)) for labels in arrays[1::2]) + 1)
    return tuple(characters.get(label, str(label)) for label in labels)


def _read_pictures(folder: Path) -> FolderContent:
    classes = _subfolders(folder / "train")
    if len(classes) not in CLASSES or not all(each.isprintable() for each in classes):
        raise DataError(
            f"{folder / 'train'} has {len(classes)} folders: there must be one for each of {CLASSES.start} to "
            f"{CLASSES.stop - 1} classes, with a printable name."
        )
    unknown = sorted(set(_subfolders(folder / "test")) - set(classes))
    if unknown:
        raise DataError(f"{folder / 'test' / unknown[0]} is of a class that {folder / 'train'} does not have.")
    splits = [_picture_files(folder / split, classes) for split in ("train", "test")]
    paths = splits[0] + splits[1]
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    listing = digest.hexdigest()
    cached = cache_directory() / "pictures" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.npz"
    arrays = _read_cache(cached, listing)
    if arrays is None:
        images = np.split(_prepare(paths), [len(splits[0])])
        labels = [np.array([classes.index(path.parent.name) for path in split], np.uint8) for split in splits]
        arrays = [images[0], labels[0], images[1], labels[1]]
        content: dict[str, Any] = dict(zip(STEMS, arrays, strict=True))
        # Without a cache the pictures are prepared again the next time.
        with contextlib.suppress(WriteError), replacing(cached) as temporary:
            cached.parent.mkdir(parents=True, exist_ok=True)
            np.savez(temporary, listing=np.array(listing), **content)
    return FolderContent(arrays, None, tuple(classes), from_pictures=True)


def _subfolders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"Cannot read {folder}: {reason(error)}.") from error


def _picture_files(folder: Path, classes: list[str]) -> list[Path]:
    """All pictures, in an order that mixes the classes and depends on the names alone."""
    paths = [
        path
        for name in classes
        for path in (folder / name).glob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    ]
    if len(paths) < 2:
        raise DataError(f"There are {len(paths)} pictures in the folders of {folder}: at least 2 are needed.")
    return sorted(paths, key=lambda path: hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest())


def _prepare(paths: list[Path]) -> Images:
    """Read pictures, uint8 (n, height, width), and scale them unless all have one allowed size."""
    from cnnmnist.data.pictures import fit_picture, read_picture  # imports Pillow

    unscaled: list[Images] = []
    scaled: list[Images] = []
    for path in paths:
        pixels = read_picture(path)
        scaled.append(fit_picture(pixels, PICTURE_SHAPE))
        shape = pixels.shape[:2]
        if all(side in SIDES for side in shape) and (not unscaled or shape == unscaled[0].shape):
            unscaled.append(fit_picture(pixels, shape))
    return np.stack(unscaled if len(unscaled) == len(paths) else scaled)


def _read_cache(path: Path, listing: str) -> list[Images] | None:
    # zipfile and NumPy raise nearly anything for a damaged archive; then the pictures are read again.
    with contextlib.suppress(Exception), open_file(path) as file, np.load(file, allow_pickle=False) as cached:
        if str(cached["listing"]) == listing:
            return [cached[stem] for stem in STEMS]
    return None
