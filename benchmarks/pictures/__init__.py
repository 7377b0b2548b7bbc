"""Pictures of digits as people take them, drawn by the program: each kind is a function of a random generator.

The text of a picture has a line for each line of digits, and is empty where there is no digit to read.
"""

import zlib
from collections.abc import Callable, Iterator

import numpy as np

from pictures import nothing, rows, single
from pictures.drawing import Drawn, Rng, Writer

KINDS: dict[str, Callable[[Rng, Writer], Drawn]] = {**single.KINDS, **rows.KINDS, **nothing.KINDS}


def draw_pictures(kind: str, number: int, seed: int, writer: Writer) -> Iterator[Drawn]:
    """Draw pictures of a kind; the same seed gives the same pictures."""
    for index in range(number):
        yield KINDS[kind](np.random.default_rng([seed, index, zlib.crc32(kind.encode())]), writer)
