"""What pictures of digits are drawn with: handwriting, pens, paper, light, lines, and a camera.

A canvas is float64 (height, width, 3) in [0, 1]; ink is float32 (height, width) in [0, 1]. Lengths are pixels.
"""

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating]
Range = tuple[float, float]
Rng = np.random.Generator
Drawn = tuple[NDArray[np.uint8], str]  # uint8 (height, width, 3), and the text in it

PENS = ((25, 25, 28), (35, 50, 140), (38, 40, 80), (170, 30, 40))  # black, blue, dark blue, red
DESKS = ((62, 38, 24), (150, 105, 62), (40, 42, 45), (120, 120, 122), (180, 150, 110), (90, 60, 40))
FINE = 120  # height in which the middle of the strokes is searched


class Writer:
    """Writes digits, each in the shape of one from MNIST, with pens of any width.

    Args:
        images: uint8 (n, 28, 28).
        labels: (n,).
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        self.images, self.of = images, [np.flatnonzero(labels == label) for label in range(10)]

    def write(self, rng: Rng, digit: str, height: float, pen: float | None) -> Array:
        """The ink of a digit, as small as it; the pen's width is a fraction of the height, or None as in MNIST."""
        height = max(8, round(height))
        image = self.images[rng.choice(self.of[int(digit)])].astype(np.float32) / 255
        image = np.pad(_crop(image, 0.25), 2)
        factor = (FINE if pen else height) / (len(image) - 4)
        large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        large = cv2.GaussianBlur(large, (0, 0), 0.35 * factor)
        if pen:
            middle = np.pad(_thin(large > 0.45), 30)
            distance = cv2.distanceTransform((1 - middle).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
            distance = cv2.GaussianBlur(distance, (0, 0), 2.0)
            method = cv2.INTER_AREA if height < FINE else cv2.INTER_CUBIC
            factor = height / FINE
            distance = cv2.resize(distance, None, fx=factor, fy=factor, interpolation=method) * factor
            ink = np.clip(pen * height / 2 + 1.2 - distance, 0, 1)
        else:
            ink = np.clip((large - 0.5) * factor / 1.5 + 0.5, 0, 1)
        return _crop(ink, 0.3)


def _crop(ink: Array, level: float) -> Array:
    rows, columns = np.nonzero(ink > level)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _thin(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Thin strokes to one pixel: T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning", 1984."""
    middle = np.pad(mask.astype(np.uint8), 1)
    around = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
    changed = True
    while changed:
        changed = False
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            near = np.stack([np.roll(middle, shift, (0, 1)) for shift in around])
            count, steps = near.sum(0), ((near == 0) & (np.roll(near, -1, 0) == 1)).sum(0)
            outer = (middle == 1) & (count >= 2) & (count <= 6) & (steps == 1)
            outer &= (near[list(first)].prod(0) == 0) & (near[list(second)].prod(0) == 0)
            middle[outer] = 0
            changed |= bool(outer.any())
    return middle[1:-1, 1:-1]


def any_pen(rng: Rng) -> tuple[tuple[int, int, int], float]:
    """A colour, and how much of the light it takes."""
    return PENS[rng.integers(len(PENS))], rng.uniform(0.75, 1)


def any_width(rng: Rng) -> float | None:
    """A width of a pen as a fraction of the digit's height, or None for that of MNIST's digit."""
    return None if rng.random() < 0.5 else rng.uniform(0.04, 0.13)


def any_number(rng: Rng, digits: int) -> str:
    return "".join(map(str, rng.integers(0, 10, digits)))


def noise(rng: Rng, size: tuple[int, int], grain: tuple[int, int]) -> Array:
    """Smooth noise of the size (height, width), with one random value for each grain."""
    values = rng.normal(0, 1, grain).astype(np.float32)
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_CUBIC)


def paper(rng: Rng, height: int, width: int, *, even: bool = False) -> Array:
    """White or yellowish paper; unless it is even, light falls on it from a side, and less on its edges."""
    tone = rng.uniform(0.8, 0.97) * np.array([1, rng.uniform(0.96, 1), rng.uniform(0.86, 1)])
    if even:
        return np.ones((height, width, 3)) * tone
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.22) * (0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)))
    light = 1 - slope - rng.uniform(0, 0.12) * (x**2 + y**2) / 2
    if rng.random() < 0.3:
        light *= 1 + 0.02 * noise(rng, (height, width), (4, 5))
    return tone * light[..., None]


def desk(rng: Rng, height: int, width: int) -> Array:
    """A desk of one colour, or with the grain of wood."""
    canvas = np.ones((height, width, 3)) * np.array(DESKS[rng.integers(len(DESKS))]) / 255
    if rng.random() < 0.6:
        grain = noise(rng, (height, width), (int(rng.integers(20, 60)), 3))
        canvas *= 1 + rng.uniform(0.02, 0.08) * grain[..., None]
    return canvas


def stain(
    canvas: Array, ink: Array, color: tuple[float, ...], density: float, top: int = 0, left: int = 0
) -> None:
    """Put ink on a canvas: it filters the light."""
    first, begin = max(top, 0), max(left, 0)
    last, end = min(top + ink.shape[0], canvas.shape[0]), min(left + ink.shape[1], canvas.shape[1])
    if first < last and begin < end:
        part = ink[first - top : last - top, begin - left : end - left, None]
        canvas[first:last, begin:end] *= 1 - part * density * (1 - np.array(color) / 255)


def rule(
    canvas: Array,
    rng: Rng,
    pitch: float,
    thickness: float,
    color: tuple[float, ...],
    density: float,
    *,
    squared: bool = False,
    slope: float = 0.0,
) -> None:
    """Print parallel lines on paper, and with ``squared`` also lines across them."""
    mask = np.zeros(canvas.shape[:2], np.float32)
    length = int(np.hypot(*mask.shape))
    shift = rng.uniform(0, pitch)
    drop = length * np.sin(slope)
    for at in np.arange(-length, 2 * length, pitch) + shift:
        lines = [((-length, at - drop), (length, at + drop)), ((at + drop, -length), (at - drop, length))]
        for ends in lines[: 1 + squared]:
            first, last = (tuple(int(16 * part) for part in end) for end in ends)
            cv2.line(mask, first, last, 1.0, max(1, round(thickness)), cv2.LINE_AA, 4)
    stain(canvas, mask, color, density)


def write_row(
    canvas: Array,
    rng: Rng,
    writer: Writer,
    text: str,
    heights: list[float],
    top: float,
    left: float,
    width: float | None,
    gap: Range,
) -> None:
    """Write digits of some heights on a line with one pen; gaps are fractions of the tallest."""
    (color, density), tallest, x = any_pen(rng), max(heights), left
    for digit, height in zip(text, heights, strict=True):
        ink = writer.write(rng, digit, height, width)
        y = top + (tallest - height) * rng.uniform(0.7, 1) + rng.uniform(-0.05, 0.05) * tallest
        stain(canvas, ink, color, density, round(y), round(x))
        x += ink.shape[1] + rng.uniform(*gap) * tallest


def photograph(
    canvas: Array, rng: Rng, *, grain: float | None = None, blur: float | None = None
) -> NDArray[np.uint8]:
    """Blur a canvas, add the noise of a camera, and save it as JPEG: uint8 (height, width, 3)."""
    blur = rng.uniform(0, 0.0015) * max(canvas.shape) if blur is None else blur
    grain = rng.uniform(0.002, 0.02) if grain is None else grain
    if blur > 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
    height, width = canvas.shape[:2]
    canvas = canvas + rng.normal(0, grain, (height, width, 1)) + rng.normal(0, grain / 3, (height, width, 3))
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.clip(canvas, 0, 1) * 255)).save(file, "JPEG", quality=int(rng.integers(70, 95)))
    return np.asarray(Image.open(file))


def on_desk(rng: Rng, write: Callable[[Array], str]) -> Drawn:
    """A sheet, turned and perhaps beyond the picture's edge, with its shadow on a desk."""
    width = int(rng.integers(700, 1200))
    height = int(width * rng.uniform(0.65, 1.2))
    canvas = desk(rng, height, width)
    sheet = paper(rng, int(height * rng.uniform(0.5, 0.8)), int(width * rng.uniform(0.5, 0.8)))
    text, size = write(sheet), sheet.shape[1::-1]
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), rng.uniform(-8, 8) if rng.random() < 0.6 else 0, 1)
    left = rng.uniform(0.3, 0.7) * (width - size[0]) if rng.random() < 0.7 else width - 0.9 * size[0]
    turn[:, 2] += left, rng.uniform(0.3, 0.7) * (height - size[1])
    place = cv2.warpAffine(np.ones(size[::-1]), turn, (width, height))
    if rng.random() < 0.5:
        step = 0.01 * width
        shadow = cv2.warpAffine(place, np.array([[1, 0, step], [0, 1, step]]), (width, height))
        canvas *= 1 - 0.4 * cv2.GaussianBlur(shadow, (0, 0), 0.8 * step)[..., None]
    canvas = canvas * (1 - place[..., None]) + cv2.warpAffine(sheet, turn, (width, height))
    return photograph(canvas, rng), text
