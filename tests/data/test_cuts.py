"""Cuts between touching digits: whole paths from edge to edge, and what stands between two of them."""

import itertools

import numpy as np
import pytest

from cnnmnist.data.cuts import between, find_cuts
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.preprocessing import digit_image
from cnnmnist.prediction import predict_logits
from cnnmnist.runs.store import load_run

SPLIT = load_dataset("mnist5k").test


def pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two digits that share a column, enlarged: float32 (80, width)."""
    inked = [digit[:, digit.max(axis=0) > 127] / np.float32(255) for digit in (left, right)]
    row = np.zeros((28, inked[0].shape[1] + inked[1].shape[1] - 1), np.float32)
    row[:, : inked[0].shape[1]] = inked[0]
    row[:, -inked[1].shape[1] :] = np.maximum(row[:, -inked[1].shape[1] :], inked[1])
    row = np.kron(row[row.max(axis=1) > 0.5], np.ones((4, 4), np.float32))
    return np.where(row > 0.3, row, 0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (40, 5), (64, 200), (300, 90)])
def test_cuts_go_from_edge_to_edge(shape: tuple[int, int], rng: np.random.Generator) -> None:
    cuts = find_cuts(rng.random(shape, np.float32))
    assert all(cut.shape == (shape[0],) for cut in cuts)
    assert not cuts[0].any()
    assert (cuts[-1] == shape[1]).all()
    assert all(0 <= cut.min() <= cut.max() <= shape[1] for cut in cuts)


def test_one_cut_parts_two_touching_digits(tmp_path: object) -> None:
    network = load_run("handwriting", tmp_path).load_network()
    right = 0
    for number in range(0, 80, 2):
        ink = pair(*SPLIT.images[number : number + 2])
        first, *inner, last = find_cuts(ink)
        parts = [(between(ink, first, cut), between(ink, cut, last)) for cut in inner]
        images = [[digit_image(part[0], (28, 28)) for part in both] for both in parts if all(both)]
        answers = [predict_logits(network, np.stack(both)).argmax(axis=1) for both in images]
        right += any((answer == SPLIT.labels[number : number + 2]).all() for answer in answers)
    assert right > 0.9 * 40


def test_what_is_too_low_or_too_wide_is_no_digit() -> None:
    ink = np.zeros((50, 120), np.float32)
    ink[:, :20], ink[30:, 20:40], ink[:, 40:] = 1, 1, 1
    column = [np.full(50, float(each)) for each in (0, 20, 40, 120)]
    for first, last in itertools.combinations(range(4), 2):
        part = between(ink, column[first], column[last])
        width = column[last][0] - column[first][0]
        if (first, last) == (1, 2) or width > 75:
            assert part is None
        else:
            assert part is not None
            np.testing.assert_array_equal(part[0], ink[:, int(column[first][0]) : int(column[last][0])])
            assert part[1] == column[first][0]


def test_bits_of_the_neighbours_and_blank_margins_are_left_out() -> None:
    ink = np.zeros((50, 60), np.float32)
    ink[5:50, 20:40], ink[0:3, 45:48] = 1, 1
    part = between(ink, np.zeros(50), np.full(50, 60.0))
    assert part is not None
    assert part[0].shape == (45, 20)
    assert part[1] == 20


def test_nothing_is_between_two_cuts_at_one_place() -> None:
    ink = np.ones((50, 60), np.float32)
    for column in (0.0, 30.0, 60.0):
        assert between(ink, np.full(50, column), np.full(50, column)) is None
    assert between(np.zeros((50, 60), np.float32), np.zeros(50), np.full(50, 60.0)) is None
