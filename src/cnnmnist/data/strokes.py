"""Strokes: images like MNIST's of digits, letters and scribbles, drawn in the ways that people write them.

A style describes the strokes of a sign by points of a grid, two figures each: 0 to 9 from left to right, 0 to 9 from
top to bottom. ``-`` joins points by a smooth curve, ``,`` begins a new curve at a corner, a space lifts the pen, and
``:`` separates the two extremes of a style, with the same number of points; a drawing lies anywhere between them.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Floats = NDArray[np.float32]

DIGITS = {
    "0": ("60-20-05-29-69-95-60:50-22-15-28-49-85-30", "70-20-05-29-69-95-60-31:60-13-26-49-79-85-50-30"),
    "1": (
        "50-59:50-59",
        "32-50,59:14-50,59",
        "31-50,59:12-50,59",
        "22-60,69:04-60,69",
        "12-60,59:02-60,69",
        "14-50,59:06-60,69",
        "06-60,69:09-50,69",
        "23-42-50,59:06-45-60,69",
        "32-50,59 29-79:14-50,59 09-99",
        "15-50,59 29-79:06-60,69 29-99",
        "12-60,59 29-89:03-60,69 29-99",
        "50-59 29-79:50-59 09-99",
    ),
    "2": (
        "12-40-82-55-09,99:22-50-83-46-19,89",
        "12-40-82-45-18-27-48-99:22-50-83-46-19-28-49-89",
        "12-40-72,09,99:03-50-83,19,88",
    ),
    "3": (
        "11-50-82-44,86-59-08:12-40-73-44,77-49-18",
        "10-80,44-86-59-08:01-70,43-86-49-18",
        "12-50-82-54-86-59-08:02-40-73-45-77-49-17",
    ),
    "4": (
        "20-05,95 70-69:30-06,97 62-59",
        "60-06,96 60-69:70-05,95 70-69",
        "96-06,60,69:85-05,50,59",
        "50-06,96 63-59:40-05,95 65-49",
        "10-14-46-75 80-79:20-15-56-84 90-69",
        "20-05,85 74-69:40-07,97 65-59",
    ),
    "5": (
        "80-20,14-54-87-49-08:90-10,05-63-96-59-08",
        "20-14-54-87-49-08 20-80:10-05-54-96-59-09 11-90",
    ),
    "6": ("70-24-17-49-87-55-17:50-13-16-39-77-46-16", "60-23-16-39-77-55-16:90-33-06-49-87-45-06"),
    "7": (
        "01-81,39:00-90,49",
        "10-80,55-39:02-81,46-29",
        "12-10-80,39:02-00-90,49",
        "11-42-80,55-39:12-41-90,55-49",
        "10-80,39 25-75:00-90,49 14-84",
        "12-11-80,39 24-75:02-00-90,59 25-95",
        "11-42-80,55-39 25-75:12-41-90,55-49 35-84",
    ),
    "8": (
        "72-40-12-45-87-49-07-44-72:81-50-22-45-77-49-17-45-81",
        "50-12-54-82-50 54-17-59-87-54:50-02-44-82-50 44-06-49-96-44",
        "81-50-12-45-87-49-17-54-91:90-40-02-55-77-39-16-54-80",
    ),
    "9": (
        "82-50-13-35-82,79:92-50-02-46-92,59",
        "82-50-13-45-82-77-49-18:92-40-02-45-83-86-59-08",
        "82-50-13-45-82,39:91-50-12-35-82,19",
        "82-50-13-45-82-87:82-40-03-45-92-79",
    ),
}
OTHERS = (
    *("09-50,99 26-76", "80-30-05-39-89", "90-00,09,99 05-75", "90-00,09 05-75"),
    *("00-09 90-99 05-95", "10-19 90-15,99", "10-19,89", "09-00,45,90,99", "09-00,99,90"),
    *("19-10-70-83-15", "19-10-70-83-15,99", "00-90 50-59", "00-06-49-96-90", "00-49,90", "00-29,43,69,90"),
    *(
        "00-99 90-09",
        "33-60-83-89 85-35-08-49-85",
        "06-96-62-35-07-49-98",
        "20-29 25-62-84-89",
        "80-50-34-39 14-74",
    ),
    *("14-19 15-33-45-49 46-63-85-89", "14-19 15-43-75-79", "24-29 25-63-84", "40-47-69-88 13-73", "40-49 15-85"),
    *(
        "04-29,44,69,94",
        "04-94,09,99",
        "04-49,94",
        "05-95",
        "03-93 06-96",
        "50-59 05-95 18-82 11-88",
        "20-29 80-89",
    ),
    *("30-29 70-69 03-93 06-96", "11-50-82-54-57 59-58", "00-95,09", "90-05,99", "50-99,09,50"),
    *("59-03-20-53-80-93-59", "44-45-55-54-44", "50-01-05-09-59-95-50 33-34 63-64 37-58-77", "09-90 11-22 77-88"),
)
SCRIBBLES = 300  # random styles
SEGMENTS = 32  # of a drawing, whose curves are polygons
SIDE, BOX = 28, 20  # pixels of an image, and of the longer side of what is drawn
AT_ONCE = 256  # images that fit in a processor's cache


@dataclass(frozen=True)
class Hand:
    """How differently people write: ranges of the parameters of a drawing, each drawn uniformly."""

    wobble: float = 0.4
    """Standard deviation of each point of a style, in steps of its grid."""
    width: tuple[float, float] = (0.45, 0.95)
    """Width of the grid, as a fraction of its height."""
    slant: tuple[float, float] = (-0.2, 0.45)
    """Shear to the right, in horizontal pixels per vertical pixel."""
    rotation: float = 8.0
    """Largest rotation in degrees, in either direction."""
    pen: tuple[float, float] = (1.7, 4.8)
    """Width of the pen in pixels of 28x28."""
    bend: float = 0.5
    """Largest smooth displacement of the strokes, in steps of the grid."""
    edge: tuple[float, float] = (1.0, 2.0)
    """Width of the grey edge of a stroke in pixels of 28x28."""


HAND = Hand()


def draw_digits(
    count: int, rng: np.random.Generator, hand: Hand = HAND, styles: Mapping[str, Sequence[str]] = DIGITS
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw digits, each style about equally often.

    Args:
        count: number of images.
        rng: random numbers, which decide the images.
        hand: ranges of the parameters.
        styles: styles by digit.

    Returns:
        Images, uint8 (count, 28, 28), and their labels, uint8 (count,).
    """
    labels = np.array([int(digit) for digit, several in styles.items() for _ in several], np.uint8)
    table = [style for several in styles.values() for style in several]
    chosen = rng.integers(0, len(table), count)
    return render(trace(table, chosen, rng, hand), rng, hand), labels[chosen]


def draw_others(
    count: int, rng: np.random.Generator, hand: Hand = HAND, styles: Sequence[str] = OTHERS
) -> NDArray[np.uint8]:
    """Draw what is not one digit: letters and signs, scribbles, and two digits side by side, a third of each.

    Args:
        count: number of images.
        rng: random numbers, which decide the images.
        hand: ranges of the parameters.
        styles: styles of letters and signs.

    Returns:
        uint8 (count, 28, 28).
    """
    digits = [style for several in DIGITS.values() for style in several]
    scribbles = [_scribble(rng) for _ in range(SCRIBBLES)]
    third = count // 3
    signs, scrawls, left, right = (
        trace(table, rng.integers(0, len(table), number), rng, hand)
        for table, number in ((styles, count - 2 * third), (scribbles, third), (digits, third), (digits, third))
    )
    gap = rng.uniform(-1, 3, (third, 1, 1))
    right[..., 0] += left[..., 0].max((1, 2), keepdims=True) - right[..., 0].min((1, 2), keepdims=True) + gap
    pairs = np.concatenate([left, right], axis=2)
    return np.concatenate([render(lines, rng, hand) for lines in (signs, scrawls, pairs)])


def _scribble(rng: np.random.Generator) -> str:
    """Invent a style of random points."""
    points = rng.integers(0, 10, (rng.integers(5, 11), 2))
    joints = [*rng.choice(["-", ","], 4), *rng.choice(["-", ",", " "], 6)]  # the first stroke is not simple
    return "".join(f"{x}{y}{joint}" for (x, y), joint in zip(points, joints, strict=False))[:-1]


def trace(styles: Sequence[str], chosen: NDArray[np.int64], rng: np.random.Generator, hand: Hand) -> Floats:
    """Compute the segments of drawings whose styles have the numbers ``chosen``, float32 (n, 2 ends, segments, 2)."""
    lines = np.empty((len(chosen), 2, SEGMENTS, 2), np.float32)
    for number in np.unique(chosen):
        rows = chosen == number
        curves, extremes = _parse(styles[number])
        between = rng.uniform(0, 1, (rows.sum(), 1, 1))
        points = extremes[0] * (1 - between) + extremes[-1] * between
        lines[rows] = np.einsum("esk,nkd->nesd", curves, points + rng.normal(0, hand.wobble, points.shape))
    lines -= 4.5
    waves, phases = rng.uniform([[0.2], [0]], [[0.5], [2 * np.pi]], (2, len(chosen)))[..., None, None, None]
    heights = rng.uniform(0, hand.bend, (len(chosen), 1, 1, 2))
    lines += heights * np.sin(waves * lines[..., ::-1] + phases)
    width, slant = (rng.uniform(*bounds, len(chosen)) for bounds in (hand.width, hand.slant))
    angle = np.deg2rad(rng.uniform(-hand.rotation, hand.rotation, len(chosen)))
    cos, sin = np.cos(angle), np.sin(angle)
    transforms = np.array([[cos * width, -slant * cos - sin], [sin * width, -slant * sin + cos]])
    return np.einsum("ijn,nesj->nesi", transforms, lines).astype(np.float32)


@functools.lru_cache(maxsize=None)
def _parse(style: str) -> tuple[Floats, Floats]:
    """Read a style: how much each point weighs in the ends of the segments, and the points of its extremes.

    Returns:
        float (2 ends, segments, points) and (1 or 2 extremes, points, 2).
    """
    extremes = np.array([re.findall(r"(\d)(\d)", extreme) for extreme in style.split(":")], float)
    curves: list[list[int]] = [[0]]
    for number, joint in enumerate(re.findall("[-, ]", style.partition(":")[0]), 1):
        if joint == "-":
            curves[-1].append(number)
        else:
            curves.append([number - 1, number] if joint == "," else [number])
    curves = [curve for curve in curves if len(curve) > 1]
    places = []  # of the points along each curve
    for curve in curves:
        steps = np.hypot(*np.diff(extremes.mean(axis=0)[curve], axis=0).T)
        places.append(np.concatenate([[0], np.cumsum(np.maximum(steps, 0.1))]))
    lengths = np.cumsum([0, *(each[-1] for each in places)])
    cuts = np.rint(lengths / lengths[-1] * SEGMENTS).astype(int)
    weights = np.zeros((2, SEGMENTS, extremes.shape[1]))
    for curve, place, first, last in zip(curves, places, cuts, cuts[1:], strict=False):
        spline = CubicSpline(place, np.eye(len(curve)), bc_type="natural")
        along = spline(np.linspace(0, place[-1], last - first + 1))
        weights[0, first:last, curve], weights[1, first:last, curve] = along[:-1].T, along[1:].T
    return weights, extremes


def render(lines: Floats, rng: np.random.Generator, hand: Hand) -> NDArray[np.uint8]:
    """Draw segments, float32 (n, 2 ends, segments, 2), as MNIST's digits: in a box, the centre of mass in the middle.

    Returns:
        uint8 (n, 28, 28).
    """
    pen, edge = (rng.uniform(*bounds, (len(lines), 1, 1)).astype(np.float32) for bounds in (hand.pen, hand.edge))
    low, high = lines.min((1, 2), keepdims=True), lines.max((1, 2), keepdims=True)
    scale = (BOX - pen[..., None]) / (high - low).max(axis=-1, keepdims=True)
    lengths = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=-1)[:, None, :, None]
    center = (lines.mean(1, keepdims=True) * lengths).sum(2, keepdims=True) / lengths.sum(2, keepdims=True)
    farthest = (SIDE - BOX - edge[..., None]) / 2  # from the middle of the box, so that all stays in the image
    shift = np.clip(((low + high) / 2 - center) * scale, -farthest, farthest)
    lines = (lines - (low + high) / 2) * scale + shift + (SIDE - 1) / 2
    images = np.empty((len(lines), SIDE, SIDE), np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for first in range(0, len(lines), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        nearest = np.full(images[rows].shape, np.inf, np.float32)
        for segment in range(lines.shape[2]):
            start, end = lines[rows, :, segment, :, None, None].transpose(1, 2, 0, 3, 4)
            step = end - start
            along = ((x - start[0]) * step[0] + (y - start[1]) * step[1]) / np.maximum((step**2).sum(0), 1e-6)
            np.clip(along, 0, 1, out=along)
            distance = (x - start[0] - along * step[0]) ** 2 + (y - start[1] - along * step[1]) ** 2
            np.minimum(nearest, distance, out=nearest)
        ink = np.clip((pen[rows] / 2 - np.sqrt(nearest)) / edge[rows] + 0.5, 0, 1)
        images[rows] = np.rint(ink * 255)
    return images
