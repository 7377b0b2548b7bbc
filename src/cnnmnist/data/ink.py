"""Ink: how far each pixel of a picture differs from the paper, whatever their colours and the light are."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WINDOW = 0.75  # of the picture's shorter side; anything wider and higher is background, not a stroke
COARSE = 300  # pixels of the longer side in which the background is searched
EVEN = 0.01  # largest difference within an even background, where 1 is white minus black
CLEAR = 0.75  # of the cubes of all differences is their sum, if it is clear which side is ink
FILLED = 0.1  # difference of the whole and its edge, where 1 is the range of values; a digit fills the picture
LEAST_LIGHT = 0.1  # least brightness of a background by which ink is divided, where 1 is white
LEAST_CONTRAST = 0.04  # of ink, where 1 is white minus black
CERTAIN_CONTRAST = 0.25  # anything fainter may be grain
LEAST_SEPARATION = 4.0  # of ink and paper, in standard deviations; grain that is cut in two has less
STROKE, SMALL_STROKE = 0.045, 0.025  # of the picture's longer side are usual strokes, and strokes of small writing
LEVELS = 24  # between the darkest pixel and the paper, at which strokes are searched


def find_ink(pixels: Floats) -> Floats:
    """Measure how far each pixel differs from the background towards the ink.

    Args:
        pixels: float32 (height, width, 3) in [0, 1].

    Returns:
        float32 (height, width), at least 0.
    """
    grey = _most_varied_grey(pixels)
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


def _most_varied_grey(pixels: Floats) -> Floats:
    """Mix red, green and blue into the grey that varies most, so that any colour differs from any other."""
    sample = pixels.reshape(-1, 3)[:: 1 + pixels.size // 300_000]
    _, axes = np.linalg.eigh(np.cov(sample, rowvar=False) if len(sample) > 1 else np.eye(3))
    weights = axes[:, -1] / np.abs(axes[:, -1]).sum() * (np.sign(axes[:, -1].sum()) or 1)
    grey: Floats = (pixels @ weights).astype(np.float32)
    return grey


def _is_ink_dark(grey: Floats) -> bool:
    """Compare pixels with the median around them: the largest differences are ink, which covers less than half."""
    smaller = shrink(grey, 64)
    low, size = float(grey.min()), max(float(np.ptp(grey)), 1e-6)
    smaller = (smaller - low) / size
    half = max(1, min(smaller.shape) // 4)
    framed = cv2.copyMakeBorder(np.rint(smaller * 255), half, half, half, half, cv2.BORDER_REFLECT)
    median = cv2.medianBlur(framed.astype(np.uint8), 2 * half + 1)[half:-half, half:-half] / 255
    # Cubed, the few pixels of ink outweigh the many of light and shadow.
    cubes = (smaller - median) ** 3
    balance = cubes.sum() / max(np.abs(cubes).sum(), 1e-12)
    # A digit that fills its picture may cover half of it, but covers less of the edge.
    inside = smaller.mean() - _edge(smaller).mean()
    return bool((inside if abs(balance) < CLEAR and abs(inside) > FILLED else balance) < 0)


def _edge(grey: Floats) -> Floats:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _background(grey: Floats) -> Floats:
    """Remove narrow bright structures by a morphological opening, which keeps steps and slopes."""
    edge = _edge(grey)
    even = np.float32(np.median(edge))
    # A drawing or a scan has an even background; a frame along the edge is even, too, but covers less.
    if (np.abs(edge - even) < EVEN).mean() > 0.5 and (np.abs(grey - even) < EVEN).mean() > 0.2:
        return np.full_like(grey, even)
    # The opening takes minima, which grain would lower.
    smooth = shrink(cv2.GaussianBlur(grey, (0, 0), max(0.1, min(grey.shape) / 300)), COARSE)
    size = max(3, round(WINDOW * min(smooth.shape)))
    smooth = np.pad(smooth, size, mode="edge")
    opened = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))[size:-size, size:-size]
    background: Floats = cv2.resize(opened, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return background


def shrink(image: Floats, side: int) -> Floats:
    """Scale an image, float32 (height, width, ...), down to a longer side of at most ``side`` pixels."""
    factor = min(1.0, side / max(image.shape[:2]))
    height, width = (max(1, round(length * factor)) for length in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def full_ink(ink: Floats, least_stroke: float) -> float | None:
    """Compute the mean of the ink in a picture, or None if there is only background.

    Pixels above a level are ink. The level is halfway between the mean of the pixels above it and the mean of the
    others: T. W. Ridler and S. Calvard, "Picture thresholding using an iterative selection method", 1978. The
    search for the level starts high, so that it finds a small amount of ink.

    Args:
        ink: float32 (height, width), as :func:`find_ink` returns it.
        least_stroke: fraction of the longer side; anything shorter is a speck, and no measure of the ink.
    """
    values = np.sort(np.minimum(ink, _darkest_stroke(ink, least_stroke)), axis=None)
    level, before = float(values[-1]) / 2, -1.0
    while abs(level - before) > 1e-4:
        weak, strong = np.split(values, [np.searchsorted(values, level, side="right")])
        if not len(strong):
            return None
        level, before = float(weak.mean() + strong.mean()) / 2, level
    full, contrast = float(strong.mean()), float(strong.mean() - weak.mean())
    deviation = math.sqrt((weak.var() * len(weak) + strong.var() * len(strong)) / len(values))
    certain = contrast >= CERTAIN_CONTRAST or contrast >= LEAST_SEPARATION * deviation
    return full if full >= LEAST_CONTRAST and certain else None


def _darkest_stroke(ink: Floats, least: float) -> float:
    """The highest level above which some connected ink is as long as a stroke: a speck may be darker than it."""
    for level in np.linspace(ink.max(), 0, LEVELS, endpoint=False)[1:]:
        _, _, boxes, _ = cv2.connectedComponentsWithStats((ink >= level).astype(np.uint8))
        lengths = boxes[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
        if lengths.max(initial=0) >= least * max(ink.shape):
            return float(level + ink.max() / LEVELS)
    return 0.0


def stroke_width(ink: Floats) -> float:
    """Compute the mean width of the strokes of ink, float32 (height, width) and not all 0, in pixels."""
    inside = np.pad(ink > ink.max() / 2, 1).astype(np.uint8)
    return 4 * float(depths(inside)[inside > 0].mean())  # in a bar the mean depth is a quarter of the width


def crop(ink: Floats) -> Floats:
    """Cut ink, float32 (height, width), to the smallest box with all that is above 0."""
    left, top, width, height = cv2.boundingRect((ink > 0).astype(np.uint8))
    return ink[top : top + height, left : left + width]


def inked(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Find the images, uint8 (n, height, width), that show some ink: their numbers, int64."""
    return np.flatnonzero(images.max(axis=(1, 2)) > 127)


def depths(inside: NDArray[np.uint8]) -> Floats:
    """Compute the distance in pixels of each pixel inside a shape from the outside, to about 2 %."""
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5))
