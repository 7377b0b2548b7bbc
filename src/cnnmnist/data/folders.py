"""A folder that the user names -> the four arrays in it, from IDX files or from pictures sorted by class."""

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
from cnnmnist.files import replacing

Images = NDArray[np.uint8]
STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# Such as train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-letters-test-images-idx3-ubyte.gz.
IDX_NAME = re.compile(r"(?:(.+)-)?(train|t10k|test)-(images[-.]idx3|labels[-.]idx1)-ubyte(?:\.gz)?")
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
CLASSES = range(2, 101)
SIDES = range(8, 65)  # pixels that an image may be high and wide
PICTURE_SHAPE = (28, 28)  # of pictures that are not all of one allowed size
MAX_MAPPING_BYTES = 65_536


@dataclass(frozen=True)
class FolderContent:
    """What a folder holds."""

    arrays: list[Images]
    """In the order of ``STEMS``."""
    name: str | None = None
    """What the files' names call it."""
    class_names: tuple[str, ...] | None = None
    """None: the classes have only their numbers."""
    from_pictures: bool = False


def read_folder(folder: Path, name: str | None = None) -> FolderContent:
    """Read the four IDX files of a folder or, if it has a subfolder ``train``, its pictures.

    IDX files may be gzip'd and may have a common prefix, as EMNIST's have. Pictures are in ``train/CLASS/`` and
    ``test/CLASS/``; they are made grey and, unless all have one size of 8 to 64 pixels, scaled into 28x28. That is
    done once and kept in the cache.

    Args:
        folder: absolute path.
        name: which prefix to take where there are several.

    Raises:
        DataError: a file is missing or damaged, or the folder holds several data sets.
    """
    if os.path.isdir(folder / "train"):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return _read_pictures(folder)
    return _read_idx_files(folder, name)


def _read_idx_files(folder: Path, name: str | None) -> FolderContent:
    found: dict[str, dict[str, Path]] = {}
    with contextlib.suppress(OSError):  # a folder that cannot be read has no files
        for path in sorted(folder.iterdir()):
            if match := IDX_NAME.fullmatch(path.name):
                part = match[2].replace("test", "t10k")
                stem = f"{part}-{match[3].replace('.', '-')}-ubyte"
                found.setdefault(match[1] or "", {}).setdefault(stem, path)
    prefix = name if name in found else "" if "" in found or not found else next(iter(found))
    if len(found) > 1 and prefix not in ("", name):
        raise DataError(
            f"There are several data sets in {folder}: choose one of {', '.join(found)} with --dataset."
        )
    files = found.get(prefix, {})
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
    """The characters that EMNIST's labels stand for: each line has a label, then character codes."""
    try:
        with path.open(encoding="ascii") as file:
            rows = [[int(number) for number in line.split()] for line in file.read(MAX_MAPPING_BYTES).splitlines()]
        characters = {row[0]: chr(row[1]) for row in rows if row}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path} is no mapping of labels to character codes: {reason(error)}.") from error
    labels = range(max(int(arrays[part].max(initial=0)) for part in (1, 3)) + 1)
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
    listing = hashlib.sha256()
    for path in splits[0] + splits[1]:
        status = path.stat()
        listing.update(f"{path.relative_to(folder)}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    cached = cache_directory() / "pictures" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.npz"
    arrays = _from_cache(cached, listing.hexdigest())
    if arrays is None:
        images = _prepare(splits[0] + splits[1])
        train = len(splits[0])
        labels = [np.array([classes.index(path.parent.name) for path in split], np.uint8) for split in splits]
        arrays = [images[:train], labels[0], images[train:], labels[1]]
        _to_cache(cached, listing.hexdigest(), arrays)
    return FolderContent(arrays, None, tuple(classes), from_pictures=True)


def _subfolders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"Cannot read {folder}: {reason(error)}.") from error


def _picture_files(folder: Path, classes: list[str]) -> list[Path]:
    """Every picture, in an order that mixes the classes and depends on the names alone."""
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
    """The pictures as they are if all have one allowed size, else scaled, uint8 (n, height, width)."""
    from cnnmnist.data.pictures import fit_picture, read_picture

    whole: list[Images] = []
    scaled: list[Images] = []
    for path in paths:
        pixels = read_picture(path)
        scaled.append(fit_picture(pixels, PICTURE_SHAPE))
        shape = pixels.shape[:2]
        if all(side in SIDES for side in shape) and (not whole or shape == whole[0].shape):
            whole.append(fit_picture(pixels, shape))
    return np.stack(whole if len(whole) == len(paths) else scaled)


def _from_cache(path: Path, listing: str) -> list[Images] | None:
    # A damaged archive makes zipfile and NumPy raise nearly anything; the pictures are still there.
    with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as cached:
        if str(cached["listing"]) == listing:
            return [cached[stem] for stem in STEMS]
    return None


def _to_cache(path: Path, listing: str, arrays: list[Images]) -> None:
    # Without a cache the pictures are prepared anew the next time.
    with contextlib.suppress(WriteError), replacing(path) as temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = dict(zip(STEMS, arrays, strict=True))
        np.savez(temporary, listing=np.array(listing), **content)
