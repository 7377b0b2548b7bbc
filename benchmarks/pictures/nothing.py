"""Pictures without a digit to read."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pictures.drawing import (
    Drawn,
    Range,
    Rng,
    Writer,
    any_number,
    any_pen,
    noise,
    on_desk,
    paper,
    photograph,
    rule,
    stain,
)

FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "STIXGeneral", "STIXGeneralItalic")
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYabdefhkmnprtuwxy&%$#@?§"  # without O, I, Z and S, which look like digits


def blank_paper(rng: Rng, writer: Writer) -> Drawn:
    return photograph(paper(rng, *_any_size(rng)), rng), ""


def ruled_paper(rng: Rng, writer: Writer) -> Drawn:
    return _lines_alone(rng, (0.1, 0.6), squared=False)


def squared_paper(rng: Rng, writer: Writer) -> Drawn:
    return _lines_alone(rng, (0.08, 0.4), squared=True)


def _lines_alone(rng: Rng, pitch: Range, *, squared: bool) -> Drawn:
    canvas = paper(rng, *_any_size(rng))
    height, width = canvas.shape[:2]
    spacing, thickness, color = (
        height * rng.uniform(*pitch),
        rng.uniform(1, 0.007 * width + 1),
        (rng.uniform(30, 170),) * 3,
    )
    rule(
        canvas,
        rng,
        spacing,
        thickness,
        color,
        rng.uniform(0.3, 0.9),
        squared=squared,
        slope=rng.uniform(-0.06, 0.06),
    )
    return photograph(canvas, rng), ""


def _any_size(rng: Rng) -> tuple[int, int]:
    width = int(rng.integers(300, 1000))
    return int(width * rng.uniform(0.4, 1.1)), width


def sheet_on_desk(rng: Rng, writer: Writer) -> Drawn:
    return on_desk(rng, lambda sheet: "")


def textures(rng: Rng, writer: Writer) -> Drawn:
    size = _any_size(rng)
    layers = [[noise(rng, size, (grains, grains)) / grains**0.5 for grains in (4, 8, 16, 40)] for _ in range(3)]
    canvas = np.moveaxis(np.sum(layers, axis=1), 0, 2)
    canvas = np.ascontiguousarray((canvas - canvas.min()) / np.ptp(canvas), np.float64)
    for _ in range(int(rng.integers(0, 12))):
        middle, axes = rng.integers(0, size[::-1]), rng.integers(5, np.array(size[::-1]) // 3)
        cv2.ellipse(
            canvas, middle.tolist(), axes.tolist(), int(rng.integers(180)), 0, 360, rng.random(3).tolist(), -1
        )
    return photograph(canvas, rng), ""


def letters(rng: Rng, writer: Writer) -> Drawn:
    side = int(rng.integers(120, 500))
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{rng.choice(FONTS)}.ttf"
    letter = Image.new("L", (side, side))
    font = ImageFont.truetype(file, side // 2)
    ImageDraw.Draw(letter).text((side // 2,) * 2, rng.choice(list(LETTERS)), fill=255, font=font, anchor="mm")
    # Bent, as if it were written by hand.
    bend = [0.015 * side * noise(rng, (side, side), (5, 5)) for _ in range(2)]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    ink = cv2.remap(np.asarray(letter, np.float32) / 255, x + bend[0], y + bend[1], cv2.INTER_LINEAR)
    canvas = paper(rng, side, side)
    stain(canvas, ink, *any_pen(rng))
    return photograph(canvas, rng), ""


def sums(rng: Rng, writer: Writer) -> Drawn:
    canvas = paper(rng, int(rng.integers(150, 250)), int(rng.integers(450, 700)))
    height, pen, width = 0.5 * canvas.shape[0], any_pen(rng), rng.uniform(0.05, 0.12)
    x, side, thick = 0.08 * canvas.shape[1], int(height * rng.uniform(0.5, 0.8)), max(2, int(width * height))
    sign, (low, middle, high) = np.zeros((side, side), np.float32), (thick, side // 2, side - thick)
    strokes = [((middle, low), (middle, high)), ((low, middle), (high, middle))]
    if rng.random() < 0.5:
        strokes = [((low, y), (high, y)) for y in (side // 3, 2 * side // 3)]
    for ends in strokes:
        cv2.line(sign, *ends, 1.0, thick, cv2.LINE_AA)
    first, last = (writer.write(rng, any_number(rng, 1), height, width) for _ in range(2))
    for ink in (first, sign, last):
        stain(canvas, ink, *pen, round((canvas.shape[0] - len(ink)) / 2), round(x))
        x += ink.shape[1] + 0.3 * height
    return photograph(canvas, rng), ""


KINDS = {
    "none: blank paper": blank_paper,
    "none: ruled paper": ruled_paper,
    "none: squared paper": squared_paper,
    "none: sheet on a desk": sheet_on_desk,
    "none: textures and shapes": textures,
    "none: letters and signs": letters,
    "none: sums": sums,
}
