"""Tables of images: CSV files as Kaggle has them, a line for each image with its label and its pixels."""

import io
import math
import os
import re
import warnings
from pathlib import Path

import numpy as np

from cnnmnist.data.layouts import SIDES, Images
from cnnmnist.errors import DataError, raised_as
from cnnmnist.files import open_file

MAX_BYTES = 1 << 32  # four times the size of EMNIST ByClass as a table
MAX_LINE = 1 << 20
LABELS = {"label", "class"}


def read_table(path: Path) -> tuple[Images, Images] | None:
    """Read a table whose labels are in the column that the first line calls ``label``, by default the first.

    Returns:
        Images, uint8 (n, side, side), and labels, uint8 (n,); None if no column has the name ``label``.

    Raises:
        DataError: the file is no such table.
    """
    with (
        raised_as(DataError, f"{path} is no table of labels and pixels from 0 to 255", Exception),
        io.TextIOWrapper(open_file(path), encoding="utf-8-sig") as file,
    ):
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        names = [name.strip(' "').lower() for name in file.readline(MAX_LINE).strip().split(",")]
        column = next((index for index, each in enumerate(names) if each in LABELS), 0)
        # pandas writes 0, 1, 2, ... as the names of columns that have none.
        if all(re.fullmatch(r"\d+", name) for name in names) and names != [*map(str, range(len(names)))]:
            file.seek(0)
        elif names[column] not in LABELS:
            return None
        side = math.isqrt(max(len(names) - 1, 0))
        if side * side != len(names) - 1 or side not in SIDES:
            raise DataError(
                f"{path} has {len(names)} columns: there must be a label and the pixels of square images with "
                f"sides of {SIDES.start} to {SIDES.stop - 1} pixels."
            )
        lines = iter(lambda: file.readline(MAX_LINE), "")
        with warnings.catch_warnings(action="ignore"):  # of a table without lines, which is refused below
            values = np.loadtxt(lines, np.uint8, delimiter=",", comments=None, ndmin=2)
    if values.shape[1] != len(names):
        raise DataError(f"{path} must have a line of {len(names)} numbers for each image.")
    pixels = np.delete(values, column, axis=1)
    return pixels.reshape(-1, side, side), values[:, column].copy()
