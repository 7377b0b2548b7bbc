"""Parts of rows of touching digits: right where they are one digit, and decided by the seed."""

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.data.parts import draw_parts
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.store import load_run

SPLIT = load_dataset("mnist5k").test
Parts = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def parts() -> Parts:
    return draw_parts(SPLIT.images, SPLIT.labels, 400, np.random.default_rng(0))


def test_the_seed_decides_the_parts(parts: Parts) -> None:
    images, labels = parts
    assert (images.shape, images.dtype) == ((400, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((400,), np.uint8)
    again, other = (draw_parts(SPLIT.images, SPLIT.labels, 20, np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again[0], images[:20])
    assert not np.array_equal(other[0], images[:20])


def test_digits_and_others_are_about_equally_many(parts: Parts) -> None:
    labels = parts[1]
    assert 0.35 < (labels < 10).mean() < 0.6
    assert set(labels.tolist()) == set(range(11))


def test_what_is_called_a_digit_is_read_as_this_digit(parts: Parts, tmp_path: object) -> None:
    images, labels = parts
    rows = probabilities(predict_logits(load_run("pretrained", tmp_path).load_network(), images))
    read, is_digit = rows.argmax(axis=1), labels < 10
    assert (read == labels)[is_digit].mean() > 0.9
    assert rows.max(axis=1)[is_digit].mean() > rows.max(axis=1)[~is_digit].mean() + 0.1


def test_others_are_torn_or_several(parts: Parts) -> None:
    images, labels = parts
    widths = [np.ptp(np.flatnonzero(image.max(axis=0) > 127)) for image in images]
    heights = [np.ptp(np.flatnonzero(image.max(axis=1) > 127)) for image in images]
    is_broad = np.array(widths) > np.array(heights)
    assert is_broad[labels == 10].mean() > is_broad[labels < 10].mean() + 0.05


def test_parts_show_the_digits_that_are_given(rng: np.random.Generator) -> None:
    chosen = np.isin(SPLIT.labels, (3, 8))
    _, labels = draw_parts(SPLIT.images[chosen], SPLIT.labels[chosen], 60, rng)
    assert set(labels.tolist()) == {3, 8, 10}


def test_blank_images_are_left_out(rng: np.random.Generator) -> None:
    images = np.concatenate([np.zeros_like(SPLIT.images[:50]), SPLIT.images[:2]])
    labels = np.concatenate([np.full(50, 11, np.uint8), SPLIT.labels[:2]])
    assert set(draw_parts(images, labels, 30, rng)[1].tolist()) <= {*SPLIT.labels[:2].tolist(), 10}
