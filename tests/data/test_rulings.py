"""Rulings are erased, alone or with writing on them, and strokes along them stay."""

import numpy as np
import pytest

from cnnmnist.data.rulings import erase_rulings

LINES = range(40, 300, 50)


def ruled(level: float) -> np.ndarray:
    ink = np.zeros((300, 600), np.float32)
    for row in LINES:
        ink[row : row + 2] = level
    return ink


@pytest.mark.parametrize("level", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("turned", [False, True])
def test_lines_without_writing_leave_nothing(level: float, turned: bool) -> None:
    ink = ruled(level)
    assert not erase_rulings(ink.T.copy() if turned else ink).any()


def test_a_dark_stroke_along_a_pale_line_stays() -> None:
    ink = ruled(0.3)
    ink[60:160, 200:208] = 1  # the stem of a 4
    ink[89:93, 150:230] = 1  # its bar, on a line and hardly thicker
    erased = erase_rulings(ink)
    assert (erased[90:92, 160:220] > 0.9).all()
    assert not erased[:, 300:].any()
    assert not erased[140:142, 100:190].any()
