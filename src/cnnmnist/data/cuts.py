"""Cuts: paths across the little ink between touching digits, and the digit between two of them."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.ink import Floats

HEIGHT = 64  # rows of the ink in which cuts are searched
STEP, BEND = 0.08, 0.05  # of the height: between two cuts, and sideways in a cut
SLANTS = 0.0, 0.3  # of cuts: columns to the right for each row upwards; few people slant more, or to the left
MOST_CUTS = 30  # of each slant
BENT = 0.05  # of a pixel of full ink is the price of a step sideways
WIDEST = 1.5  # times its height is what stands between two cuts, if it is a digit
LOWEST = 0.7  # of the height of all ink, at least, is the height of such a digit
BIT = 0.15  # of the largest piece between two cuts; anything smaller is a bit of a neighbour

Columns = NDArray[np.float64]


def between(ink: Floats, left: Columns, right: Columns) -> tuple[Floats, int] | None:
    """Cut out the ink between two cuts, without small bits of the neighbours, and find its first column.

    Returns:
        Float32 (height, width) and the column, or None if the ink is too wide or too low for a digit.
    """
    first = min(max(0, math.floor(left.min())), ink.shape[1] - 1)
    near = ink[:, first : max(first, math.floor(right.max())) + 1]
    columns = first + np.arange(near.shape[1])
    part = np.where((columns >= left[:, np.newaxis]) & (columns < right[:, np.newaxis]), near, np.float32(0))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((part > 0).astype(np.uint8))
    areas = boxes[1:, cv2.CC_STAT_AREA]
    large = 1 + np.flatnonzero(areas >= BIT * areas.max(initial=0))
    part = np.where(np.isin(labels, large), part, 0)
    left_, top, width, height = cv2.boundingRect((part > 0).astype(np.uint8))
    if not 0 < width <= WIDEST * height or height < LOWEST * ink.shape[0]:
        return None
    return part[top : top + height, left_ : left_ + width], first + left_


def find_cuts(ink: Floats) -> list[Columns]:
    """Find upright and slanted paths across little ink, from left to right: a column for each row.

    The first is the left edge of the ink, float32 (height, width), and the last its right edge.
    """
    factor = HEIGHT / ink.shape[0]
    width = max(3, round(ink.shape[1] * factor))
    small = cv2.resize(ink, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    spacing, bend = max(STEP * HEIGHT, width / MOST_CUTS), round(BEND * HEIGHT)
    middles = np.arange(spacing, width - spacing / 2, spacing).astype(int)
    rows = np.arange(HEIGHT)
    lines = [middle + np.rint(slant * (HEIGHT / 2 - rows)) for middle in middles for slant in SLANTS]
    columns = np.array(lines, np.int64).reshape(-1, HEIGHT, 1) + np.arange(-bend, bend + 1)
    inside = (columns >= 0) & (columns < width)
    paths = _cheapest_paths(np.where(inside, small[rows[:, np.newaxis], columns.clip(0, width - 1)], 0))
    paths = (paths + columns[:, :, 0]).clip(0, width - 1)
    small_rows = np.minimum((np.arange(ink.shape[0]) * factor).astype(int), HEIGHT - 1)
    cuts = ((path[small_rows] + 0.5) / factor for path in paths)
    return [np.zeros(ink.shape[0]), *cuts, np.full(ink.shape[0], float(ink.shape[1]))]


def _cheapest_paths(ink: Floats) -> NDArray[np.int64]:
    """The paths from top to bottom across the least ink, by dynamic programming.

    Args:
        ink: float32 (n, rows, columns).

    Returns:
        The columns, int64 (n, rows).
    """
    costs, steps = ink.astype(np.float64), np.zeros(ink.shape, np.int64)
    for row in range(1, ink.shape[1]):
        above = np.pad(costs[:, row - 1], ((0, 0), (1, 1)), constant_values=math.inf)
        choices = np.stack([above[:, :-2] + BENT, above[:, 1:-1], above[:, 2:] + BENT])
        steps[:, row] = choices.argmin(axis=0) - 1
        costs[:, row] += choices.min(axis=0)
    paths = np.repeat(costs[:, -1].argmin(axis=1)[:, np.newaxis], ink.shape[1], axis=1)
    for row in range(ink.shape[1] - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + steps[np.arange(len(ink)), row, paths[:, row]]
    return paths
