"""What the tests of data sets share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from build_mnist5k import write_idx
from PIL import Image

from cnnmnist.data.folders import STEMS


def small_arrays(classes: int = 10, side: int = 9, train: int = 48, test: int = 20) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [
        part
        for count in (train, test)
        for part in (
            random.integers(0, 256, (count, side, side), np.uint8),
            (np.arange(count) % classes).astype(np.uint8),
        )
    ]


def write_folder(folder: Path, arrays: list[np.ndarray], name: Callable[[str], str] = "{}.gz".format) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(STEMS, arrays, strict=True):
        write_idx(folder / name(stem), array)
    return folder


def write_pictures(
    folder: Path, classes: dict[str, int], size: tuple[int, int] = (20, 20), suffix: str = "png", first: int = 0
) -> Path:
    """Grey pictures in ``folder/CLASS/``, all different; each class is lighter by 10 than the last."""
    for index, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            picture = Image.new("L", size, 10 + 10 * index)
            picture.putpixel((5 + number % 10, 5 + number // 10), 255)
            picture.save(folder / name / f"{number}.{suffix}")
    return folder
