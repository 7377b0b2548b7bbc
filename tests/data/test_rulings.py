"""Rulings are erased, alone or with writing on them, and strokes along them stay."""

import cv2
import numpy as np
import pytest

from cnnmnist.data.rulings import erase_rulings

LINES = range(40, 300, 50)


def ruled(level: float, thickness: int = 2) -> np.ndarray:
    ink = np.zeros((300, 600), np.float32)
    for row in LINES:
        ink[row : row + thickness] = level
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


def written() -> np.ndarray:
    """A stroke across the line, a bar on it, and small loops that it crosses."""
    writing = np.zeros((300, 600), np.float32)
    cv2.line(writing, (100, 60), (60, 160), 1, 5)
    cv2.line(writing, (150, 91), (230, 93), 1, 3)
    cv2.ellipse(writing, (330, 92), (20, 30), 0, 0, 360, 1, 4)
    cv2.polylines(writing, [np.array([[420, 70], [440, 92], [420, 115], [400, 92]])], True, 1, 4)
    return writing


@pytest.mark.parametrize("level", [0.2, 0.5])
def test_ink_around_a_pale_line_is_as_it_was(level: float) -> None:
    writing = written()
    erased = erase_rulings(np.maximum(writing, ruled(level)))
    np.testing.assert_array_equal(erased > 0.7, writing > 0.7)


@pytest.mark.parametrize("level", [0.6, 0.7, 0.8])
def test_strokes_on_a_line_as_dark_as_they_stay_if_both_together_are_darker(level: float) -> None:
    writing, lines = 0.7 * written(), ruled(level, 4)
    kept = erase_rulings(1 - (1 - writing) * (1 - lines)) > 0.35
    assert kept[91:93, 152:228].all()
    assert not kept[:, 460:].any()
    # The loops are not filled, and only the edges of the lines are lost.
    assert not kept[86:99, 418:422].any()
    beside = cv2.dilate(lines, np.ones((7, 1), np.uint8)) > 0
    np.testing.assert_array_equal(kept[~beside], (writing > 0.35)[~beside])
