"""What a network says of letters, shapes and noise, with and without its temperature."""

import argparse
import math
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import cnnmnist
from cnnmnist.data.preprocessing import digit_image

SIDE, MIDDLE, HALF, SIZE = 120, 60, 40, 64
LETTERS = "ABCDEFGHJKLMNPQRTUVWXY"  # I, O, S and Z look like digits
FONTS = (
    "DejaVu Sans",
    "DejaVu Sans Mono",
    "DejaVu Sans:bold",
    "DejaVu Sans:italic",
    "STIXGeneral",
    "STIXGeneral:italic",
)


def centred(picture: Image.Image) -> np.ndarray:
    """A drawing as an image of MNIST, uint8 (28, 28)."""
    left, top, right, bottom = picture.getbbox()
    return digit_image(np.asarray(picture, np.float32)[top:bottom, left:right] / 255, (28, 28))


def letters() -> np.ndarray:
    images = []
    for name in FONTS:
        font = ImageFont.truetype(font_manager.findfont(name), SIZE)
        for letter in LETTERS:
            picture = Image.new("L", (SIDE, SIDE))
            ImageDraw.Draw(picture).text((MIDDLE, MIDDLE), letter, fill=255, font=font, anchor="mm")
            images.append(centred(picture))
    return np.stack(images)


def shapes() -> np.ndarray:
    images = []
    low, high = MIDDLE - HALF, MIDDLE + HALF
    for width in (5, 8, 11):
        for narrow in (1, 1.4):
            half = HALF / narrow
            box = (MIDDLE - half, low, MIDDLE + half, high)
            turns = [4 * math.pi * corner / 5 for corner in range(6)]
            star = [(MIDDLE + half * math.sin(turn), MIDDLE - HALF * math.cos(turn)) for turn in turns]
            tip = (high, MIDDLE)
            lines = {
                "triangle": [[(MIDDLE, low), (box[0], high), (box[2], high), (MIDDLE, low)]],
                "cross": [[box[:2], box[2:]], [(box[2], low), (box[0], high)]],
                "arrow": [
                    [(low, MIDDLE), tip],
                    *([(high - half / 2, MIDDLE + y), tip] for y in (-half / 2, half / 2)),
                ],
                "star": [star],
            }
            pictures = [Image.new("L", (SIDE, SIDE)) for _ in range(len(lines) + 2)]
            for picture, parts in zip(pictures, lines.values(), strict=False):
                for part in parts:
                    ImageDraw.Draw(picture).line(part, 255, width)
            ImageDraw.Draw(pictures[-2]).rectangle(box, outline=255, width=width)
            ImageDraw.Draw(pictures[-1]).ellipse(box, outline=255, width=width)
            ImageDraw.Draw(pictures[-1]).ellipse((55, 55, 65, 65), fill=255)
            images += map(centred, pictures)
    return np.stack(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data-dir", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    images = {
        "test split": cnnmnist.load_dataset("mnist", arguments.data_dir).test.images,
        "letters": letters(),
        "shapes": shapes(),
        "noise": rng.integers(0, 256, (1_000, 28, 28), np.uint8),
        "sparse noise": (rng.random((1_000, 28, 28)) < 0.15).astype(np.uint8) * 255,
    }
    for name in arguments.runs:
        network = cnnmnist.load_run(name).load_network()
        for kind, each in images.items():
            logits = cnnmnist.predict_logits(network, each)
            for temperature in (1.0, network.temperature):
                sure = cnnmnist.probabilities(logits, temperature).max(axis=1)
                print(
                    f"{name:<12} {kind:<13} {len(each):>6,} images, temperature {temperature:5.3f}: "
                    f"mean {sure.mean():.1%}, at least 90 %: {(sure >= 0.9).mean():.1%}"
                )


if __name__ == "__main__":
    main()
