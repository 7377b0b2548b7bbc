"""Segmentation: the pixels of any picture -> its ink, and the digits that the ink forms.

Sizes are relative to the picture or to its tallest digit, so that the resolution does not matter.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Floats = NDArray[np.float32]

WINDOW = 0.75  # of a picture's shorter side: what is wider both ways is background, not a stroke
FEW_PIXELS = 10_000  # a smaller picture is enlarged to so many
EVEN = 0.01  # of white over black, within which half of a picture's edge is even
LEAST_LIGHT = 0.1  # of the brightest possible, for a background to be measured against
LEAST_CONTRAST = 0.04  # of white over black
CERTAIN_CONTRAST = 0.25  # what has less may be only grain
LEAST_SEPARATION = 4.0  # of ink and paper in their deviations; grain, wherever it is cut in two, has less
MOST_PARTS = 200
LEAST_HEIGHT = 0.4  # of the tallest digit; what is lower is a point, a sign or dirt
LEAST_AREA = 0.03  # of the largest piece of ink; the others are specks
EDGE = 0.03  # of the picture's shorter side, within which a frame is along the edge
LEAST_IN_FRAME = 0.15  # of the picture's height, for what is in a frame to be more important than the frame
LARGEST_GAP = 0.25  # of the tallest digit's height, between strokes above each other
GAP = 0.03  # of the tallest digit's height, over which strokes of one digit belong together


@dataclass(frozen=True)
class Part:
    """A connected piece of ink, or several of one digit."""

    labels: tuple[int, ...]
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    def __or__(self, other: "Part") -> "Part":
        return Part(
            self.labels + other.labels,
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )


def find_ink(pixels: Floats) -> Floats:
    """How far each pixel differs from the background towards the ink, float32 (height, width), at least 0."""
    grey = _most_telling_grey(pixels)
    if grey.size < FEW_PIXELS:
        grey = resize(grey, round(max(grey.shape) * math.sqrt(FEW_PIXELS / grey.size)))
    is_dark = _is_ink_dark(grey)
    in_proportion_to_light = is_dark and grey.min() >= 0
    if is_dark:
        grey = -grey
    background = _background(grey)
    ink: Floats = np.maximum(grey - background, 0)
    # Dark ink takes a share of the light that falls on the paper: in a shadow the difference is smaller too.
    if in_proportion_to_light:
        ink /= np.maximum(-background, LEAST_LIGHT)
    return ink


def _background(grey: Floats) -> Floats:
    """The picture without its narrow bright structures: a morphological opening, which keeps steps and slopes."""
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    even = np.float32(np.median(edge))
    # Drawn or scanned, with no light to be found out; a drawn frame is no background.
    if (np.abs(edge - even) < EVEN).mean() > 0.5 and (np.abs(grey - even) < EVEN).mean() > 0.2:
        return np.full_like(grey, even)
    size = max(3, round(WINDOW * min(grey.shape)))
    # Grain would lower the minima that the opening takes.
    smooth = ndimage.gaussian_filter(grey, min(grey.shape) / 300, mode="nearest")
    # Beyond the picture goes on what is along its edge, without the strokes that touch the edge.
    for axis in (0, 1):
        smooth = np.pad(smooth, [(size, size) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
        ends = [slice(None, size), slice(-size, None)]
        for end in ends:
            part = np.moveaxis(smooth, axis, 0)[end]
            edge = np.pad(part[0], size, mode="edge")
            part[:] = ndimage.grey_opening(edge, size, mode="nearest")[size:-size]
    inside = np.s_[size:-size, size:-size]
    background: Floats = ndimage.grey_opening(smooth, (size, size), mode="nearest")[inside]
    return background


def _most_telling_grey(pixels: Floats) -> Floats:
    """The mixture of red, green and blue that varies most, so that any colour shows on any other."""
    sample = pixels.reshape(-1, 3)[:: 1 + pixels.size // 300_000]
    _, axes = np.linalg.eigh(np.cov(sample, rowvar=False) if len(sample) > 1 else np.eye(3))
    weights = axes[:, -1] / np.abs(axes[:, -1]).sum() * (np.sign(axes[:, -1].sum()) or 1)
    grey: Floats = (pixels @ weights).astype(np.float32)
    return grey


def _is_ink_dark(grey: Floats) -> bool:
    """Whether what differs most from its surroundings' median is darker: ink is less than half of them."""
    small, smaller = (_at_most(grey, pixels) for pixels in (1 << 16, 1 << 12))
    median = ndimage.median_filter(smaller, max(3, min(smaller.shape) // 2), mode="reflect")
    width, height = small.shape[::-1]
    difference = small - np.asarray(Image.fromarray(median).resize((width, height), Image.Resampling.BILINEAR))
    # Cubed, the few pixels of ink outweigh the many of light and shadow.
    return bool((difference.astype(np.float64) ** 3).sum() < 0)


def _at_most(grey: Floats, pixels: int) -> Floats:
    """Average squares of pixels so that no more than so many are left."""
    return np.asarray(Image.fromarray(grey).reduce(math.ceil(math.sqrt(grey.size / pixels))))


def full_ink(ink: Floats) -> float | None:
    """The mean of what is ink; none if there is only background.

    Ink is what is above the level that is halfway between the means above and below it, found from the top down,
    so that ink may be rare: T. W. Ridler and S. Calvard, "Picture thresholding using an iterative selection
    method", 1978.
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
    """Label the connected pieces of ink, and put those of each digit together, from left to right.

    There are no digits where there are more pieces than anybody writes.
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
    """The pieces of ink without specks, and without a frame, a ruled line or the edge of a sheet around them."""
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
    """Whether a piece is a stroke of a digit: mostly above, below or inside of it, and not far."""
    overlap = min(part.right, digit.right) - max(part.left, digit.left)
    gap = max(part.top, digit.top) - min(part.bottom, digit.bottom)
    return overlap >= part.width / 2 and gap <= LARGEST_GAP * tallest


def cut_out(ink: Floats, labels: NDArray[np.int32], digit: Part) -> Floats:
    """The ink of a digit alone, float32 (height, width) of its box."""
    box = np.s_[digit.top : digit.bottom, digit.left : digit.right]
    return ink[box] * np.isin(labels[box], digit.labels)


def resize(ink: Floats, side: int) -> Floats:
    """Scale to a longer side of so many pixels, with the aspect kept and smooth edges."""
    factor = side / max(ink.shape)
    height, width = (max(1, round(length * factor)) for length in ink.shape)
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC), np.float32)
