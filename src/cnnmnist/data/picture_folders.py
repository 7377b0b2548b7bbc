"""Folders of pictures sorted by class, read as arrays, which the cache keeps."""

import contextlib
import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import numpy as np

from cnnmnist.data.download import cache_directory
from cnnmnist.data.layouts import (
    SIDES,
    FolderContent,
    Images,
    check_class_names,
    choose_test,
    counted,
    entries,
    is_ignored,
    share_note,
    subfolders,
)
from cnnmnist.data.registry import Preparation
from cnnmnist.errors import DataError, PictureError, WriteError, reason
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


@dataclass(frozen=True)
class _Picture:
    path: Path
    split: str
    label: int
    order: bytes
    """Digest of the path below the folder of the split, which mixes the classes."""


@dataclass(frozen=True)
class _Prepared:
    """What the cache keeps: images, labels, and the index of the split in ``ORDER``, all uint8."""

    images: Images
    labels: Images
    splits: Images
    passed: dict[str, int]


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
    classes = [path.name for path in subfolders(splits["train"])]
    check_class_names(splits["train"], classes)
    only_test = expected and expected.only_test and "test" in splits
    pictures, passed = _find_pictures({"test": splits["test"]} if only_test else splits, classes)
    divides = "test" not in splits and not (expected and expected.preparation == "digits")
    listing = _listing(folder, pictures, (version("cnnmnist"), expected, skip_damaged))
    # One file for each use of a folder, so that a training and an evaluation do not overwrite each other's.
    use = hashlib.sha256(f"{folder}|{expected}".encode(errors="surrogateescape")).hexdigest()[:16]
    cached = cache_directory() / "pictures" / f"{use}.npz"
    prepared = _read_cache(cached, listing)
    if prepared is None:
        prepared = _prepare(folder, _divided(pictures) if divides else pictures, expected, skip_damaged)
        _write_cache(cached, listing, prepared)
    images, labels = prepared.images, prepared.labels
    test = prepared.splits == ORDER.index("test")
    # A network of MNIST's digits was trained on none of these pictures: without splits, each of them tests it.
    train, test = (~test, test) if divides or "test" in splits else (test | True, test | True)
    for name, count in zip(classes, np.bincount(labels[train], minlength=len(classes)), strict=True):
        if not count and not expected:
            raise DataError(f"All pictures in {splits['train'] / name} were passed over: the class needs others.")
    if test.sum() < 2 or (train.sum() < 2 and not expected):
        raise DataError(f"Too few of the pictures in {folder} can be used: at least 2 are needed in each split.")
    notes = [share_note(folder)] if divides else []
    unread = prepared.passed.pop("damaged", 0)
    if passed or unread:
        total = len(pictures) + passed.total()
        notes.append(counted(passed | ({"damaged": unread} if unread else {}), total, "files"))
    if prepared.passed:
        notes.append(counted(prepared.passed, len(pictures) - unread, "pictures"))
    validation = int((prepared.splits == ORDER.index("validation")).sum())
    return FolderContent(
        [images[train], labels[train], images[test], labels[test]],
        class_names=tuple(classes),
        from_pictures=True,
        validation=validation if "validation" in splits else None,
        notes=tuple(notes),
    )


def _find_pictures(splits: dict[str, Path], classes: list[str]) -> tuple[list[_Picture], Counter[str]]:
    """Find all pictures, and count the files that are none by their kind."""
    suffixes = _picture_suffixes()
    passed: Counter[str] = Counter()
    pictures: list[_Picture] = []
    for split in sorted(splits, key=ORDER.index):
        folder, before = splits[split], len(pictures)
        passed.update(_kind(path) for path in entries(folder) if not path.is_dir())
        for path in subfolders(folder):
            if path.name not in classes:
                raise DataError(f"{path} is of a class that the training split does not have.")
            count = len(pictures)
            for root, folders, names in os.walk(path, onerror=_refuse):
                folders[:] = [each for each in folders if not is_ignored(each)]
                passed["linked"] += sum(Path(root, each).is_symlink() for each in folders)
                for file in (Path(root, name) for name in names if not is_ignored(name)):
                    if file.suffix.lower() not in suffixes:
                        passed[_kind(file)] += 1
                        continue
                    order = hashlib.sha256(os.fsencode(file.relative_to(folder).as_posix())).digest()
                    pictures.append(_Picture(file, split, classes.index(path.name), order))
            if len(pictures) == count:
                raise DataError(f"There are 0 pictures in {path}: every class needs some, or remove the folder.")
        if len(pictures) - before < 2:
            found = len(pictures) - before
            raise DataError(f"There are {found} pictures in the folders of {folder}: at least 2 are needed.")
    return sorted(pictures, key=lambda each: (ORDER.index(each.split), each.order)), Counter(
        dict(sorted((+passed).items()))
    )


def _picture_suffixes() -> set[str]:
    from PIL import Image

    from cnnmnist.data.pictures import FORMATS

    return {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}


def _kind(path: Path) -> str:
    return path.suffix.lower() or "without suffix"


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"Cannot read {error.filename}: {reason(error)}.") from error


def _listing(folder: Path, pictures: list[_Picture], use: object) -> str:
    """Digest of everything on which the prepared images depend."""
    digest = hashlib.sha256(repr(use).encode())
    for each in pictures:
        size, time = 0, 0  # of a broken link
        with contextlib.suppress(OSError):
            status = each.path.stat()
            size, time = status.st_size, status.st_mtime_ns
        name = os.fsencode(each.path.relative_to(folder).as_posix())
        digest.update(name + f"|{each.split}|{each.label}|{size}|{time}\n".encode())
    return digest.hexdigest()


def _divided(pictures: list[_Picture]) -> list[_Picture]:
    """Divide the pictures of a folder without splits by the content of their files."""
    digests = [each.order for each in pictures]  # for files that cannot be read
    for number, each in enumerate(pictures):
        with contextlib.suppress(OSError), open_file(each.path) as file:
            digests[number] = hashlib.file_digest(file, "sha256").digest()
    chosen = choose_test(digests, np.array([each.label for each in pictures], np.uint8))
    return [
        _Picture(each.path, "test" if in_test else "train", each.label, each.order)
        for each, in_test in zip(pictures, chosen, strict=True)
    ]


def _prepare(
    folder: Path, pictures: list[_Picture], expected: NetworkInput | None, skip_damaged: bool
) -> _Prepared:
    """Read the pictures, make them images, and pass over those that cannot be used."""
    from cnnmnist.data.pictures import fit_picture, prepare_whole, read_picture  # imports Pillow

    if expected and expected.preparation == "digits":
        from cnnmnist.data.preprocessing import prepare_picture  # imports OpenCV

    images: list[Images] = []
    unscaled: list[Images] = []
    used: list[_Picture] = []
    damaged: dict[Path, PictureError] = {}
    passed = Counter({"without a digit": 0, "with several": 0})
    for each in pictures:
        try:
            pixels = read_picture(each.path).pixels
        except PictureError as error:
            damaged[each.path] = error
            continue
        if expected and expected.preparation == "digits":
            try:
                digits = prepare_picture(pixels, expected.image_shape)
            except PictureError:
                digits = np.empty((0, *expected.image_shape), np.uint8)
            if len(digits) != 1:
                passed["with several" if len(digits) else "without a digit"] += 1
                continue
            images.append(digits[0])
        elif expected:
            images.append(prepare_whole(pixels, expected.image_shape, expected.background))
        else:
            images.append(fit_picture(pixels, PICTURE_SHAPE))
            shape = pixels.shape[:2]
            if all(side in SIDES for side in shape) and (not unscaled or shape == unscaled[0].shape):
                unscaled.append(fit_picture(pixels, shape))
        used.append(each)
    if damaged and not skip_damaged:
        raise PictureError(_describe(folder, damaged))
    if damaged:
        passed["damaged"] = len(damaged)
    chosen = unscaled if not expected and len(unscaled) == len(images) else images
    return _Prepared(
        np.stack(chosen) if chosen else np.empty((0, *PICTURE_SHAPE), np.uint8),
        np.array([each.label for each in used], np.uint8),
        np.array([ORDER.index(each.split) for each in used], np.uint8),
        dict(+passed),
    )


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


def _read_cache(path: Path, listing: str) -> _Prepared | None:
    # zipfile and NumPy raise nearly anything for a damaged archive; then the pictures are read again.
    with contextlib.suppress(Exception), open_file(path) as file, np.load(file, allow_pickle=False) as cached:
        if str(cached["listing"]) == listing:
            passed = json.loads(str(cached["passed"]))
            return _Prepared(cached["images"], cached["labels"], cached["splits"], passed)
    return None


def _write_cache(path: Path, listing: str, prepared: _Prepared) -> None:
    # Without a cache the pictures are prepared again the next time.
    with contextlib.suppress(WriteError), replacing(path) as temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            temporary,
            listing=np.array(listing),
            images=prepared.images,
            labels=prepared.labels,
            splits=prepared.splits,
            passed=np.array(json.dumps(prepared.passed)),
        )
