"""Rulings: the lines of ruled and squared paper, found by their length and erased without the strokes across."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.ink import LEAST_CONTRAST, Floats

NOISE = 10.0  # times the median difference between neighbouring pixels of paper; anything more is ink
THICKEST = 0.018  # of the picture's longer side; anything thicker is a stroke
NEARBY = 0.3  # of the darkest ink nearby; anything fainter is the blurred edge of a stroke
LEAST_SEED = 0.1  # of the picture's width is the longest part of a line without a stroke across, at least
COMPLETE = 0.9  # of the picture's width; a single line of this length is a ruling
PARTIAL = 0.45  # of the picture's width; several lines of this length are rulings
BETWEEN = 0.2  # of the picture's height; several upright lines of this length between such lines are rulings
SLENDER = 28  # times its thickness is the length of a ruling, at least
STEEPEST = 0.5  # rows per column
DARKER = 1.12  # times a ruling's ink, at least, are the strokes across that can be told from it
MORE = 0.25  # of the difference to them; anything darker along the ruling is a stroke
PALE = 0.9  # of dark ink; anything darker is no pale ruling

Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]


def erase_rulings(ink: Floats) -> Floats:
    """Erase long thin lines, horizontal and vertical with slopes up to 1 in 2, from ink, float32 (height, width).

    A line's pixels become 0 where the ink is not thicker than the line, so that strokes across the line stay.
    """
    noise = NOISE * float(np.median(np.abs(ink - cv2.GaussianBlur(ink, (0, 0), 2))))
    thickest = max(6, round(THICKEST * max(ink.shape)))
    nearby = np.ones((2 * thickest + 1, 2 * thickest + 1), np.uint8)
    mask = ink > np.maximum(max(LEAST_CONTRAST, noise), NEARBY * cv2.dilate(ink, nearby))
    most, thickness = _lines(ink, mask, thickest, PARTIAL, np.ones_like(mask))
    ink = _erase(ink, most, thickness)
    # A 1 may be as long as an upright line, but ends anywhere.
    across = cv2.dilate(most, nearby) >= 0
    return _erase(ink.T, *_lines(ink.T, mask.T, thickest, BETWEEN, across.T)).T


def _erase(ink: Floats, most: Floats, thickness: int) -> Floats:
    """Erase horizontal lines, given as the most ink to erase at each pixel, and mend the strokes across.

    Where darker ink stays, strokes across have no gaps.
    """
    if not thickness:
        return ink
    blurred = np.ones((2 * (1 + thickness // 4) + 1, 1), np.uint8)
    most = cv2.dilate(most, blurred)
    erased = ink <= most
    ink = np.where(erased, np.float32(0), ink)
    broken = erased & np.isinf(most)
    if not broken.any():
        return ink
    side = (thickness + len(blurred) + 1) | 1
    slanted = np.eye(side, dtype=np.uint8)
    upright = np.ones((side, 1), np.uint8)
    mended = [cv2.morphologyEx(ink, cv2.MORPH_CLOSE, each) for each in (upright, slanted, slanted[::-1].copy())]
    return np.where(broken, np.max(mended, axis=0), ink)


def _lines(ink: Floats, mask: Mask, thickest: int, least: float, across: Mask) -> tuple[Floats, int]:
    """Find horizontal rulings: the most ink to erase at each pixel, -1 elsewhere, and their largest thickness.

    Several lines that are as long as ``least``, a fraction of the width, are rulings if they end in ``across``.
    """
    height, width = mask.shape
    runs = _run_lengths(mask)
    thin, thick = mask & (runs <= thickest), mask & (runs > thickest)
    rows, columns = np.nonzero(thin)
    lengths = runs[rows, columns]
    # Without the ragged edges of vertical strokes; then bridge the lines that cross.
    beside = cv2.dilate(thick.astype(np.uint8), np.ones((1, 7), np.uint8)) > 0
    bridged = cv2.dilate((thin & ~beside).astype(np.uint8), np.ones((3, 2 * thickest + 1), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(bridged)
    owners = labels[rows, columns]
    widths = boxes[:, cv2.CC_STAT_WIDTH] - 2 * thickest
    dark = np.percentile(ink[thick], 75) if thick.any() else 0.0
    free = np.ones(len(rows), bool)
    rulings: list[tuple[bool, tuple[Indices, Indices], float, float]] = []
    for label in 1 + np.argsort(-widths[1:])[: np.count_nonzero(widths[1:] >= LEAST_SEED * width)]:
        seed = (owners == label) & free
        thickness = float(np.median(lengths[seed])) if seed.any() else 0.0
        curve, near = _follow(rows, columns, seed, thickness / 2 + 1, width)
        near &= lengths <= 1.5 * thickness + 1
        x = np.arange(width)
        y = np.rint(np.polyval(curve, x)).astype(int)
        x, y = x[(y >= 0) & (y < height)], y[(y >= 0) & (y < height)]
        if not near.any() or len(x) < max(0.3 * width, SLENDER * thickness) or np.ptp(y) > STEEPEST * len(x):
            continue
        half = round(thickness / 2)
        band = np.clip(y + np.arange(-half - 2, half + 3)[:, None], 0, height - 1), np.tile(x, (2 * half + 5, 1))
        level = float(np.median(ink[rows[near], columns[near]]))
        cover = (ink[band].max(axis=0) > level / 2).mean()
        length = np.unique(columns[near]).size / len(x)
        complete = bool(cover >= COMPLETE and length > 0.3)
        ends = np.percentile(columns[near], (2, 98)).astype(int)
        at = np.clip(np.rint(np.polyval(curve, ends)).astype(int), 0, height - 1)
        is_long = min(length, widths[label] / width) >= least
        if complete or (is_long and across[at, ends].all()):
            most = _most(ink[band][half + 1 : half + 4].max(axis=0), thick[y, x], level)
            # Close to a pale line, the mask lacks pixels of the line.
            pixels = (band[0].ravel(), band[1].ravel()) if most < PALE * dark else (rows[near], columns[near])
            rulings.append((complete, pixels, thickness, most))
            free &= ~near
    result, largest = np.full(mask.shape, -1, np.float32), 0
    for complete, pixels, thickness, most in rulings:
        if complete or len(rulings) > 1:
            result[pixels] = most
            largest = max(largest, round(thickness))
    return result, largest


def _most(darkest: Floats, across: Mask, level: float) -> float:
    """The most ink of a ruling without strokes; infinite if it is as dark as the strokes across.

    ``darkest`` is the darkest ink of the ruling in each column, ``across`` where strokes cross it.
    """
    alone = darkest[~across & (darkest > level / 2)]
    if not (across.any() and alone.size):
        return math.inf
    own, crossing = float(np.median(alone)), float(np.median(darkest[across]))
    return own + MORE * (crossing - own) if crossing > DARKER * own else math.inf


def _run_lengths(mask: Mask) -> Indices:
    """The length of the vertical run of ink in which each pixel is."""
    columns = np.pad(mask.T, ((0, 0), (1, 1)))
    starts = np.cumsum(~columns.ravel())
    lengths = np.bincount(starts)[starts] - 1
    return lengths.reshape(columns.shape)[:, 1:-1].T


def _follow(
    rows: Indices, columns: Indices, near: Mask, tolerance: float, width: int
) -> tuple[NDArray[np.float64], Mask]:
    """Follow a line from its seed in both directions; a long line may be a parabola, as bent paper makes it."""
    curve = np.zeros(1)
    for _ in range(6):
        low, high = columns[near].min(initial=width), columns[near].max(initial=0)
        keep = near
        for _ in range(3):
            if np.unique(columns[keep]).size < 10:
                return curve, np.zeros_like(near)
            curve = np.polyfit(columns[keep], rows[keep], 2 if high - low > 0.7 * width else 1)
            distance = np.abs(rows - np.polyval(curve, columns))
            keep = near & (distance <= max(tolerance, 1.5 * np.median(distance[keep])))
        reach = (high - low) / 2
        near = (distance <= tolerance) & (columns >= low - reach) & (columns <= high + reach)
    return curve, near
