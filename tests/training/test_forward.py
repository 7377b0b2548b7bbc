"""The forward pass of a training, beside Keras' own layers."""

import numpy as np
import pytest

from cnnmnist.model import build_model
from cnnmnist.recipes import load_recipe
from cnnmnist.runtime import tf
from cnnmnist.training.forward import forward, maxima_of_relu


def bits(tensor: tf.Tensor) -> bytes:
    return tensor.numpy().tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(3, 8, 8, 2), (2, 7, 5, 3), (1, 1, 1, 1)])
def test_relu_and_maxima_may_change_places(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(1)
    # Whole numbers bring ties, also among negative values and zeros.
    values = tf.Variable(tf.cast(rng.integers(-3, 3, shape), dtype))
    with tf.GradientTape(persistent=True) as tape:
        usual = tf.nn.relu(tf.nn.max_pool2d(values, 2, 2, "SAME"))
        ours = maxima_of_relu(values)
    upstream = tf.cast(rng.normal(size=usual.shape), dtype)
    gradients = [tape.gradient(outputs, values, upstream) for outputs in (usual, ours)]
    assert bits(ours) == bits(usual)
    assert bits(gradients[0]) == bits(gradients[1])
    assert np.any(gradients[0]) == np.any(usual > 0)


@pytest.mark.parametrize(
    "convolution",
    [
        {},
        {"activation": "sigmoid"},
        {"pooling": "average"},
        {"pooling": "none"},
        {"pooling_first": False},
    ],
    ids=str,
)
def test_logits_and_gradients_are_those_of_kerass_layers(convolution: dict[str, object]) -> None:
    recipe = load_recipe(overrides={"model.convolutions": [{"filters": 4} | convolution] * 2, "model.dense": [8]})
    model = build_model(recipe.model, (15, 12), 3)
    images = tf.random.stateless_uniform([6, 15, 12, 1], [1, 2])
    with tf.GradientTape(persistent=True) as tape:
        usual = model(images, training=True)
        ours = forward(model, recipe.training, images, tf.constant(5, tf.int64), tf.constant(0))
    assert bits(ours) == bits(usual)
    weights = model.trainable_weights
    for one, other in zip(tape.gradient(usual, weights), tape.gradient(ours, weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_dropout_depends_on_the_row_and_not_on_the_division_of_the_batch() -> None:
    recipe = load_recipe(overrides={"model.dropout": 0.5, "training.batch_size": 8})
    model, images = build_model(recipe.model), tf.random.stateless_uniform([8, 28, 28, 1], [1, 2])

    def logits(first: int, last: int, iteration: int = 3) -> np.ndarray:
        step, row = tf.constant(iteration, tf.int64), tf.constant(first)
        return forward(model, recipe.training, images[first:last], step, row).numpy()

    whole = logits(0, 8)
    np.testing.assert_allclose(np.concatenate([logits(0, 3), logits(3, 8)]), whole, atol=1e-6)
    assert np.abs(logits(0, 8, iteration=4) - whole).max() > 1e-4
