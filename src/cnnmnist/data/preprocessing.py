"""Preprocessing: the pixels of any picture -> images like those that the network was trained on.

MNIST's digits were scaled into 20x20 pixels with their aspect kept, which made their edges grey, and placed in
28x28 pixels by their centre of mass: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten
digits", 1998. :mod:`cnnmnist.data.segmentation` first finds the ink and the digits.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cnnmnist.data.pictures import fit_picture
from cnnmnist.data.segmentation import Floats, cut_out, find_digits, find_ink, full_ink, resize
from cnnmnist.errors import PictureError

BOX = 20 / 28  # of an image's side, which the longer side of a digit fills
FINE = 6  # pixels for one of the prepared image, in which strokes are measured
NARROW, WIDE = 2.6, 3.6  # widths of strokes in pixels of 28x28; in MNIST 5 % have less than 1.9, 5 % over 4.3
FAINT = 0.35  # of full ink, up to which a pixel is background


def prepare_picture(
    pixels: Floats, image_shape: tuple[int, int], *, from_pictures: bool, name: str = "The picture"
) -> NDArray[np.uint8]:
    """Prepare a picture as the data of a training were prepared.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.data.pictures.read_picture` returns them.
        image_shape: height and width that the network takes.
        from_pictures: whether the network was trained on whole pictures instead of single digits.
        name: how an error names the picture.

    Returns:
        uint8 (n, \\*image_shape), n at least 1: the digits from left to right, or one image of the whole picture.

    Raises:
        PictureError: the picture shows nothing.
    """
    if from_pictures:
        return fit_picture(pixels, image_shape)[None]
    return prepare_digits(pixels, image_shape, name)


def prepare_digits(
    pixels: Floats, image_shape: tuple[int, int] = (28, 28), name: str = "The picture"
) -> NDArray[np.uint8]:
    """Find the digits in a picture, from left to right, and make each an image like MNIST's.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.data.pictures.read_picture` returns them;
            dark on light or light on dark, evenly lit or not.
        image_shape: height and width that the network wants.
        name: what an error calls the picture.

    Returns:
        uint8 (digits, \\*image_shape), at least one digit; ink is 255.

    Raises:
        PictureError: there is nothing in the picture.
    """
    ink = find_ink(pixels)
    full = full_ink(ink)
    if full is None:
        raise PictureError(f"{name} shows no digit: nothing in it differs enough from the background.")
    ink = np.clip((ink / full - FAINT) / (1 - FAINT), 0, 1)
    labels, digits = find_digits(ink)
    if not digits:
        raise PictureError(f"{name} shows no digits but a pattern: cut the digits out of it.")
    return np.stack([_normalize(cut_out(ink, labels, digit), image_shape) for digit in digits])


def _normalize(ink: Floats, image_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a digit into the box, its strokes not too thin, and place it by its centre of mass."""
    side = round(BOX * min(image_shape))
    # Even the finest stroke must not be lost between the pixels in which strokes are measured.
    ink = ndimage.maximum_filter(ink, math.ceil(max(ink.shape) / (side * FINE)))
    fine = _with_usual_strokes(resize(ink, side * FINE), 28 / min(image_shape))
    digit = np.clip(resize(fine, side), 0, 1)
    image = np.zeros(image_shape, np.float32)
    place = []
    for center, length, whole in zip(ndimage.center_of_mass(digit), digit.shape, image_shape, strict=True):
        first = round(whole / 2 - center)  # as in MNIST, whose centres of mass are all within 14 +- 0.5
        first = min(max(first, 0), whole - length)
        place.append(slice(first, first + length))
    image[tuple(place)] = digit
    return np.rint(image * 255).astype(np.uint8)


def _with_usual_strokes(ink: Floats, unit: float) -> Floats:
    """Widen strokes of which scaling would leave a shade, and thin those that would fill a loop of the digit."""
    inside = np.pad(ink > ink.max() / 2, 1)
    depths = ndimage.distance_transform_edt(inside)
    width = 4 * depths[inside].mean() / FINE * unit  # in a bar the mean distance to the edge is a quarter of it
    usual = min(max(width, NARROW), WIDE)
    if width == usual:
        return ink
    growth = (usual - width) / 2 * FINE / unit
    inside = np.pad(inside, max(0, math.ceil(growth)))
    outwards = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    changed = np.clip(growth + 0.5 - outwards, 0, 1).astype(np.float32)
    (box,) = ndimage.find_objects((changed > 0).astype(np.int8))
    cut: Floats = changed[box]
    return cut
