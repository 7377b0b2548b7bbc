"""Measure how well a network reads digits that are not from MNIST: other handwriting, and digits in ten fonts.

    python benchmarks/own_digits.py [RUN] [--runs-dir DIR]

The handwriting is scikit-learn's `load_digits`: 1,797 images of 8x8 pixels from 43 people (UCI, Optical
Recognition of Handwritten Digits), enlarged to 28x28. The fonts come with matplotlib; each has five sizes, dark on
light and light on dark: 1,000 pictures. A picture is an error if the program does not find exactly one digit.
"""

import argparse
import itertools
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.errors import PictureError
from cnnmnist.network import Network
from cnnmnist.prediction import predict_logits
from cnnmnist.runs.store import load_run

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
    *("DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic", "cmr10", "cmtt10"),
)
SIZES = (16, 24, 48, 120, 300)  # pixels of an em

Pictures = Iterable[tuple[Image.Image, int]]


def handwriting() -> Pictures:
    digits = load_digits()
    for pixels, label in zip(digits.images, digits.target, strict=True):
        small = Image.fromarray(np.rint(pixels * 255 / 16).astype(np.uint8))
        yield small.resize((28, 28), Image.Resampling.BICUBIC), int(label)


def printed(font: str) -> Pictures:
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    for size, (paper, ink), label in itertools.product(SIZES, ((255, 0), (0, 255)), range(10)):
        sheet = Image.new("L", (2 * size, 2 * size), paper)
        draw = ImageDraw.Draw(sheet)
        draw.text((size, size), str(label), fill=ink, font=ImageFont.truetype(file, size), anchor="mm")
        yield sheet, label


def correct(network: Network, pictures: Pictures) -> list[bool]:
    results = []
    for picture, label in pictures:
        try:
            digits = prepare_picture(np.asarray(picture.convert("RGB"), np.float32) / 255)
        except PictureError:
            digits = np.empty((0, 28, 28), np.uint8)
        results.append(len(digits) == 1 and int(predict_logits(network, digits).argmax()) == label)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="pretrained")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    options = parser.parse_args()
    network = load_run(options.run, options.runs_dir).load_network()
    table = Table("pictures", "number", "correct")
    results = {"handwriting (load_digits)": correct(network, handwriting())}
    results |= {font: correct(network, printed(font)) for font in FONTS}
    results["all fonts"] = [each for font in FONTS for each in results[font]]
    for name, each in results.items():
        table.add_row(name, f"{len(each):,}", f"{np.mean(each):.1%}")
    Console(width=160).print(table)


main()
