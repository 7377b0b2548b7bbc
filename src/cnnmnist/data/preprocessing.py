"""Preprocessing: images like those of the training data, made from the digits in a picture.

The authors of MNIST scaled each digit into 20x20 pixels with its aspect kept, which made its edges grey, and moved
its centre of mass to the middle of 28x28 pixels: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of
handwritten digits", 1998.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnmnist.data.ink import (
    CERTAIN_CONTRAST,
    SMALL_STROKE,
    STROKE,
    Floats,
    crop,
    depths,
    find_ink,
    full_ink,
    stroke_width,
)
from cnnmnist.data.paper import cut_to_paper
from cnnmnist.data.rulings import erase_rulings
from cnnmnist.data.segmentation import Piece, cut_out, find_digits
from cnnmnist.errors import PictureError

FEW_PIXELS = 40_000  # smaller pictures are enlarged to this size
FAINT = 0.35  # of full ink; fainter pixels are background
PALE = 0.7  # of certain ink is the ink of the palest other pen
BOX = 20 / 28  # longer side of a digit, as a fraction of the image's shorter side
FINE = 6  # pixels per pixel of the image, for measuring strokes
NARROW, WIDE = 2.6, 3.6  # stroke widths in pixels of 28x28; in MNIST 5 % are below 1.9, and 5 % above 4.3

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class InkedDigit:
    """The ink that is probably one digit, and its place."""

    ink: Floats
    """Float32 (height, width) in [0, 1], as small as the digit."""
    box: Box
    """Left, top, right and bottom, as fractions of the picture's width and height."""
    beside_sign: bool
    """Whether ink that is no digit stands in the same line, or something cuts the line."""


def find_lines(pixels: Floats, name: str = "The picture") -> list[list[InkedDigit]]:
    """Find the digits in a picture: lines from top to bottom, each with its digits from left to right.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.data.pictures.read_picture` returns them;
            the digits may be dark or light, the light uneven, and the paper ruled or on a desk.
        name: name of the picture in an error message.

    Raises:
        PictureError: the picture shows no digit.
    """
    paper, corner = cut_to_paper(pixels)
    scale = max(1.0, math.sqrt(FEW_PIXELS / (paper.shape[0] * paper.shape[1])))
    if scale > 1:
        paper = cv2.resize(paper, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    with_rulings = find_ink(paper)
    ink = erase_rulings(with_rulings)
    full = full_ink(ink, STROKE)
    if full is None and np.array_equal(ink, with_rulings):  # what is left of rulings is short, too
        full = full_ink(ink, SMALL_STROKE)
    if full is None:
        raise PictureError(f"{name} shows no digit: nothing in it differs enough from the background.")
    ink = clear_ink(ink / _own_full(ink, full))
    labels, lines = find_digits(ink)
    if not lines:
        raise PictureError(f"{name} shows no digit, but a pattern or something at its edge: cut out the digits.")
    start, size = np.array(corner * 2), np.array(pixels.shape[1::-1] * 2)

    def box(digit: Piece) -> Box:
        corners = np.array([digit.left, digit.top, digit.right, digit.bottom])
        left, top, right, bottom = np.minimum((start + corners / scale) / size, 1.0).tolist()
        return left, top, right, bottom

    return [
        [InkedDigit(cut_out(ink, labels, digit), box(digit), digit.beside_sign) for digit in line]
        for line in lines
    ]


def clear_ink(ink: Floats) -> Floats:
    """Clear ink, float32 (height, width) and 1 where it is full, of what is so faint that it is background."""
    cleared: Floats = np.clip((ink - FAINT) / (1 - FAINT), 0, 1)
    return cleared


def _own_full(ink: Floats, full: float) -> Floats | float:
    """The full ink of the pen with which each connected piece was written, float32 (height, width), or of all."""
    if full <= CERTAIN_CONTRAST:  # what is paler than a faint pen may be grain
        return full
    count, labels = cv2.connectedComponents((ink > PALE * FAINT * full).astype(np.uint8))
    darkest = np.zeros(count, np.float32)
    np.maximum.at(darkest, labels, ink)
    own: Floats = np.clip(darkest, PALE * full, full)[labels]
    return own


def prepare_picture(
    pixels: Floats, image_shape: tuple[int, int] = (28, 28), *, name: str = "The picture"
) -> NDArray[np.uint8]:
    """Find the digits in a picture, as :func:`find_lines` does, and make each an image like MNIST's.

    Returns:
        uint8 (n, height, width), n at least 1; in a digit's image, the background is 0 and full ink is 255.

    Raises:
        PictureError: the picture shows no digit.
    """
    return np.stack([digit_image(digit.ink, image_shape) for line in find_lines(pixels, name) for digit in line])


def digit_image(ink: Floats, image_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a digit, correct the width of its strokes, and move its centre of mass to the middle of the image.

    Args:
        ink: float32 (height, width) in [0, 1], as small as the digit.
        image_shape: height and width of the result in pixels.

    Returns:
        uint8 ``image_shape``; full ink is 255.
    """
    side = round(BOX * min(image_shape))
    # Scaling must not lose the finest strokes.
    finest = math.ceil(max(ink.shape) / (side * FINE))
    fine = _scale(cv2.dilate(ink, np.ones((finest, finest), np.uint8)), side * FINE)
    digit = np.clip(_scale(_with_usual_strokes(fine, 28 / min(image_shape)), side), 0, 1)
    image = np.zeros(image_shape, np.float32)
    place = []
    for axis, (length, whole) in enumerate(zip(digit.shape, image_shape, strict=True)):
        center = float(np.average(np.arange(length), weights=digit.sum(axis=1 - axis)))
        first = round(whole / 2 - center)  # as in MNIST, whose centres of mass are all within 14 +- 0.5
        first = min(max(first, 0), whole - length)
        place.append(slice(first, first + length))
    image[tuple(place)] = digit
    return np.rint(image * 255).astype(np.uint8)


def _scale(ink: Floats, side: int) -> Floats:
    """Scale ink, float32 (height, width), to a longer side of ``side`` pixels, with its aspect kept."""
    factor = side / max(ink.shape)
    height, width = (max(1, round(length * factor)) for length in ink.shape)
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC), np.float32)


def _with_usual_strokes(ink: Floats, unit: float) -> Floats:
    """Widen strokes that scaling would make faint, and thin strokes that would fill the loops of a digit."""
    inside = np.pad(ink > ink.max() / 2, 1).astype(np.uint8)
    width = stroke_width(ink) / FINE * unit
    usual = min(max(width, NARROW), WIDE)
    if width == usual:
        return ink
    growth = (usual - width) / 2 * FINE / unit
    inside = np.pad(inside, max(0, math.ceil(growth)))
    return crop(np.clip(growth + 0.5 - depths(1 - inside) + depths(inside), 0, 1).astype(np.float32))
