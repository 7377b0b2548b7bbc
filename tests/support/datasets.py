"""What the tests of data sets share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cnnmnist.data.folders import STEMS
from cnnmnist.data.idx import write_idx


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
