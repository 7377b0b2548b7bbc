"""Adam and the learning rate, held against Keras and their formulas."""

import math

import numpy as np
import pytest

from cnnmnist.config import TrainingConfig
from cnnmnist.runtime import keras, tf
from cnnmnist.training.optimizer import Adam, learning_rate


def training(**fields: object) -> TrainingConfig:
    return TrainingConfig.model_validate(fields)


def test_the_fused_update_is_keras_adam() -> None:
    random = np.random.default_rng(0)
    shapes = [(5, 5, 1, 16), (16,), (40, 10)]
    start = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    config = training(learning_rate=3e-3)
    ours = [tf.Variable(each) for each in start]
    theirs = [keras.Variable(each) for each in start]
    optimizer = Adam(config, ours)
    reference = keras.optimizers.Adam(3e-3, config.beta_1, config.beta_2, config.epsilon)
    for step in range(50):
        gradients = [random.normal(size=shape).astype(np.float32) for shape in shapes]
        optimizer.apply([tf.constant(each) for each in gradients], tf.constant(step, tf.int64))
        reference.apply([tf.constant(each) for each in gradients], theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_weight_decay_is_decoupled_and_spares_biases() -> None:
    config = training(learning_rate=0.1, weight_decay=0.5)
    weight, bias = tf.Variable(tf.ones([2, 2])), tf.Variable(tf.ones([2]))
    Adam(config, [weight, bias]).apply([tf.zeros([2, 2]), tf.zeros([2])], tf.constant(0, tf.int64))
    np.testing.assert_allclose(weight, 1.0 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(bias, 1.0)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    config = training(iterations=1_000, schedule="one-cycle", learning_rate=6e-3)
    rates = np.array([float(learning_rate(config, i)) for i in range(0, 1_000, 3)])
    peak = int(rates.argmax())
    assert rates.max() == pytest.approx(6e-3, rel=0.02)
    assert peak * 3 == pytest.approx(100, abs=4)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert 0 < rates[-1] < 1e-6
    half = float(learning_rate(config, 549))
    assert half == pytest.approx(6e-3 * (1 + math.cos(math.pi * 0.5)) / 2, rel=0.02)
