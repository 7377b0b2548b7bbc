"""Folders of pictures sorted by class, read as arrays, which the cache keeps."""

import contextlib
import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.download import cache_directory
from cnnmnist.data.layouts import (
    SIDES,
    SPLIT_NAME,
    FolderContent,
    Images,
    choose_test,
    class_name,
    class_names,
    counted,
    entries,
    is_ignored,
    share_note,
    subfolders,
)
from cnnmnist.data.registry import Preparation
from cnnmnist.errors import DataError, DownloadError, PictureError, WriteError, reason
from cnnmnist.files import open_file, replacing

PICTURE_SHAPE = (28, 28)  # for pictures that do not all have one allowed size
ORDER = ("validation", "train", "test")  # of the splits in the cache
SHOWN_NAMES = 10  # of damaged pictures


@dataclass(frozen=True)
class NetworkInput:
    """The images that a network expects, into which pictures are made."""

    preparation: Preparation
    image_shape: tuple[int, int]
    """Height and width in pixels."""
    background: int | None = None
    """As :attr:`cnnmnist.data.loading.Dataset.background`."""
    only_test: bool = False
    """Whether the test split is enough, where a folder has one; then the other splits are empty."""


class _Picture(NamedTuple):
    path: Path
    split: int
    """Index in ``ORDER``."""
    label: int


def read_picture_folder(
    folder: Path, splits: dict[str, Path], expected: NetworkInput | None = None, *, skip_damaged: bool = False
) -> FolderContent:
    """Read the pictures in the folders of the classes, and in the folders inside of these.

    Args:
        folder: absolute path of the data set.
        splits: the folders ``train``, ``test`` and perhaps ``validation``; with ``train`` alone, its pictures are
            divided by their content or, for a network of MNIST's digits, are in every split.
        expected: what the pictures are made into. By default they become grey images of 28x28 pixels, or keep
            their size if all have the same size, with sides of 8 to 64 pixels.
        skip_damaged: whether to pass over damaged pictures instead of refusing the folder.

    Raises:
        DataError: a class has no pictures or no printable name, or a folder cannot be read.
        PictureError: pictures are damaged.
    """
    classes = class_names(splits["train"])
    only_test = expected and expected.only_test and "test" in splits
    pictures, passed = _find_pictures({"test": splits["test"]} if only_test else splits, classes)
    listing = _listing(folder, pictures, (version("cnnmnist"), expected, skip_damaged, sorted(passed.items())))
    # One file for each use of a folder, so that a training and an evaluation do not overwrite each other's.
    use = hashlib.sha256(f"{folder}|{expected}".encode(errors="surrogateescape")).hexdigest()[:16]
    cached = Path(os.devnull, use)
    with contextlib.suppress(DownloadError):
        cached = cache_directory() / "pictures" / f"{use}.npz"
    prepared = _read_cache(cached, listing)
    if prepared is None:
        prepared = _prepare(folder, pictures, passed, expected, skip_damaged)
        # Without a cache the pictures are prepared again the next time.
        with contextlib.suppress(WriteError), replacing(cached, make_folder=True) as temporary:
            np.savez(temporary, np.array(listing), *prepared)
    images, labels, split, counts = prepared
    test, notes = split == ORDER.index("test"), [*_structure_notes(folder, splits), *counts.tolist()]
    train = ~test
    if "test" not in splits and expected and expected.preparation == "digits":
        # A network of MNIST's digits was trained on none of these pictures: each of them tests it.
        test = train
    elif "test" not in splits:
        test = choose_test(images, labels)
        train, notes = ~test, [share_note(folder), *notes]
    for name, count in zip(classes, np.bincount(labels[train], minlength=len(classes)), strict=True):
        if not count and not expected:
            raise DataError(f"All pictures in {splits['train'] / name} were passed over: the class needs others.")
    if test.sum() < 2:
        raise DataError(f"Too few of the pictures in {folder} can be used: at least 2 are needed in each split.")
    return FolderContent(
        [images[train], labels[train], images[test], labels[test]],
        class_names=tuple(classes),
        preparation=expected.preparation if expected else "whole",
        validation=int((split == ORDER.index("validation")).sum()) if "validation" in splits else None,
        notes=tuple(notes),
    )


def _structure_notes(folder: Path, splits: dict[str, Path]) -> list[str]:
    """Sentences about folders that the user may have meant for something else."""
    notes = []
    others = [path.name for path in subfolders(folder) if not SPLIT_NAME.fullmatch(path.name)]
    if "test" in splits and others:
        notes.append(f"{folder} has folders that are no splits and were passed over: {', '.join(others)}.")
    classes = subfolders(splits["train"])
    first, last = ({path.name for path in subfolders(each)} for each in (classes[0], classes[-1]))
    if len(shared := first & last) > 1:
        names = ", ".join(sorted(shared))
        notes.append(f"The classes are the folders in {splits['train']}, and not those in each of them: {names}.")
    return notes


def _find_pictures(splits: dict[str, Path], classes: list[str]) -> tuple[list[_Picture], Counter[str]]:
    """Find all pictures, and count the other files by their kind."""
    from PIL import Image

    from cnnmnist.data.pictures import FORMATS

    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    passed: Counter[str] = Counter()
    pictures: list[_Picture] = []
    for number, split in enumerate(ORDER):
        if split not in splits:
            continue
        folder, found = splits[split], list[_Picture]()
        passed.update(_kind(path) for path in entries(folder) if not path.is_dir())
        for path in subfolders(folder):
            if class_name(path) not in classes:
                raise DataError(f"{path} is of a class that the training split does not have.")
            count = len(found)
            for root, folders, names in os.walk(path, onerror=_refuse):
                folders[:] = [each for each in folders if not is_ignored(each)]
                passed["linked"] += sum(Path(root, each).is_symlink() for each in folders)
                for file in (Path(root, name) for name in names if not is_ignored(name)):
                    if file.suffix.lower() in suffixes:
                        found.append(_Picture(file, number, classes.index(class_name(path))))
                    else:
                        passed[_kind(file)] += 1
            if len(found) == count:
                raise DataError(f"There are 0 pictures in {path}: every class needs some, or remove the folder.")
        if len(found) < 2:
            raise DataError(f"There are {len(found)} pictures in {folder}/CLASS/: at least 2 are needed.")
        # An order that mixes the classes and depends on the names alone.
        pictures += sorted(found, key=lambda each: hashlib.sha256(_name(each.path, folder)).digest())
    return pictures, +passed


def _name(path: Path, folder: Path) -> bytes:
    return os.fsencode(path.relative_to(folder).as_posix())


def _kind(path: Path) -> str:
    return path.suffix.lower() or "without suffix"


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"Cannot read {error.filename}: {reason(error)}.") from error


def _listing(folder: Path, pictures: list[_Picture], use: object) -> str:
    """Digest of everything on which the prepared images depend."""
    digest = hashlib.sha256(repr(use).encode())
    for path, split, label in pictures:
        stamp = None  # of a broken link
        with contextlib.suppress(OSError):
            status = path.stat()
            # An archive may give all its files one time, but no program chooses the time of a change.
            stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns
        digest.update(_name(path, folder) + f"|{split}|{label}|{stamp}\n".encode())
    return digest.hexdigest()


def _prepare(
    folder: Path,
    pictures: list[_Picture],
    passed: Counter[str],
    expected: NetworkInput | None,
    skip_damaged: bool,
) -> list[NDArray[Any]]:
    """Read the pictures, make them images, and pass over those that cannot be used.

    Returns:
        Images, labels and indices of the splits, all uint8, and sentences about what was passed over.
    """
    from cnnmnist.data.pictures import fit_picture, read_picture  # imports Pillow

    images: list[Images] = []
    unscaled: list[Images] = []
    used: list[_Picture] = []
    damaged: dict[Path, PictureError] = {}
    wrong = Counter({"without a digit": 0, "with several": 0})
    for each in pictures:
        try:
            pixels = read_picture(each.path).pixels
        except PictureError as error:
            damaged[each.path] = error
            continue
        made = _images(pixels, expected or NetworkInput("whole", PICTURE_SHAPE))
        if len(made) != 1:
            wrong["with several" if len(made) else "without a digit"] += 1
            continue
        images.append(made[0])
        used.append(each)
        shape = pixels.shape[:2]
        if not expected and all(side in SIDES for side in shape) and (not unscaled or shape == unscaled[0].shape):
            unscaled.append(fit_picture(pixels, shape))
    if damaged and not skip_damaged:
        raise PictureError(_describe(folder, damaged))
    chosen = unscaled if len(unscaled) == len(images) else images
    files = dict(sorted(passed.items())) | ({"damaged": len(damaged)} if damaged else {})
    counts = [(files, len(pictures) + passed.total(), "files"), (+wrong, len(pictures) - len(damaged), "pictures")]
    return [
        np.stack(chosen) if chosen else np.empty((0, *PICTURE_SHAPE), np.uint8),
        np.array([each.label for each in used], np.uint8),
        np.array([each.split for each in used], np.uint8),
        np.array([counted(*each) for each in counts if each[0]], str),
    ]


def _images(pixels: NDArray[np.float32], expected: NetworkInput) -> Images:
    """Make the images for a network, uint8 (n, height, width): the whole picture, or each digit in it."""
    if expected.preparation == "whole":
        from cnnmnist.data.pictures import prepare_whole

        return prepare_whole(pixels, expected.image_shape, expected.background)[np.newaxis]
    from cnnmnist.data.preprocessing import prepare_picture  # imports OpenCV

    try:
        return prepare_picture(pixels, expected.image_shape)
    except PictureError:
        return np.empty((0, *expected.image_shape), np.uint8)


def _describe(folder: Path, damaged: dict[Path, PictureError]) -> str:
    """Say which pictures cannot be read; one alone, with the reason."""
    if len(damaged) == 1:
        (error,) = damaged.values()
        return f"{str(error).rstrip('.')}; --skip-damaged leaves it out."
    names = [str(path.relative_to(folder)) for path in damaged]
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return (
        f"{len(names):,} pictures in {folder} cannot be read: {', '.join(names[:SHOWN_NAMES])}{more}; mend or "
        "remove them, or leave them out with --skip-damaged."
    )


def _read_cache(path: Path, listing: str) -> list[NDArray[Any]] | None:
    # zipfile and NumPy raise nearly anything for a damaged archive; then the pictures are read again.
    with contextlib.suppress(Exception), open_file(path) as file, np.load(file, allow_pickle=False) as cached:
        if str(cached["arr_0"]) == listing:
            return [cached[f"arr_{number}"] for number in range(1, 5)]
    return None
