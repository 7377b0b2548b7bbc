"""Pixels of any picture -> the digits in it, as those of MNIST were made.

MNIST's digits were scaled into 20x20 pixels with their aspect kept, which made their edges grey, and placed in
28x28 pixels by their centre of mass: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten
digits", 1998. Before that comes what their originals, black-and-white forms, did not need: finding the ink.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import PictureError

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

BOX = 20 / 28  # of an image's side, which the longer side of a digit fills
WINDOW = 0.75  # of a picture's shorter side: what is wider both ways is background, not a stroke
LEAST_CONTRAST = 0.04  # of white over black
CERTAIN_CONTRAST = 0.25  # what has less may be only grain
LEAST_SEPARATION = 3.0  # of ink and paper in their deviations; grain, cut in two anywhere, has less than 2.7
LEAST_HEIGHT = 0.4  # of the tallest digit; lower ones are specks, points and signs
GAP = 0.03  # of the tallest digit's height, over which strokes of one digit belong together
FINE = 6  # pixels for one of the prepared image, in which strokes are measured
THIN, NORMAL = 1.7, 2.4  # widths of strokes in pixels of 28x28; in MNIST 1 % have less than 1.7, half up to 2.8


@dataclass(frozen=True)
class _Part:
    """A connected piece of ink, or several of one digit."""

    labels: tuple[int, ...]
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def __or__(self, other: "_Part") -> "_Part":
        return _Part(
            self.labels + other.labels,
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )


def prepare_digits(pixels: Floats, image_shape: tuple[int, int] = (28, 28)) -> NDArray[np.uint8]:
    """Find the digits in a picture, from left to right, and make each an image like MNIST's.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.pictures.read_picture` returns them;
            dark on light or light on dark, unevenly lit or not.
        image_shape: height and width that the network wants.

    Returns:
        uint8 (digits, \\*image_shape), at least one digit; ink is 255.

    Raises:
        PictureError: there is nothing in the picture, said without its name.
    """
    ink = find_ink(pixels)
    level = _threshold(ink)
    labels, parts = _find_parts(ink, level)
    digits = _join_strokes(labels, _without_frames(parts, labels.shape))
    tallest = max(digit.height for digit in digits)
    digits = [digit for digit in digits if digit.height >= LEAST_HEIGHT * tallest]
    digits.sort(key=lambda digit: digit.left + digit.right)
    return np.stack([_normalize(_cut_out(ink / level / 2, labels, digit), image_shape) for digit in digits])


def find_ink(pixels: Floats) -> Floats:
    """How far each pixel differs from the background towards the ink, float32 (height, width), at least 0."""
    from scipy import ndimage

    grey = _most_telling_grey(pixels)
    grey *= -_polarity(grey)  # ink is high
    side = min(grey.shape)
    size = max(3, round(WINDOW * side))
    # Grain would raise the extremes that the opening takes.
    smooth = ndimage.gaussian_filter(grey, side / 300, mode="nearest")
    padded = np.pad(smooth, size, mode="edge")
    # Beyond the picture goes on what is along its edge, without the strokes that touch the edge.
    frame = np.s_[size:-size]
    for edge in (size - 1, -size):
        padded[edge, frame] = ndimage.grey_opening(padded[edge, frame], size, mode="nearest")
        padded[frame, edge] = ndimage.grey_opening(padded[frame, edge], size, mode="nearest")
    padded[:size], padded[-size:] = padded[size - 1], padded[-size]
    padded[:, :size], padded[:, -size:] = padded[:, size - 1, None], padded[:, -size, None]
    background = ndimage.grey_opening(padded, (size, size), mode="nearest")[frame, frame]
    return np.maximum(grey - background, 0)


def _most_telling_grey(pixels: Floats) -> Floats:
    """The mixture of red, green and blue that varies most, so that any colour shows on any other."""
    sample = pixels.reshape(-1, 3)[:: 1 + pixels.size // 300_000]
    _, axes = np.linalg.eigh(np.cov(sample, rowvar=False) if len(sample) > 1 else np.eye(3))
    weights = axes[:, -1] / np.abs(axes[:, -1]).sum() * (np.sign(axes[:, -1].sum()) or 1)
    return (pixels @ weights).astype(np.float32)


def _polarity(grey: Floats) -> float:
    """1 if what differs most from a smooth background that goes through the picture's edge is darker, else -1."""
    step = 1 + max(grey.shape) // 256
    grey = grey[::step, ::step].astype(np.float64)
    y, x = (np.linspace(-1, 1, length) for length in grey.shape)
    y, x = (each.ravel() for each in np.meshgrid(y, x, indexing="ij"))
    surface = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)
    depth = max(1, min(grey.shape) // 16)
    edge = np.ones(grey.shape, bool)
    edge[depth:-depth, depth:-depth] = False
    known = edge.ravel()
    values = grey.ravel()
    difference = values - np.median(values[known])
    for _ in range(4):
        usual = np.abs(difference[known])
        kept = np.flatnonzero(known)[usual <= max(2 * np.median(usual), 0.02)]
        solution, *_ = np.linalg.lstsq(surface[kept], values[kept], rcond=1e-6)
        difference = values - surface @ solution
    return 1.0 if (difference**3).sum() < 0 else -1.0


def _threshold(ink: Floats) -> float:
    """The level halfway between the means above and below it (Ridler and Calvard, 1978), from the top down.

    Raises:
        PictureError: there is only background.
    """
    values = ink.ravel()
    level = float(values.max()) / 2
    for _ in range(50):
        above = values > level
        if not above.any() or above.all():
            break
        strong, weak = values[above], values[~above]
        before, level = level, float(strong.mean() + weak.mean()) / 2
        if abs(before - level) < 1e-4:
            break
    else:
        strong, weak = values[values > level], values[values <= level]
    if level * 2 < LEAST_CONTRAST:
        raise PictureError("there is no digit to be seen")
    deviation = np.sqrt((strong.var() * len(strong) + weak.var() * len(weak)) / len(values))
    if level * 2 < CERTAIN_CONTRAST and strong.mean() - weak.mean() < LEAST_SEPARATION * deviation:
        raise PictureError("there is no digit to be seen")
    return level
