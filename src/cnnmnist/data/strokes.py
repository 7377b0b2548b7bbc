"""Strokes: images like MNIST's of digits, letters and scribbles, drawn in the ways that people write them."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from cnnmnist.data.styles import DIGITS, OTHERS

Floats = NDArray[np.float32]

SCRIBBLES = 300  # random styles
SEGMENTS = 32  # of a drawing, whose curves are polygons
SIDE, BOX = 28, 20  # pixels of an image, and of the longer side of what is drawn
AT_ONCE = 256  # images that fit in a processor's cache


@dataclass(frozen=True)
class Hand:
    """How differently people write: ranges of the parameters of a drawing, each drawn uniformly."""

    wobble: float = 0.4
    """Standard deviation of each point of a style, in steps of its grid."""
    width: tuple[float, float] = (0.55, 0.95)
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
    """Draw digits by a hand, each style about equally often; the random numbers decide the images.

    Returns:
        Images, uint8 (count, 28, 28), and their labels, uint8 (count,).
    """
    labels = np.array([int(digit) for digit, several in styles.items() for _ in several], np.uint8)
    table = [style for several in styles.values() for style in several]
    chosen = rng.integers(0, len(table), count)
    return render(trace(table, chosen, rng, hand), rng, hand), labels[chosen]


def draw_others(count: int, rng: np.random.Generator, hand: Hand = HAND) -> NDArray[np.uint8]:
    """Draw what is not one digit: letters and signs, scribbles, and two digits side by side, a third of each.

    Returns:
        uint8 (count, 28, 28).
    """
    digits = [style for several in DIGITS.values() for style in several]
    scribbles = [_scribble(rng) for _ in range(SCRIBBLES)]
    third = count // 3
    signs, scrawls, left, right = (
        trace(table, rng.integers(0, len(table), number), rng, hand)
        for table, number in ((OTHERS, count - 2 * third), (scribbles, third), (digits, third), (digits, third))
    )
    gap = rng.uniform(-1, 3, (third, 1, 1))
    right[..., 0] += left[..., 0].max((1, 2), keepdims=True) - right[..., 0].min((1, 2), keepdims=True) + gap
    pairs = np.concatenate([left, right], axis=2)
    return np.concatenate([render(lines, rng, hand) for lines in (signs, scrawls, pairs)])


def _scribble(rng: np.random.Generator) -> str:
    points = rng.integers(0, 10, (rng.integers(5, 11), 2))
    joints = [*rng.choice(["-", ","], 4), *rng.choice(["-", ",", " "], 6)]  # the first stroke is not simple
    return "".join(f"{x}{y}{joint}" for (x, y), joint in zip(points, joints, strict=False))[:-1]


def trace(styles: Sequence[str], chosen: NDArray[np.int64], rng: np.random.Generator, hand: Hand) -> Floats:
    """Compute the segments of drawings, float32 (n, 2 ends, segments, 2), from the numbers of their styles."""
    lines = np.empty((len(chosen), 2, SEGMENTS, 2), np.float32)
    for number in np.unique(chosen):
        rows = chosen == number
        curves, extremes = _parse(styles[number])
        between = rng.uniform(0, 1, (rows.sum(), 1, 1))
        points = extremes[0] * (1 - between) + extremes[-1] * between
        lines[rows] = np.einsum("esk,nkd->nesd", curves, points + rng.normal(0, hand.wobble, points.shape))
    lines -= 4.5
    waves, phases = rng.uniform([[0.2], [0.0]], [[0.5], [2 * np.pi]], (2, len(chosen)))[..., None, None, None]
    heights = rng.uniform(0, hand.bend, (len(chosen), 1, 1, 2))
    lines += heights * np.sin(waves * lines[..., ::-1] + phases)
    width, slant = (rng.uniform(*bounds, len(chosen)) for bounds in (hand.width, hand.slant))
    angle = np.deg2rad(rng.uniform(-hand.rotation, hand.rotation, len(chosen)))
    cos, sin = np.cos(angle), np.sin(angle)
    transforms = np.array([[cos * width, -slant * cos - sin], [sin * width, -slant * sin + cos]])
    return np.asarray(np.einsum("ijn,nesj->nesi", transforms, lines), np.float32)


@functools.cache
def _parse(style: str) -> tuple[Floats, Floats]:
    """Read a style: how much each point weighs in the ends of the segments, and the points of its extremes.

    Returns:
        float32 (2 ends, segments, points) and (1 or 2 extremes, points, 2).
    """
    extremes = np.array([re.findall(r"(\d)(\d)", extreme) for extreme in style.split(":")], np.float32)
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
    weights = np.zeros((2, SEGMENTS, extremes.shape[1]), np.float32)
    for curve, place, first, last in zip(curves, places, cuts, cuts[1:], strict=False):
        spline = CubicSpline(place, np.eye(len(curve)), bc_type="natural")
        along = spline(np.linspace(0, place[-1], last - first + 1))
        weights[0, first:last, curve], weights[1, first:last, curve] = along[:-1].T, along[1:].T
    return weights, extremes


def render(lines: Floats, rng: np.random.Generator, hand: Hand) -> NDArray[np.uint8]:
    """Draw segments, float32 (n, 2 ends, segments, 2), like MNIST's digits: scaled to a box, and centred by mass.

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
