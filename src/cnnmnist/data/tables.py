"""Tables of images: CSV files as Kaggle has them, a line for each image with its label and its pixels."""

import hashlib
import io
import math
import os
import re
import warnings
from pathlib import Path

import numpy as np

from cnnmnist.data.layouts import (
    SIDES,
    TABLE_NAME,
    FolderContent,
    Images,
    choose_files,
    choose_test,
    entries,
    share_note,
)
from cnnmnist.errors import DataError, reason
from cnnmnist.files import open_file

MAX_BYTES = 1 << 32  # four times the size of EMNIST ByClass as a table
MAX_LINE = 1 << 20
LABELS = {"label", "class"}


def read_tables(folder: Path, name: str | None) -> FolderContent | None:
    """Read ``train.csv`` and ``test.csv``, whose names may have a common prefix; None if there is no train.csv.

    The first line may name the columns; the labels are in the column ``label``, by default the first. If test.csv
    is missing or has no labels, as in Kaggle's competition, the images of train.csv are divided by their content.

    Args:
        folder: absolute path.
        name: the prefix to choose if there are several.

    Raises:
        DataError: a table is damaged, or the folder holds several data sets.
    """
    tables: dict[str, dict[str, Path]] = {}
    for path in entries(folder):
        if match := TABLE_NAME.fullmatch(path.name.lower()):
            tables.setdefault(match[1] or "", {})[match[2]] = path
    tables = {prefix: files for prefix, files in tables.items() if "train" in files}
    if not tables:
        return None
    prefix, files = choose_files(folder, tables, name)
    train = _read_table(files["train"])
    if train is None:
        raise DataError(f"{files['train']} has no column named label: it must hold the class of each image.")
    test = _read_table(files["test"]) if "test" in files else None
    if test:
        return FolderContent([*train, *test], prefix or None)
    images, labels = train
    chosen = choose_test([hashlib.sha256(image.data).digest() for image in images], labels)
    arrays = [images[~chosen], labels[~chosen], images[chosen], labels[chosen]]
    return FolderContent(arrays, prefix or None, notes=(share_note(folder),))


def _read_table(path: Path) -> tuple[Images, Images] | None:
    """Read images, uint8 (n, side, side), and labels, uint8 (n,); None if no column is named label."""
    try:
        with io.TextIOWrapper(open_file(path), encoding="utf-8-sig") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
            names = [name.strip(' "').lower() for name in file.readline(MAX_LINE).strip().split(",")]
            column = 0
            if not all(re.fullmatch(r"\d+", name) for name in names):
                if not LABELS & set(names):
                    return None
                column = next(index for index, each in enumerate(names) if each in LABELS)
            else:
                file.seek(0)
            with warnings.catch_warnings(action="ignore"):  # of a table without lines, which is refused below
                values = np.loadtxt(iter(lambda: file.readline(MAX_LINE), ""), np.uint8, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no table of labels and pixels from 0 to 255: {reason(error)}.") from error
    side = math.isqrt(max(len(names) - 1, 0))
    if side * side != len(names) - 1 or side not in SIDES:
        raise DataError(
            f"{path} has {len(names)} columns: there must be a label and the pixels of square images with sides "
            f"of {SIDES.start} to {SIDES.stop - 1} pixels."
        )
    if values.shape[1] != len(names):
        raise DataError(f"{path} holds no images: a line for each was expected.")
    pixels = np.delete(values, column, axis=1)
    return pixels.reshape(-1, side, side), values[:, column].copy()
