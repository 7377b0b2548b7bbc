"""Pictures of one digit."""

from dataclasses import dataclass

import cv2
import numpy as np

from pictures.drawing import (
    Array,
    Drawn,
    Range,
    Rng,
    Writer,
    any_number,
    any_pen,
    any_width,
    on_desk,
    paper,
    photograph,
    rule,
    stain,
)


@dataclass
class Single:
    """A sheet, and a digit that is not yet written on it."""

    rng: Rng
    canvas: Array
    text: str
    ink: Array
    top: int
    left: int
    height: float

    @classmethod
    def choose(cls, rng: Rng, writer: Writer, height: Range = (0.25, 0.65), *, even: bool = False) -> "Single":
        width = int(rng.integers(300, 1000))
        canvas = paper(rng, int(width * rng.uniform(0.7, 1.3)), width, even=even)
        text, size = any_number(rng, 1), min(canvas.shape[:2]) * rng.uniform(*height)
        ink = writer.write(rng, text, size, any_width(rng))
        # A person leaves a margin; what crosses the edge of a picture belongs to something else.
        free = (max(2, rest - length) for rest, length in zip(canvas.shape, ink.shape, strict=False))
        margin = [0.06 * side for side in canvas.shape[:2]]
        top, left = (
            int(rng.uniform(least, max(least, most - least))) for most, least in zip(free, margin, strict=True)
        )
        return cls(rng, canvas, text, ink, top, left, size)

    def write(self, color: tuple[float, ...] | None = None, density: float | None = None) -> None:
        any_color, any_density = any_pen(self.rng)
        stain(self.canvas, self.ink, color or any_color, density or any_density, self.top, self.left)

    def photograph(self, **camera: float) -> Drawn:
        return photograph(self.canvas, self.rng, **camera), self.text


def clean_paper(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer, even=True)
    page.write()
    pixels, text = page.photograph(grain=rng.uniform(0, 0.004), blur=0)
    return (255 - pixels if rng.random() < 0.3 else pixels), text


def photographed(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    page.write()
    return page.photograph()


def ruled_paper(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer, (0.2, 0.45))
    color = (rng.uniform(30, 150),) * 3 if rng.random() < 0.6 else (60, 80, 150)
    pitch, thickness = page.height * rng.uniform(0.6, 1.6), max(page.canvas.shape) * rng.uniform(0.004, 0.01)
    rule(page.canvas, rng, pitch, thickness, color, rng.uniform(0.35, 0.9), slope=rng.uniform(-0.05, 0.05))
    page.write()
    return page.photograph()


def squared_paper(rng: Rng, writer: Writer) -> Drawn:
    color = (rng.uniform(60, 170),) * 2 + (rng.uniform(90, 180),)
    return _squared(rng, writer, (0.3, 0.9), color, (0.3, 0.8))


def pale_rulings(rng: Rng, writer: Writer) -> Drawn:
    return _squared(rng, writer, (0.4, 1.4), (150, 170, 210), (0.15, 0.4), squared=rng.random() < 0.5)


def _squared(
    rng: Rng, writer: Writer, pitch: Range, color: tuple[float, ...], density: Range, *, squared: bool = True
) -> Drawn:
    page = Single.choose(rng, writer, (0.25, 0.5))
    thickness, slope = max(page.canvas.shape) * rng.uniform(0.003, 0.006), rng.uniform(-0.05, 0.05)
    spacing = page.height * rng.uniform(*pitch)
    rule(page.canvas, rng, spacing, thickness, color, rng.uniform(*density), squared=squared, slope=slope)
    page.write()
    return page.photograph()


def margin_line(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer, (0.25, 0.5))
    height, width = page.canvas.shape[:2]
    before = page.left > 0.3 * width
    x = width * (rng.uniform(0.05, 0.2) if before else rng.uniform(0.8, 0.95))
    lean = rng.uniform(-0.02, 0.02) * height
    mask = np.zeros((height, width), np.float32)
    ends = (int(x - lean), -5), (int(x + lean), height + 5)
    cv2.line(mask, *ends, 1.0, int(rng.integers(2, 5)), cv2.LINE_AA)
    stain(page.canvas, mask, (210, 60, 60), rng.uniform(0.4, 0.9))
    if rng.random() < 0.4:
        rule(page.canvas, rng, page.height * rng.uniform(0.5, 1.4), 2, (120, 150, 200), 0.4)
    page.write()
    return page.photograph()


def sheet_on_desk(rng: Rng, writer: Writer) -> Drawn:
    def write(sheet: Array) -> str:
        page = Single(rng, sheet, any_number(rng, 1), np.empty(0), 0, 0, sheet.shape[0] * rng.uniform(0.25, 0.5))
        page.ink = writer.write(rng, page.text, page.height, any_width(rng))
        free = [length - own for length, own in zip(sheet.shape, page.ink.shape, strict=False)]
        page.top, page.left = int(free[0] * rng.uniform(0.3, 0.7)), int(free[1] * rng.uniform(0.25, 0.6))
        page.write()
        return page.text

    return on_desk(rng, write)


def edge_of_shadow(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    page.write()
    height, width = page.canvas.shape[:2]
    x, y = np.meshgrid(
        np.arange(width) - rng.uniform(0.2, 0.8) * width, np.arange(height) - rng.uniform(0.2, 0.8) * height
    )
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.002, 0.05) * width
    distance = np.clip((x * np.cos(angle) + y * np.sin(angle)) / softness, -30, 30)
    page.canvas *= 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(-distance))[..., None]
    return page.photograph()


def corners_of_screenshot(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer, even=True)
    page.write()
    height, width = page.canvas.shape[:2]
    radius = max(2, int(rng.uniform(0.015, 0.06) * width))
    inside = np.zeros((height, width), np.uint8)
    inside[radius:-radius] = inside[:, radius:-radius] = 1
    for x in (radius, width - radius):
        for y in (radius, height - radius):
            cv2.circle(inside, (x, y), radius, 1, -1)
    page.canvas *= inside[..., None]
    return page.photograph(grain=0.003, blur=0)


def dark_border(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    page.write()
    depth = max(2, int(rng.uniform(0.01, 0.05) * page.canvas.shape[1]))
    sides = np.s_[:depth], np.s_[-depth:], np.s_[:, :depth], np.s_[:, -depth:]
    for side in rng.permutation(4)[: rng.integers(1, 5)]:
        page.canvas[sides[side]] = rng.uniform(0, 0.25)
    return page.photograph(grain=0.003, blur=0)


def dark_specks(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    page.write((90, 90, 95), rng.uniform(0.35, 0.8))
    height, width = page.canvas.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        x, y = int(rng.uniform(0.03, 0.97) * width), int(rng.uniform(0.03, 0.97) * height)
        near = page.top - 10 < y < page.top + page.ink.shape[0] + 10
        if not (near and page.left - 10 < x < page.left + page.ink.shape[1] + 10):
            cv2.circle(mask, (x, y), int(rng.uniform(1, 0.035 * page.height + 2)), 1.0, -1, cv2.LINE_AA)
    stain(page.canvas, mask, (0, 0, 0), 0.97)
    return page.photograph()


def pencil(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    grain = cv2.GaussianBlur(rng.normal(0, 1, page.ink.shape), (0, 0), 1.0)
    page.ink = page.ink * (0.35 + 0.65 * np.clip(0.5 + 0.5 * grain / grain.std(), 0, 1))
    page.write((80, 80, 85), rng.uniform(0.3, 0.6))
    tooth = cv2.GaussianBlur(rng.normal(0, 1, page.canvas.shape[:2]), (0, 0), 0.8)
    page.canvas *= 1 + rng.uniform(0.005, 0.03) * tooth[..., None]
    return page.photograph()


def faint_pen(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer, (0.12, 0.4))
    page.write((150, 90, 160) if rng.random() < 0.5 else (120, 130, 170), rng.uniform(0.25, 0.5))
    return page.photograph(grain=rng.uniform(0.002, 0.01))


def blurred(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    page.write()
    return page.photograph(blur=page.height * rng.uniform(0.02, 0.05))


def broken_strokes(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    height = len(page.ink)
    first = int(height * rng.uniform(0.25, 0.75))
    page.ink = page.ink.copy()
    page.ink[first : first + max(1, int(height * rng.uniform(0.02, 0.06)))] = 0
    page.write()
    return page.photograph()


def cut_out_tightly(rng: Rng, writer: Writer) -> Drawn:
    page = Single.choose(rng, writer)
    page.write()
    left, top, width, height = cv2.boundingRect((page.ink > 0.4).astype(np.uint8))
    left, top = left + page.left, top + page.top
    page.canvas = page.canvas[top : top + height, left : left + width]
    if rng.random() < 0.5:
        page.canvas = 1 - page.canvas
    return page.photograph(blur=0)


KINDS = {
    "clean paper": clean_paper,
    "photograph": photographed,
    "ruled paper": ruled_paper,
    "squared paper": squared_paper,
    "pale rulings": pale_rulings,
    "margin line": margin_line,
    "sheet on a desk": sheet_on_desk,
    "edge of a shadow": edge_of_shadow,
    "corners of a screenshot": corners_of_screenshot,
    "dark border": dark_border,
    "dark specks": dark_specks,
    "pencil": pencil,
    "faint pen": faint_pen,
    "blurred": blurred,
    "broken strokes": broken_strokes,
    "cut out tightly": cut_out_tightly,
}
