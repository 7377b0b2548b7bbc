"""Printed letters: like MNIST's images, decided by the seed, and no digits."""

from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.letters import FONTS, LETTERS, draw_letters
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.store import load_run


@pytest.fixture(scope="module")
def letters() -> np.ndarray:
    return draw_letters(400, np.random.default_rng(0))


def test_the_seed_decides_the_letters(letters: np.ndarray) -> None:
    assert (letters.shape, letters.dtype) == ((400, 28, 28), np.uint8)
    again, other = (draw_letters(20, np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again, letters[:20])
    assert not np.array_equal(other, letters[:20])
    assert len(np.unique(letters, axis=0)) == 400


def test_letters_are_scaled_and_centred_as_mnists_digits_are(letters: np.ndarray) -> None:
    rows, columns = (np.where(letters.max(axis=axis) > 0, 1, 0) for axis in (2, 1))
    longer = np.maximum(rows.sum(axis=1), columns.sum(axis=1))
    assert longer.min() >= 18
    assert longer.max() <= 20
    for axis in (1, 2):
        mass = letters.sum(axis=axis, dtype=np.float64)
        center = (mass * np.arange(28)).sum(axis=1) / mass.sum(axis=1)
        assert np.abs(center - 14).max() < 1.5


@pytest.mark.parametrize("count", [0, 1])
def test_any_number(count: int) -> None:
    assert draw_letters(count, np.random.default_rng(0)).shape == (count, 28, 28)


def test_the_network_that_learned_from_letters_is_not_sure_of_them(letters: np.ndarray, tmp_path: Path) -> None:
    assert len(set(LETTERS)) == len(LETTERS)
    assert not set(LETTERS) & set("IOSZbgilosz0123456789")
    assert len(set(FONTS)) == len(FONTS)
    sure = {}
    for name in ("handwriting", "pretrained"):
        network = load_run(name, tmp_path).load_network()
        sure[name] = (probabilities(predict_logits(network, letters)).max(axis=1) > 0.8).mean()
    assert sure["handwriting"] < 0.05 < 0.2 < sure["pretrained"]
