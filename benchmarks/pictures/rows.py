"""Pictures of several digits, in rows and columns."""

import cv2
import numpy as np

from pictures.drawing import (
    Array,
    Drawn,
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
    write_row,
)


def row_on_ruled_paper(rng: Rng, writer: Writer) -> Drawn:
    canvas = paper(rng, int(rng.integers(150, 350)), int(rng.integers(600, 900)))
    digits = int(rng.integers(3, 7))
    height = min(canvas.shape[0] * rng.uniform(0.25, 0.42), 0.85 * canvas.shape[1] / digits / 1.3)
    color = (rng.uniform(30, 130),) * 3
    pitch, density = height * rng.uniform(1.1, 1.7), rng.uniform(0.4, 0.9)
    rule(canvas, rng, pitch, rng.uniform(2, 4.5), color, density, slope=rng.uniform(-0.04, 0.04))
    return _row(canvas, rng, writer, digits, height)


def row_on_desk(rng: Rng, writer: Writer) -> Drawn:
    def write(sheet: Array) -> str:
        text = any_number(rng, int(rng.integers(2, 5)))
        height = min(0.35 * sheet.shape[0], 0.75 * sheet.shape[1] / len(text) / 1.1)
        heights = [height * rng.uniform(0.92, 1.08) for _ in text]
        top = (sheet.shape[0] - height) * rng.uniform(0.3, 0.7)
        write_row(sheet, rng, writer, text, heights, top, 0.08 * sheet.shape[1], any_width(rng), (0.15, 0.35))
        return text

    return on_desk(rng, write)


def row(rng: Rng, writer: Writer) -> Drawn:
    canvas, digits = paper(rng, int(rng.integers(120, 400)), int(rng.integers(500, 1000))), int(rng.integers(2, 9))
    height = min(0.6 * canvas.shape[0], 0.85 * canvas.shape[1] / digits / 1.15)
    return _row(canvas, rng, writer, digits, height)


def _row(canvas: Array, rng: Rng, writer: Writer, digits: int, height: float) -> Drawn:
    text = any_number(rng, digits)
    heights = [height * rng.uniform(0.92, 1.08) for _ in text]
    top = (canvas.shape[0] - height) * rng.uniform(0.3, 0.7)
    write_row(canvas, rng, writer, text, heights, top, 0.06 * canvas.shape[1], any_width(rng), (0.12, 0.45))
    return photograph(canvas, rng), text


def small_zeros(rng: Rng, writer: Writer) -> Drawn:
    canvas = paper(rng, int(rng.integers(150, 300)), int(rng.integers(500, 900)))
    text = str(rng.integers(1, 10)) + "".join(rng.choice(list("00015682"), int(rng.integers(4, 7))))
    height = min(0.6 * canvas.shape[0], 0.8 * canvas.shape[1] / len(text) / 1.1)
    heights = [height * (rng.uniform(0.38, 0.55) if digit == "0" else rng.uniform(0.96, 1.04)) for digit in text]
    top, width = (canvas.shape[0] - height) / 2, rng.uniform(0.06, 0.12)
    write_row(canvas, rng, writer, text, heights, top, 0.05 * canvas.shape[1], width, (0.15, 0.4))
    return photograph(canvas, rng), text


def touching_digits(rng: Rng, writer: Writer) -> Drawn:
    text, height, width = any_number(rng, int(rng.integers(2, 5))), int(rng.integers(60, 200)), any_width(rng)
    inks = [writer.write(rng, digit, height * rng.uniform(0.9, 1.05), width) for digit in text]
    row = np.zeros((int(1.8 * height), int(sum(ink.shape[1] for ink in inks) + 1.2 * height)), np.float32)
    touching, end = int(rng.integers(1, len(text))), int(0.4 * height)
    for index, ink in enumerate(inks):
        top = int((0.35 + rng.uniform(-0.04, 0.04)) * height)
        left = end + (int(rng.uniform(0.1, 0.3) * height) if index else 0)
        if index and (index == touching or rng.random() < 0.3):
            left = _touch(row, ink, top, end, inks[index - 1].shape[1])
        part = row[top : top + len(ink), left : left + ink.shape[1]]
        np.maximum(part, ink, out=part)
        end = left + ink.shape[1]
    canvas = paper(rng, *row.shape)
    stain(canvas, row, *any_pen(rng))
    return photograph(canvas, rng), text


def _touch(row: Array, ink: Array, top: int, left: int, before: int) -> int:
    """Move a digit to the left, until its ink overlaps the digit before it."""
    least = left - before * 2 // 3
    while left > least:
        part = row[top : top + len(ink), left : left + ink.shape[1]]
        if (np.minimum(part, ink) > 0.5).sum() >= max(2, 0.02 * len(ink)):
            break
        left -= 1
    return left


def two_in_28x28_pixels(rng: Rng, writer: Writer) -> Drawn:
    canvas, text = np.ones((28, 28, 3)), any_number(rng, 2)
    for index, digit in enumerate(text):
        ink = writer.write(rng, digit, rng.integers(15, 20), 0.1 if rng.random() < 0.5 else None)
        if ink.shape[1] > 12:
            ink = cv2.resize(ink, (12, len(ink)), interpolation=cv2.INTER_AREA)
        stain(canvas, ink, (0, 0, 0), 1, int(rng.integers(3, 8)), 1 + 14 * index + (13 - ink.shape[1]) // 2)
    pixels = np.uint8(canvas * 255)
    return (255 - pixels if rng.random() < 0.5 else pixels), text


def several_rows(rng: Rng, writer: Writer) -> Drawn:
    canvas, rows = paper(rng, int(rng.integers(500, 900)), int(rng.integers(600, 1000))), int(rng.integers(2, 5))
    step, texts, pen, width = canvas.shape[0] / rows, [], any_pen(rng), any_width(rng)
    height, slope = step * rng.uniform(0.4, 0.6), rng.uniform(-0.06, 0.06)
    for row in range(rows):
        most = max(1, int(0.85 * canvas.shape[1] / (1.15 * height)))
        texts.append(any_number(rng, min(most, int(rng.integers(2, 7)))))
        x = canvas.shape[1] * rng.uniform(0.05, 0.15)
        for digit in texts[-1]:
            ink = writer.write(rng, digit, height * rng.uniform(0.85, 1.05), width)
            y = step * (row + 0.15) + slope * (x - canvas.shape[1] / 2) + rng.uniform(-0.06, 0.06) * height
            stain(canvas, ink, *pen, round(y), round(x))
            x += ink.shape[1] + rng.uniform(0.15, 0.5) * height
    return photograph(canvas, rng), "\n".join(texts)


def column(rng: Rng, writer: Writer) -> Drawn:
    width, digits = int(rng.integers(250, 500)), int(rng.integers(2, 4))
    canvas, text = paper(rng, int(width * rng.uniform(1.4, 2.2)), width), any_number(rng, digits)
    step, pen, stroke = canvas.shape[0] / digits, any_pen(rng), any_width(rng)
    height = 0.68 * step
    for row, digit in enumerate(text):
        ink = writer.write(rng, digit, height, stroke)
        if ink.shape[1] > 0.8 * width:
            ink = cv2.resize(ink, (int(0.8 * width), len(ink)), interpolation=cv2.INTER_AREA)
        top, left = (
            step * (row + 0.14) + rng.uniform(-0.03, 0.03) * height,
            (width - ink.shape[1]) * rng.uniform(0.3, 0.7),
        )
        stain(canvas, ink, *pen, round(top), round(left))
    return photograph(canvas, rng), "\n".join(text)


KINDS = {
    "row on ruled paper": row_on_ruled_paper,
    "row on a sheet on a desk": row_on_desk,
    "row": row,
    "small zeros": small_zeros,
    "touching digits": touching_digits,
    "two digits in 28x28 pixels": two_in_28x28_pixels,
    "several rows": several_rows,
    "column": column,
}
