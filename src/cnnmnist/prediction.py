"""A picture, and whose network is to read it -> the images for the network, and its answer in words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.pictures import Pixels, fit_picture
from cnnmnist.data.preprocessing import prepare_digits
from cnnmnist.runs.metadata import DatasetRecord


def prepare(pixels: Pixels, trained_on: DatasetRecord, name: str) -> NDArray[np.uint8]:
    """Make of a picture what the network of a run wants.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.data.pictures.read_picture` returns them.
        trained_on: the record of the run's data.
        name: what an error calls the picture.

    Returns:
        uint8 (digits, height, width), at least one digit, from left to right; one image of the whole picture if
        the network was trained on pictures.

    Raises:
        PictureError: there is nothing in the picture.
    """
    height, width = trained_on.image_shape
    if trained_on.from_pictures:
        return fit_picture(pixels, (height, width))[None]
    return prepare_digits(pixels, (height, width), name)


def answers(rows: NDArray[np.float32], names: list[str]) -> list[dict[str, Any]]:
    """For each digit what was read, as JSON documents say it.

    Args:
        rows: probabilities (digits, classes).
        names: of the classes.
    """
    return [
        {
            "digit": int(row.argmax()),
            "name": names[row.argmax()],
            "probability": float(row.max()),
            "probabilities": row.tolist(),
        }
        for row in rows
    ]


def in_a_row(rows: NDArray[np.float32], names: list[str]) -> str:
    """Digits are read as a number, longer names as words; the arguments are those of :func:`answers`."""
    separator = "" if all(len(name) == 1 for name in names) else " "
    return separator.join(names[row.argmax()] for row in rows)
