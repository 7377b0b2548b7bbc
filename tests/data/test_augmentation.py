"""The distortion of training images: how far, in which directions, and nothing beyond its bounds."""

import numpy as np
import pytest

from cnnmnist.config import AugmentationConfig
from cnnmnist.data.augmentation import augment
from cnnmnist.data.loading import load_dataset
from cnnmnist.runtime import tf

DATASET = load_dataset("mnist5k")


def one_image(image: np.ndarray, config: AugmentationConfig, rows: int = 256) -> np.ndarray:
    images = tf.constant(np.repeat(image[None, ..., None], rows, axis=0), tf.float32)
    return np.asarray(augment(images, config, tf.constant([3, 4], tf.int64), rows, slice(0, rows)))[..., 0]


def test_without_bounds_nothing_moves() -> None:
    image = DATASET.train.images[0] / np.float32(255)
    np.testing.assert_allclose(one_image(image, AugmentationConfig(), 4)[2], image, atol=1e-5)


def centre_of_mass(images: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    mass = images.sum((1, 2))
    return np.stack([(images * rows).sum((1, 2)) / mass, (images * columns).sum((1, 2)) / mass], axis=1)


def test_a_shift_moves_by_at_most_its_bound_in_all_directions() -> None:
    square = np.zeros((28, 28), np.float32)
    square[12:16, 12:16] = 1.0
    moved = centre_of_mass(one_image(square, AugmentationConfig(shift=3.0))) - 13.5
    assert np.abs(moved).max() <= 3.0 + 1e-4
    assert (moved.min(0) < -2.5).all()
    assert (moved.max(0) > 2.5).all()


def test_rotation_turns_about_the_centre_by_at_most_its_bound() -> None:
    spot = np.zeros((28, 28), np.float32)
    spot[13:15, 23:25] = 1.0
    rows, columns = (centre_of_mass(one_image(spot, AugmentationConfig(rotation=30.0))) - 13.5).T
    angles = np.rad2deg(np.arctan2(rows, columns))
    assert np.hypot(rows, columns) == pytest.approx(10.0, abs=0.2)
    assert np.abs(angles).max() <= 30.5
    assert angles.min() < -25
    assert angles.max() > 25


def test_zoom_changes_the_size_by_at_most_its_bound() -> None:
    square = np.zeros((28, 28), np.float32)
    square[9:19, 9:19] = 1.0
    area = one_image(square, AugmentationConfig(zoom=0.2)).sum((1, 2))
    assert 100 / 1.2**2 * 0.97 <= area.min() < 85
    assert 120 < area.max() <= 100 / 0.8**2 * 1.03


def test_elastic_displacement_has_the_standard_deviation_asked_for() -> None:
    ramp = np.tile(np.arange(28, dtype=np.float32), (28, 1))
    moved = (one_image(ramp, AugmentationConfig(elastic=0.8)) - ramp)[:, 6:22, 6:22]
    assert 0.4 < moved.std() < 0.9, "bicubic interpolation between control points lessens it"
    assert abs(moved.mean()) < 0.1
    neighbours = np.diff(moved, axis=2).std()
    assert neighbours < moved.std() / 3, "the field is smooth"
