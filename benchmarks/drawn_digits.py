"""Measure how well networks read digits that the program draws, and how sure they are of what is no digit.

    python benchmarks/drawn_digits.py [RUN]... [--runs-dir DIR] [--data-dir DIR]

The pictures are drawn with a pen on paper, and then prepared as `cnnmnist predict` prepares them. Their parameters
are others than those of training (`cnnmnist.data.strokes`): the ones come from angles and lengths that are in no
style there, the letters in fonts that are not used there, and the other digits from a less steady hand.

With --data-dir, a second table says how many right and wrong answers on the validation split, and how many
letters, have less than a level of probability. `pretrained` and `handwriting` were trained on this split, too.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from rich.console import Console
from rich.table import Table

from cnnmnist.data.loading import load_dataset
from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.data.strokes import Hand, draw_others, trace
from cnnmnist.data.styles import DIGITS
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.store import load_run

NUMBER = 200  # pictures of each kind
OTHER_HAND = Hand(wobble=0.55, bend=0.7, width=(0.4, 1.05), slant=(-0.3, 0.55), rotation=12.0)
FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSansMono", "STIXGeneral", "STIXGeneralItalic", "cmtt10")
LETTERS = "ABCEFHKLMNPRTUVWXadefhkmnrtvwx&%#@?+=*"  # without those that look like a digit, such as O, Z and b
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.88, 0.95)


def ones(rng: np.random.Generator, flag: tuple[float, float], least_angle: float, foot: bool) -> np.ndarray:
    """Segments, (2 ends, n, 2), of a one: a stem, and a flag or a foot or both.

    The length of the flag is within ``flag``, in stems, and its angle below the horizontal is at least
    ``least_angle`` degrees: a long and flat flag would make it a seven.
    """
    lean = rng.uniform(-0.25, 0.12)
    top, bottom = np.array([0.0, 0.0]), np.array([lean, 1.0])
    strokes = [[top, bottom]]
    if length := rng.uniform(*flag):
        angle = np.deg2rad(rng.uniform(least_angle, 65))
        end = np.array([-np.cos(angle), np.sin(angle)]) * length
        strokes.append([top, end / 2 + rng.normal(0, 0.03, 2), end])
    if foot:
        left, right = rng.uniform(0.12, 0.4, 2)
        strokes.append(bottom + np.array([[-left, rng.normal(0, 0.03)], [right, rng.normal(0, 0.03)]]))
    lines = [np.stack([stroke[:-1], stroke[1:]]) for stroke in map(np.array, strokes)]
    return np.concatenate(lines, axis=1)


def picture(lines: np.ndarray, rng: np.random.Generator, pen: float, blur: float = 0.0) -> np.ndarray:
    """Draw segments, (2 ends, n, 2), on paper; the width of the pen is a fraction of their height."""
    height = rng.uniform(40, 100)
    low, high = lines.min((0, 1)), lines.max((0, 1))
    points = (lines - low) * (height / max(high - low)) + 0.6 * height
    paper, ink = rng.uniform(200, 255), rng.uniform(0, 90)
    sheet = Image.new("L", tuple(np.rint(points.max((0, 1)) + 0.6 * height).astype(int).tolist()), round(paper))
    draw, radius = ImageDraw.Draw(sheet), max(0.7, pen * height / 2)
    for start, end in points.transpose(1, 0, 2):
        draw.line([*start, *end], fill=round(ink), width=round(2 * radius))
        for x, y in (start, end):
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=round(ink))
    sheet = sheet.filter(ImageFilter.GaussianBlur(blur * height + 0.7))
    pixels = np.asarray(sheet, np.float32) / 255 + rng.normal(0, 0.01, sheet.size[::-1]).astype(np.float32)
    return np.repeat(np.clip(pixels, 0, 1)[..., None], 3, axis=2)


def digits(hand: Hand, rng: np.random.Generator, only: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    styles = [
        (int(digit), style) for digit, several in DIGITS.items() for style in several if only in (None, digit)
    ]
    chosen = rng.integers(0, len(styles), NUMBER)
    return trace([style for _, style in styles], chosen, rng, hand), np.array([styles[each][0] for each in chosen])


def kinds() -> Iterator[tuple[str, list[np.ndarray], np.ndarray]]:
    """The name of each kind, its prepared images, and their labels."""

    def prepared(name: str, lines: Any, labels: Any, pens: tuple[float, float], blur: float = 0.0) -> Any:
        pictures = (picture(each, rng, rng.uniform(*pens), blur) for each in lines)
        return name, [prepare_picture(each) for each in pictures], np.broadcast_to(labels, NUMBER)

    rng = np.random.default_rng(1)
    usual = (0.05, 0.2)
    for title, *shape in (
        ("a short flag", (0.2, 0.4), 28, False),
        ("a long flag", (0.4, 0.7), 35, False),
        ("a very long flag", (0.7, 0.95), 40, False),
        ("a foot", (0.0, 0.0), 0, True),
        ("a flag and a foot", (0.2, 0.8), 35, True),
    ):
        yield prepared(f"1 with {title}", [ones(rng, *shape) for _ in range(NUMBER)], 1, usual)
    for digit in DIGITS:
        yield prepared(f"{digit} in all styles", *digits(OTHER_HAND, rng, digit), usual)
    yield prepared("thin pen", *digits(Hand(), rng), (0.02, 0.04))
    yield prepared("thick pen", *digits(Hand(), rng), (0.2, 0.25))
    yield prepared("blurred", *digits(Hand(), rng), usual, 0.06)
    yield prepared("turned by up to 20 degrees", *digits(Hand(rotation=20.0), rng), usual)


def letters() -> np.ndarray:
    """Letters and signs of several fonts as prepared images."""
    images = []
    for font, letter, size in itertools.product(FONTS, LETTERS, (24, 100)):
        file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
        sheet = Image.new("L", (2 * size, 2 * size), 255)
        face = ImageFont.truetype(file, size)
        ImageDraw.Draw(sheet).text((size, size), letter, fill=0, font=face, anchor="mm")
        images.append(prepare_picture(np.asarray(sheet.convert("RGB"), np.float32) / 255))
    return np.concatenate(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", default=["pretrained", "handwriting"])
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--data-dir")
    options = parser.parse_args()
    networks = [load_run(name, options.runs_dir).load_network() for name in options.runs]
    table = Table("pictures", "number", *options.runs)
    ones_right = []
    for name, images, labels in kinds():
        single = np.array([len(each) == 1 for each in images])
        answers = [
            predict_logits(network, np.stack([each[0] for each in images])).argmax(1) for network in networks
        ]
        right = [(answer == labels) & single for answer in answers]
        table.add_row(name, str(len(images)), *(f"{each.mean():.1%}" for each in right))
        if name.startswith("1 with"):
            ones_right.append(right)
    table.add_row("all ones with flags or feet", "", *(f"{each:.1%}" for each in np.mean(ones_right, axis=(0, 2))))
    Console(width=160).print(table)
    if options.data_dir:
        _show_confidence(options.runs, networks, load_dataset("mnist", options.data_dir))


def _show_confidence(names: list[str], networks: list[Any], dataset: Any) -> None:
    table = Table("run", "level", "right", "wrong", "letters of fonts", "drawn letters, scribbles, pairs")
    drawn = draw_others(1_500, np.random.default_rng(2), OTHER_HAND)
    split = dataset.validation
    for name, network in zip(names, networks, strict=True):
        sure = []
        for images in (split.images, letters(), drawn):
            rows = probabilities(predict_logits(network, images), network.temperature)
            sure.append((rows.max(1), np.diff(np.sort(rows, axis=1)[:, -2:])[:, 0], rows.argmax(1)))
        right = sure[0][2] == split.labels
        for measure, title in enumerate(("probability", "margin")):
            for level in LEVELS:
                own, fonts, others = (each[measure] < level for each in sure)
                shares = [own[right].mean(), own[~right].mean(), fonts.mean(), others.mean()]
                table.add_row(name, f"{title} < {level}", *(f"{share:.1%}" for share in shares))
    Console(width=160).print(table)


main()
