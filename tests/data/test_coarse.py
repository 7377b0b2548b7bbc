"""Coarse digits: legible, and decided by the seed."""

import numpy as np
import pytest

from cnnmnist.data.coarse import draw_coarse
from cnnmnist.data.loading import load_dataset
from cnnmnist.prediction import predict_logits
from cnnmnist.runs.store import load_run

SPLIT = load_dataset("mnist5k").test
Coarse = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def coarse() -> Coarse:
    return draw_coarse(SPLIT.images, SPLIT.labels, 400, np.random.default_rng(0))


def test_the_seed_decides_the_digits(coarse: Coarse) -> None:
    images, labels = coarse
    assert (images.shape, images.dtype) == ((400, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((400,), np.uint8)
    again, other = (
        draw_coarse(SPLIT.images, SPLIT.labels, 400, np.random.default_rng(seed))[0] for seed in (0, 1)
    )
    np.testing.assert_array_equal(again, images)
    assert not np.array_equal(other, images)


def test_coarse_digits_are_legible_and_harder_than_others(coarse: Coarse, tmp_path: object) -> None:
    images, labels = coarse
    network = load_run("pretrained", tmp_path).load_network()
    right = (predict_logits(network, images).argmax(axis=1) == labels).mean()
    assert 0.9 < right < (predict_logits(network, SPLIT.images).argmax(axis=1) == SPLIT.labels).mean() - 0.005


def test_coarse_digits_are_scaled_as_mnists_digits_are(coarse: Coarse) -> None:
    rows, columns = (np.where(coarse[0].max(axis=axis) > 0, 1, 0) for axis in (2, 1))
    longer = np.maximum(rows.sum(axis=1), columns.sum(axis=1))
    assert longer.min() >= 17
    assert longer.max() == 20


def test_blank_images_are_left_out(rng: np.random.Generator) -> None:
    images = np.concatenate([np.zeros_like(SPLIT.images[:50]), SPLIT.images[:2]])
    labels = np.concatenate([np.full(50, 11, np.uint8), SPLIT.labels[:2]])
    drawn, answers = draw_coarse(images, labels, 30, rng)
    assert (drawn.max(axis=(1, 2)) > 0).all()
    assert set(answers.tolist()) <= set(SPLIT.labels[:2].tolist())


@pytest.mark.parametrize("shape", [(20, 40), (40, 20)])
def test_any_size(shape: tuple[int, int], rng: np.random.Generator) -> None:
    images = np.zeros((3, *shape), np.uint8)
    images[:, 5:15, 5:10] = 255
    assert draw_coarse(images, np.zeros(3, np.uint8), 5, rng)[0].shape == (5, *shape)
