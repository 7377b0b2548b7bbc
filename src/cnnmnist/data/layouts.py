"""Layouts of folders: where the splits and the classes are, and how a folder without splits is divided."""

import hashlib
import itertools
import math
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.registry import Preparation
from cnnmnist.errors import DataError, raised_as

Images = NDArray[np.uint8]
STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# Such as train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-letters-test-images-idx3-ubyte.gz, and
# qmnist-test-labels-idx2-int.gz.
IDX_NAME = re.compile(r"(?:(.+)-)?(train|t10k|test)-(images|labels)[-.](?:idx[13]-ubyte|idx2-int)(?:\.gz)?")
TABLE_NAME = re.compile(r"(?:(.+)[-_])?(train|test)\.csv", re.IGNORECASE)
# Such as train, Testing, validation, training_set, testSet, mnist_train, test1.
SPLIT_NAME = re.compile(
    r"(?:.+[-_ ])?(train|test|val)(ing|id|idation)?[-_ ]?(data|set|images)*[-_ ]?\d*", re.IGNORECASE
)
CLASSES = range(2, 101)  # allowed numbers of classes
SIDES = range(8, 65)  # allowed heights and widths of an image in pixels
TEST_SHARE = 7  # one image of so many, as in MNIST, is the test split of a folder without one
SEARCHED = 500  # folders, at most, in which the data set of a wrong folder is searched


@dataclass(frozen=True)
class FolderContent:
    """The content of a folder."""

    arrays: list[Images]
    """Images, uint8 (n, height, width), and labels, uint8 (n,), in the order of ``STEMS``."""
    files: tuple[str, ...] = STEMS
    """Names of the files of the four arrays, for messages."""
    name: str | None = None
    """Common prefix of the files' names."""
    class_names: tuple[str, ...] | None = None
    """Names by label, perhaps of more labels than there are; None if the folder does not name the classes."""
    preparation: Preparation | None = None
    """How pictures became the images; None if the images were not made from pictures."""
    validation: int | None = None
    """Number of the first training images that are the folder's own validation split; None if it has none."""
    notes: tuple[str, ...] = ()
    """Sentences about what was passed over, and what the program decided itself."""


def is_ignored(name: str) -> bool:
    """Whether a file or folder is none of the user's: dot files, and what macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def entries(folder: Path) -> list[Path]:
    """List what a folder holds, in the order of the names, without the ignored names.

    Raises:
        DataError: the folder is missing, or cannot be read.
    """
    with raised_as(DataError, f"Cannot read {folder}", Exception):  # ValueError: a NUL in the name
        return sorted(path for path in folder.iterdir() if not is_ignored(path.name))


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, numbered ones in the order of their numbers.

    Raises:
        DataError: the folder is missing, or cannot be read.
    """
    found = [path for path in entries(folder) if os.path.isdir(path)]  # noqa: PTH112 - Path.is_dir may raise
    return sorted(found, key=lambda path: int(path.name) if path.name.isdecimal() else math.inf)


def split_folders(folder: Path) -> dict[str, Path]:
    """Find the folders ``train``, ``test`` and ``validation`` of a folder, under any of their usual names.

    Returns:
        The folders by split; empty if there is no training split. A validation split is the test split of a folder
        that has no other.

    Raises:
        DataError: there are several folders for one split.
    """
    named: dict[str, list[Path]] = {}
    for path in subfolders(folder):
        if match := SPLIT_NAME.fullmatch(path.name):
            named.setdefault(match[1].lower().replace("val", "validation"), []).append(path)
    # A folder train that holds pictures, beside car and plane, is a class.
    if "train" not in named or not (subfolders(named["train"][0]) or len(named) > 1):
        return {}
    found = {}
    for split, paths in named.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise DataError(f"{folder} has several folders for the {split} split: {names}; move the others away.")
        inner = paths[0] / paths[0].name  # in archives of Kaggle
        found[split] = inner if subfolders(paths[0]) == [inner] else paths[0]
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    return found


def find_files(folder: Path, pattern: re.Pattern[str], name: str | None) -> tuple[str, dict[str, Path]]:
    """Find the files with the prefix ``name``, or those without a prefix, or the only ones.

    The groups of the pattern, ``IDX_NAME`` or ``TABLE_NAME``, are the prefix, the split and perhaps the kind.

    Returns:
        The prefix, and the files by split and kind, such as ``test`` or ``t10k-images``; no files if no prefix has
        a training split.

    Raises:
        DataError: there are several prefixes, and ``name`` is none of them.
    """
    found: dict[str, dict[str, Path]] = {}
    # Kaggle's copy of MNIST has folders that are called like the files, and hold them once more.
    for path in sorted(entries(folder), key=Path.is_dir):
        if match := pattern.fullmatch(path.name):
            prefix, *kind = match.groups(default="")
            file = path / path.name if path.is_dir() and pattern is IDX_NAME else path
            found.setdefault(prefix, {}).setdefault("-".join(kind).lower(), file)
    found = {prefix: files for prefix, files in found.items() if any(kind.startswith("train") for kind in files)}
    for prefix in (name, "", *(found if len(found) == 1 else ())):
        if prefix in found:
            return prefix, found[prefix]
    if found:
        raise DataError(
            f"There are several data sets in {folder}: choose one of {', '.join(found)} with --dataset."
        )
    return "", {}


def data_sets_inside(folder: Path) -> list[Path]:
    """Search the folders in a folder for those that hold IDX files, tables or training splits."""
    found: list[Path] = []
    for root, folders, names in itertools.islice(os.walk(folder), SEARCHED):
        folders[:] = sorted(each for each in folders if not is_ignored(each))
        files = any(pattern.fullmatch(name) for name in names for pattern in (IDX_NAME, TABLE_NAME))
        if Path(root) != folder and (files or split_folders(Path(root))):
            found.append(Path(root))
            folders.clear()
    return found


def class_name(folder: Path) -> str:
    """The name of a folder with its accents composed: macOS writes them as characters of their own."""
    return unicodedata.normalize("NFC", folder.name)


def class_names(folder: Path) -> list[str]:
    """The names of the folders in a folder, one for each class.

    Raises:
        DataError: there are too few or too many, or a name has a character that cannot be shown.
    """
    names = [class_name(path) for path in subfolders(folder)]
    if len(names) not in CLASSES:
        raise DataError(
            f"{folder} must have {CLASSES.start} to {CLASSES.stop - 1} folders, one for each class, but has "
            f"{len(names)}."
        )
    for name in names:
        for wrong in (each for each in name if not each.isprintable()):
            raise DataError(
                f"The folder {name!a} in {folder} has the character U+{ord(wrong):04X} "
                f"({unicodedata.name(wrong, 'without a name')}) in its name, which cannot be shown: give the "
                "class a printable name."
            )
    return names


def choose_test(images: Images, labels: Images) -> NDArray[np.bool_]:
    """Choose a seventh of each class by the images' content alone, so that equal images are in the same split.

    Returns:
        Whether each image, of uint8 (n, height, width), is in the test split, bool (n,).
    """
    digests = [hashlib.sha256(image.data).digest() for image in images]
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        ranked = sorted(digests[index] for index in own)
        last = ranked[max(1, round(len(own) / TEST_SHARE)) - 1]
        if last < ranked[-1]:
            chosen[own] = [digests[index] <= last for index in own]
    return chosen


def share_note(folder: Path) -> str:
    """Say how a folder without a test split was divided."""
    return f"{folder} has no test split: one image in {TEST_SHARE}, chosen by its content, is the test split."


def counted(passed: dict[str, int], total: int, noun: str) -> str:
    """Say how many files were passed over, such as ``7 of 60 files were passed over: 3 .txt, 4 damaged``."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in passed.items())
    number = sum(passed.values())
    return f"{number:,} of {total:,} {noun} {'was' if number == 1 else 'were'} passed over: {kinds}."
