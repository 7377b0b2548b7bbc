"""Segmentation: the ink in a picture, and the digits in the ink.

Sizes are relative to the picture or to its tallest digit, so that the resolution does not matter.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Floats = NDArray[np.float32]

WINDOW = 0.75  # of the picture's shorter side; anything wider and higher is background, not a stroke
FEW_PIXELS = 10_000  # smaller pictures are enlarged to this size
EVEN = 0.01  # largest difference within an even background, where 1 is white minus black
LEAST_LIGHT = 0.1  # least brightness of a background by which ink is divided, where 1 is white
LEAST_CONTRAST = 0.04  # of ink, where 1 is white minus black
CERTAIN_CONTRAST = 0.25  # anything fainter may be grain
LEAST_SEPARATION = 4.0  # of ink and paper, in standard deviations; grain that is cut in two has less
MOST_PARTS = 200
LEAST_HEIGHT = 0.4  # of the tallest digit; anything lower is a dot, a sign or dirt
LEAST_AREA = 0.03  # of the largest piece of ink; anything smaller is a speck
EDGE = 0.03  # of the picture's shorter side; a frame is within this distance of the edge
LEAST_IN_FRAME = 0.15  # of the picture's height; if anything inside a frame is taller, the frame is no digit
LARGEST_GAP = 0.25  # of the tallest digit's height, between strokes above each other
GAP = 0.03  # of the tallest digit's height; strokes with a smaller gap belong to one digit


@dataclass(frozen=True)
class Part:
    """The box of one or several connected pieces of ink, in pixels, and their labels."""

    labels: tuple[int, ...]
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    def __or__(self, other: "Part") -> "Part":
        top, bottom = min(self.top, other.top), max(self.bottom, other.bottom)
        left, right = min(self.left, other.left), max(self.right, other.right)
        return Part(self.labels + other.labels, top, bottom, left, right)


def find_ink(pixels: Floats) -> Floats:
    """Measure how far each pixel differs from the background towards the ink.

    Args:
        pixels: float32 (height, width, 3) in [0, 1].

    Returns:
        float32 (height, width), at least 0. The function enlarges a small picture.
    """
    grey = _most_varied_grey(pixels)
    if grey.size < FEW_PIXELS:
        grey = resize(grey, round(max(grey.shape) * math.sqrt(FEW_PIXELS / grey.size)))
    is_dark = _is_ink_dark(grey)
    absorbs_light = is_dark and grey.min() >= 0
    if is_dark:
        grey = -grey
    background = _background(grey)
    ink: Floats = np.maximum(grey - background, 0)
    # Dark ink absorbs a fraction of the light: in a shadow its difference from the paper is smaller, too.
    if absorbs_light:
        ink /= np.maximum(-background, LEAST_LIGHT)
    return ink


def _background(grey: Floats) -> Floats:
    """Remove narrow bright structures by a morphological opening, which keeps steps and slopes."""
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    even = np.float32(np.median(edge))
    # A drawing or a scan has an even background; a frame along the edge is even, too, but covers less.
    if (np.abs(edge - even) < EVEN).mean() > 0.5 and (np.abs(grey - even) < EVEN).mean() > 0.2:
        return np.full_like(grey, even)
    size = max(3, round(WINDOW * min(grey.shape)))
    # The opening takes minima, which grain would lower.
    smooth = ndimage.gaussian_filter(grey, min(grey.shape) / 300, mode="nearest")
    # Continue the picture beyond its edge with the pixels along the edge, without the strokes that touch it.
    for axis in (0, 1):
        smooth = np.pad(smooth, [(size, size) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
        for end in (np.s_[:size], np.s_[-size:]):
            part = np.moveaxis(smooth, axis, 0)[end]
            edge = np.pad(part[0], size, mode="edge")
            part[:] = ndimage.grey_opening(edge, size, mode="nearest")[size:-size]
    background: Floats = ndimage.grey_opening(smooth, (size, size), mode="nearest")[size:-size, size:-size]
    return background


def _most_varied_grey(pixels: Floats) -> Floats:
    """Mix red, green and blue into the grey that varies most, so that any colour differs from any other."""
    sample = pixels.reshape(-1, 3)[:: 1 + pixels.size // 300_000]
    _, axes = np.linalg.eigh(np.cov(sample, rowvar=False) if len(sample) > 1 else np.eye(3))
    weights = axes[:, -1] / np.abs(axes[:, -1]).sum() * (np.sign(axes[:, -1].sum()) or 1)
    grey: Floats = (pixels @ weights).astype(np.float32)
    return grey


def _is_ink_dark(grey: Floats) -> bool:
    """Compare pixels with the median around them: the largest differences are ink, which covers less than half."""
    image = Image.fromarray(grey)
    small, smaller = (image.reduce(math.ceil(math.sqrt(grey.size / most))) for most in (1 << 16, 1 << 12))
    median = ndimage.median_filter(np.asarray(smaller), max(3, min(smaller.size) // 2), mode="reflect")
    enlarged = Image.fromarray(median).resize(small.size, Image.Resampling.BILINEAR)
    difference = np.asarray(small) - np.asarray(enlarged)
    # Cubed, the few pixels of ink outweigh the many of light and shadow.
    return bool((difference.astype(np.float64) ** 3).sum() < 0)


def full_ink(ink: Floats) -> float | None:
    """Compute the mean of the ink in a picture, or None if there is only background.

    Pixels above a level are ink. The level is halfway between the mean of the pixels above it and the mean of the
    others: T. W. Ridler and S. Calvard, "Picture thresholding using an iterative selection method", 1978. The
    search for the level starts high, so that it finds a small amount of ink.

    Args:
        ink: float32 (height, width), as :func:`find_ink` returns it.
    """
    values = np.sort(ink, axis=None)
    if values[-1] < LEAST_CONTRAST:
        return None
    level, before = float(values[-1]) / 2, -1.0
    while abs(level - before) > 1e-4:
        weak, strong = np.split(values, [np.searchsorted(values, level, side="right")])
        level, before = float(weak.mean() + strong.mean()) / 2, level
    contrast = float(strong.mean() - weak.mean())
    deviation = math.sqrt((weak.var() * len(weak) + strong.var() * len(strong)) / len(values))
    if contrast < CERTAIN_CONTRAST and contrast < LEAST_SEPARATION * deviation:
        return None
    return float(strong.mean())


def find_digits(ink: Floats) -> tuple[NDArray[np.int32], list[Part]]:
    """Label the connected pieces of ink, and group the pieces of each digit.

    Args:
        ink: float32 (height, width) in [0, 1].

    Returns:
        The labels of the pixels, int32 (height, width), and the digits from left to right. The list is empty if
        there are more than 200 pieces, which no writing has.
    """
    connected = np.ones((3, 3), bool)
    labels, _ = ndimage.label(ink > 0, connected)
    tallest = max(part.height for part in _parts(ink, labels))
    reach = round(GAP * tallest / 2)
    if reach:
        near = ndimage.maximum_filter(ink, 2 * reach + 1) > 0
        labels = ndimage.label(near, connected)[0] * (ink > 0)
    parts = sorted(_parts(ink, labels), key=lambda part: -part.height)
    if len(parts) > MOST_PARTS:
        return labels, []
    tallest = parts[0].height
    digits: list[Part] = []
    for part in parts:
        for number, digit in enumerate(digits):
            if _belongs(part, digit, tallest):
                digits[number] = digit | part
                break
        else:
            digits.append(part)
    digits = [digit for digit in digits if digit.height >= LEAST_HEIGHT * tallest]
    return labels, sorted(digits, key=lambda digit: digit.left + digit.right)


def _parts(ink: Floats, labels: NDArray[np.int32]) -> list[Part]:
    """Find the pieces of ink, without specks, and without a frame, a ruled line or the edge of a sheet."""
    boxes = ndimage.find_objects(labels)
    numbers = range(1, len(boxes) + 1)
    peaks = np.zeros(len(boxes) + 1, np.float32)
    np.maximum.at(peaks, labels, ink)  # many times faster than ndimage.maximum, which sorts
    areas = np.asarray(ndimage.sum_labels(ink, labels, numbers))
    height, width = ink.shape
    near = EDGE * min(height, width)
    parts, framing = {}, []
    for number, (rows, columns) in zip(numbers, boxes, strict=True):
        if peaks[number] < 0.5:
            continue
        parts[number] = Part((number,), rows.start, rows.stop, columns.start, columns.stop)
        distances = columns.start, width - columns.stop, rows.start, height - rows.stop
        sides = [distance <= near for distance in distances]
        if sum(sides) >= 3 or all(sides[:2]):
            framing.append(number)
    digits = {number: part for number, part in parts.items() if number not in framing}
    if any(part.height >= LEAST_IN_FRAME * height for part in digits.values()):
        parts = digits
    largest = max(areas[number - 1] for number in parts)
    return [part for number, part in parts.items() if areas[number - 1] >= LEAST_AREA * largest]


def _belongs(part: Part, digit: Part, tallest: int) -> bool:
    """Decide whether a piece is a stroke of a digit: near, and mostly above, below or inside the digit."""
    overlap = min(part.right, digit.right) - max(part.left, digit.left)
    gap = max(part.top, digit.top) - min(part.bottom, digit.bottom)
    return overlap >= (part.right - part.left) / 2 and gap <= LARGEST_GAP * tallest


def cut_out(ink: Floats, labels: NDArray[np.int32], digit: Part) -> Floats:
    """Copy the ink of a digit alone, float32 with the height and width of its box."""
    box = np.s_[digit.top : digit.bottom, digit.left : digit.right]
    return ink[box] * np.isin(labels[box], digit.labels)


def resize(ink: Floats, side: int) -> Floats:
    """Scale ink, float32 (height, width), to a longer side of ``side`` pixels, with its aspect kept."""
    factor = side / max(ink.shape)
    height, width = (max(1, round(length * factor)) for length in ink.shape)
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC), np.float32)
