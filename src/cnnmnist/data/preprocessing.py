"""Preprocessing: images like those of the training data, made from the pixels of a picture.

The authors of MNIST scaled each digit into 20x20 pixels with its aspect kept, which made its edges grey, and moved
its centre of mass to the middle of 28x28 pixels: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of
handwritten digits", 1998.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cnnmnist.data.pictures import fit_picture
from cnnmnist.data.segmentation import Floats, cut_out, find_digits, find_ink, full_ink, resize
from cnnmnist.errors import PictureError

BOX = 20 / 28  # longer side of a digit, as a fraction of the image's shorter side
FINE = 6  # pixels per pixel of the image, for measuring strokes
NARROW, WIDE = 2.6, 3.6  # stroke widths in pixels of 28x28; in MNIST 5 % are below 1.9, and 5 % above 4.3
FAINT = 0.35  # of full ink; fainter pixels are background


def prepare_picture(
    pixels: Floats,
    image_shape: tuple[int, int] = (28, 28),
    *,
    from_pictures: bool = False,
    name: str = "The picture",
) -> NDArray[np.uint8]:
    """Find the digits in a picture, from left to right, and make each an image like MNIST's.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.data.pictures.read_picture` returns them;
            the digits may be dark or light, and the light uneven.
        image_shape: height and width of the network's input in pixels.
        from_pictures: whether the network was trained on whole pictures; then the result is one image.
        name: name of the picture in an error message.

    Returns:
        uint8 (n, height, width), n at least 1; in a digit's image, the background is 0 and full ink is 255.

    Raises:
        PictureError: the picture shows no digit.
    """
    if from_pictures:
        return fit_picture(pixels, image_shape)[None]
    ink = find_ink(pixels)
    full = full_ink(ink)
    if full is None:
        raise PictureError(f"{name} shows no digit: nothing in it differs enough from the background.")
    ink = np.clip((ink / full - FAINT) / (1 - FAINT), 0, 1)
    labels, digits = find_digits(ink)
    if not digits:
        raise PictureError(f"{name} shows a pattern instead of digits: cut out the digits.")
    return np.stack([_normalize(cut_out(ink, labels, digit), image_shape) for digit in digits])


def _normalize(ink: Floats, image_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a digit, correct the width of its strokes, and move its centre of mass to the middle of the image."""
    side = round(BOX * min(image_shape))
    # Scaling must not lose the finest strokes.
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
    """Widen strokes that scaling would make faint, and thin strokes that would fill the loops of a digit."""
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
