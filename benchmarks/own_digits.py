"""Measure how well the program reads digits that are not from MNIST, and pictures of digits as people take them.

    python benchmarks/own_digits.py [RUN] [--runs-dir DIR] [--data-dir DIR] [--number N] [--seed N]
    python benchmarks/own_digits.py [RUN] --cases DIR

The first command reads scikit-learn's `load_digits`, 1,797 images of 8x8 pixels from 43 people (UCI, Optical
Recognition of Handwritten Digits), enlarged to 28x28, and 1,000 pictures of digits in ten fonts that come
with matplotlib, in five sizes, dark on light and light on dark.

With --data-dir, a folder with the full MNIST, it also draws pictures of several kinds, with the digits of a split
that the network reads rightly as they are, so that a wrong answer is one of the preparation. A picture is right if
all its digits are, in the right lines. Where there is no digit, refusing the picture is right, and so is marking
each answer as doubtful. `Otsu` is a simpler program for single digits: Otsu's level, the box around all ink, and
the same centring.

The second command reads a folder's pictures; its `labels.tsv` has the columns file, expected and kind.
"""

import argparse
import csv
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from pictures import KINDS, Writer, draw_pictures
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

from cnnmnist.data.loading import load_dataset
from cnnmnist.data.pictures import read_picture
from cnnmnist.data.preprocessing import digit_image
from cnnmnist.errors import PictureError
from cnnmnist.network import Network
from cnnmnist.prediction import predict_logits
from cnnmnist.reading import read_digits
from cnnmnist.runs.store import load_run

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
    *("DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic", "cmr10", "cmtt10"),
)
SIZES = (16, 24, 48, 120, 300)  # pixels of an em

Pixels = NDArray[np.float32]
Answer = tuple[str, list[bool]]  # the text in a picture, and whether each of its digits is marked as doubtful
Read = Callable[[Pixels], Answer]


def handwriting() -> Iterable[tuple[Image.Image, int]]:
    digits = load_digits()
    for pixels, label in zip(digits.images, digits.target, strict=True):
        small = Image.fromarray(np.rint(pixels * 255 / 16).astype(np.uint8))
        yield small.resize((28, 28), Image.Resampling.BICUBIC), int(label)


def printed(font: str) -> Iterable[tuple[Image.Image, int]]:
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    for size, (paper, ink), label in itertools.product(SIZES, ((255, 0), (0, 255)), range(10)):
        sheet = Image.new("L", (2 * size, 2 * size), paper)
        draw = ImageDraw.Draw(sheet)
        draw.text((size, size), str(label), fill=ink, font=ImageFont.truetype(file, size), anchor="mm")
        yield sheet, label


def correct(read: Read, pictures: Iterable[tuple[Image.Image, int]]) -> list[bool]:
    return [read(np.asarray(each.convert("RGB"), np.float32) / 255)[0] == str(label) for each, label in pictures]


def reader(name: str, runs_dir: Path) -> tuple[Network, Read]:
    run = load_run(name, runs_dir)
    network = run.load_network()

    def read(pixels: Pixels) -> Answer:
        try:
            lines = read_digits(pixels, network, run.metadata.dataset)
        except PictureError:
            return "", []
        text = "\n".join("".join(str(digit.label) for digit in line) for line in lines)
        return text, [digit.doubtful for line in lines for digit in line]

    return network, read


def otsu(network: Network, pixels: Pixels) -> str:
    grey = np.rint(pixels.mean(axis=2) * 255).astype(np.uint8)
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    ink = light if light.mean() < 0.5 else 1 - light
    left, top, width, height = cv2.boundingRect(ink)
    if not ink.any():
        return ""
    image = digit_image(ink[top : top + height, left : left + width].astype(np.float32), network.image_shape)
    return str(predict_logits(network, image[None]).argmax())


def edits(text: str, expected: str) -> int:
    """The least number of characters to replace, add or remove: V. Levenshtein, 1966."""
    row = list(range(len(expected) + 1))
    for index, character in enumerate(text, 1):
        before, row = row, [index]
        for place, other in enumerate(expected):
            row.append(min(before[place] + (character != other), before[place + 1] + 1, row[-1] + 1))
    return row[-1]


class Score:
    """What is counted for the pictures of a kind."""

    def __init__(self) -> None:
        self.right: list[bool] = []
        self.otsu: list[bool] = []
        self.digits = self.errors = 0
        self.marks: dict[bool, list[bool]] = {True: [], False: []}
        """Whether the digits read rightly (True), and the others (False), are marked.

        A digit that is left out is one of the others, and marked if a digit beside it is.
        """

    def add(self, answer: Answer, expected: str, otsu_answer: str) -> None:
        text, marks = answer
        self.right.append(text == expected if expected else all(marks))
        self.otsu.append(otsu_answer == expected)
        digits, known = ("".join(each.split()) for each in (text, expected))
        self.digits += len(known)
        self.errors += edits(digits, known)
        if len(digits) == len(known):
            for one, other, mark in zip(digits, known, marks, strict=True):
                self.marks[one == other].append(mark)
            return
        for tag, first, last, start, end in SequenceMatcher(None, digits, known, autojunk=False).get_opcodes():
            self.marks[tag == "equal"] += marks[first:last]
            left_out = max(0, (end - start) - (last - first))
            self.marks[False] += [any(marks[max(0, first - 1) : last + 1])] * left_out

    def row(self) -> list[str]:
        in_order = f"{1 - self.errors / self.digits:.1%}" if self.digits else ""
        marked = (f"{sum(marks)} / {len(marks)}" for marks in (self.marks[True], self.marks[False]))
        return [str(len(self.right)), f"{np.mean(self.right):.1%}", in_order, *marked, f"{np.mean(self.otsu):.1%}"]


def show(title: str, scores: dict[str, Score]) -> None:
    table = Table(title, "pictures", "right", "digits in order", "right, marked", "wrong, marked", "Otsu")
    for name, score in scores.items():
        table.add_row(name, *score.row())
    for right, name in ((True, "right"), (False, "wrong")):
        marks = [mark for score in scores.values() if score.digits or right for mark in score.marks[right]]
        table.add_row(f"all {name} digits: {np.mean(marks or [0]):.1%} marked")
    Console(width=160).print(table)


def known_digits(network: Network, data_dir: str, split: str) -> Writer:
    """The digits of a split that the network reads rightly as they are."""
    known = load_dataset("mnist", data_dir).split(split)
    right = predict_logits(network, known.images).argmax(axis=1) == known.labels
    return Writer(known.images[right], known.labels[right])


def measure_cases(folder: Path, network: Network, read: Read) -> dict[str, Score]:
    scores: dict[str, Score] = defaultdict(Score)
    with (folder / "labels.tsv").open(encoding="utf-8") as file:
        for case in csv.DictReader(file, delimiter="\t"):
            pixels = read_picture(folder / case["file"]).pixels
            (text, marks), expected = read(pixels), "".join(case["expected"].replace("\\n", "").split())
            answer = "".join(text.split()), marks
            for name in (case["kind"], "all"):
                scores[name].add(answer, expected, otsu(network, pixels))
            right = answer[0] == expected if expected else all(marks)
            if not right:
                Console(width=160).print(f"{case['file']}: {text!r} instead of {expected!r}")
    scores["all"] = scores.pop("all")
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="handwriting")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--data-dir", help="a folder with the full MNIST")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--number", type=int, default=40, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kind", action="append", choices=KINDS, help="only this kind of pictures; may be repeated"
    )
    parser.add_argument("--cases", type=Path, help="a folder with pictures and labels.tsv")
    options = parser.parse_args()
    network, read = reader(options.run, options.runs_dir)
    if options.cases:
        show("cases", measure_cases(options.cases, network, read))
        return
    if not options.kind:
        table = Table("pictures", "number", "correct")
        results = {"handwriting (load_digits)": correct(read, handwriting())}
        results |= {font: correct(read, printed(font)) for font in FONTS}
        results["all fonts"] = [each for font in FONTS for each in results[font]]
        for name, each in results.items():
            table.add_row(name, f"{len(each):,}", f"{np.mean(each):.1%}")
        Console(width=160).print(table)
    if options.data_dir:
        writer, scores = known_digits(network, options.data_dir, options.split), {}
        for kind in options.kind or KINDS:
            scores[kind] = Score()
            for drawn, text in draw_pictures(kind, options.number, options.seed, writer):
                pixels = drawn.astype(np.float32) / 255
                scores[kind].add(read(pixels), text, otsu(network, pixels))
        show("kind", scores)


main()
