"""What is computed inside of networks: against networks whose insides are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.data.loading import load_dataset
from cnnmnist.interpretation import (
    embed,
    gradient,
    last_activations,
    maximize,
    occluding_side,
    occlusion,
    receptive_field,
)
from cnnmnist.model import build_model
from cnnmnist.network import scale
from cnnmnist.runs.store import load_run
from cnnmnist.runtime import keras, tf
from support.networks import linear_network

TEST = load_dataset("mnist5k").test
PRETRAINED = load_run("pretrained", Path())


def linear_model(weights: np.ndarray) -> keras.Model:
    """:func:`linear_network` in Keras."""
    network = linear_network(weights)
    model = build_model(ModelConfig(convolutions=[], dense=[]), network.image_shape, weights.shape[-1])
    model.set_weights(network.weights["logits"])
    return model


def test_the_gradient_of_a_linear_network_is_its_weights() -> None:
    weights = np.random.default_rng(0).normal(size=(9, 12, 3)).astype(np.float32)
    image = np.full((9, 12), 200, np.uint8)
    for target in range(3):
        np.testing.assert_allclose(gradient(linear_model(weights), image, target), weights[..., target], rtol=1e-6)


def test_the_gradient_says_how_the_logit_changes() -> None:
    smooth = ConvLayer(filters=3, pooling="average", activation="tanh")
    config = ModelConfig(convolutions=[smooth], dense=[8], dense_activation="tanh", weight_stddev=0.3)
    model, image = build_model(config), TEST.images[0]
    slope = gradient(model, image, 3)
    pixels = scale(image[np.newaxis])
    step = 1e-2 * slope[np.newaxis, ..., np.newaxis]
    below, above = (float(model(each, training=False)[0, 3]) for each in (pixels - step, pixels + step))
    assert above - below == pytest.approx(2e-2 * float((slope**2).sum()), rel=0.02)


@pytest.mark.parametrize("place", [(10, 14), (0, 0), (27, 13)])
def test_occluding_the_only_pixel_that_matters_shows_there(place: tuple[int, int]) -> None:
    weights = np.zeros((28, 28, 2), np.float32)
    weights[place] = 3.0, -3.0
    image = np.zeros((28, 28), np.uint8)
    image[5:24, 5:24] = 90
    image[place] = 51 * 4  # 0.8
    expected = np.zeros((28, 28), np.float32)
    rows, columns = (slice(max(0, each - 2), each + 3) for each in place)
    expected[rows, columns] = 3.0 * 0.8
    network = linear_network(weights, bias=1.0)
    np.testing.assert_allclose(occlusion(network, image, 0), expected, atol=1e-6)
    np.testing.assert_allclose(occlusion(network, image, 1), -expected, atol=1e-6)


def test_what_occludes_is_like_the_edge_and_a_sixth_of_the_image() -> None:
    image = np.full((18, 24), 255, np.uint8)
    image[9, 12] = 0
    drops = occlusion(linear_network(np.ones((18, 24, 2), np.float32)), image, 0)
    assert (drops != 0).sum() == 9, "only the square on the one dark pixel changes anything"
    np.testing.assert_allclose(drops[8:11, 11:14], -1.0, atol=1e-4)
    assert [occluding_side((side, 64)) for side in (8, 18, 28, 64)] == [1, 3, 5, 11]


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([{}, {}], (28, 28)),
        ([{"filter_size": 3}, {"filter_size": 4, "stride": 2}, {"filter_size": 3, "pooling": "none"}], (64, 31)),
        ([{"pooling": "none", "stride": 3}, {"filter_size": 2}, {"filter_size": 1}], (33, 28)),
        ([{}, {}, {}], (9, 8)),
    ],
)
def test_the_receptive_field_is_where_a_gradient_arrives(layers: list[Any], shape: tuple[int, int]) -> None:
    convolutions = [
        ConvLayer(**({"filters": 2, "pooling": "average", "activation": "none"} | each)) for each in layers
    ]
    config = ModelConfig(convolutions=convolutions)
    model = build_model(config, shape)
    for number in range(1, len(layers) + 1):
        output = model.get_layer(f"conv{number}").output
        pixels = tf.zeros((1, *shape, 1))
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            middle = keras.Model(model.inputs[0], output)(pixels)[0, output.shape[1] // 2, output.shape[2] // 2, 0]
        arrived = np.asarray(tape.gradient(middle, pixels))[0, ..., 0] != 0
        expected = np.zeros(shape, bool)
        expected[receptive_field(config, shape, f"conv{number}")] = True
        np.testing.assert_array_equal(arrived, expected)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_no_real_image_excites_a_filter_more_than_the_one_made_for_it(layer: str) -> None:
    model, config = PRETRAINED.load_model(), PRETRAINED.metadata.recipe.model
    filters = model.get_layer(layer).filters
    found = maximize(model, config, layer, filters)
    rows, columns = receptive_field(config, (28, 28), layer)
    assert found.shape == (filters, rows.stop - rows.start, columns.stop - columns.start)
    assert found.dtype == np.float32
    assert 0 <= found.min() < 0.01 < 0.99 < found.max() <= 1
    made = np.zeros((filters, 28, 28, 1), np.float32)
    made[:, rows, columns, 0] = found
    responses = keras.Model(model.inputs[0], model.get_layer(layer).output)
    middle = responses.output.shape[1] // 2
    own = np.diag(responses(made).numpy()[:, middle, middle])
    real = responses(scale(TEST.images[:1_000])).numpy()[:, middle, middle].max(axis=0)
    # Half of a percent is what the price of differences may cost a filter that wants nothing else than ink.
    assert (own >= real - 0.005 * np.abs(real)).all()
    assert own.mean() > 1.1 * real.mean()
    again = [maximize(model, config, layer, 3) for _ in range(2)]
    np.testing.assert_array_equal(*again)
    np.testing.assert_allclose(again[0], found[:3], atol=0.01)


def test_the_last_activations_are_what_the_logits_are_made_of() -> None:
    model, network = PRETRAINED.load_model(), PRETRAINED.load_network()
    activations = last_activations(network, TEST.images[:5])
    assert activations.shape == (5, 128)
    kernel, bias = model.get_layer("logits").get_weights()
    logits = np.asarray(model(scale(TEST.images[:5]), training=False))
    np.testing.assert_allclose(activations @ kernel + bias, logits, rtol=1e-3, atol=1e-3)
    flat = last_activations(linear_network(np.ones((28, 28, 2), np.float32)), TEST.images[:5])
    np.testing.assert_allclose(flat, TEST.images[:5].reshape(5, -1) / 255, rtol=1e-6)


def test_images_with_similar_activations_are_near_each_other() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    activations = (rng.normal(size=(3, 20)) * 5)[labels] + rng.normal(size=(120, 20))
    points = embed(activations.astype(np.float32))
    assert points.dtype == np.float32
    distances = np.linalg.norm(points[:, np.newaxis] - points, axis=2) + np.eye(120) * 1e9
    assert (labels[distances.argmin(axis=1)] == labels).all()
    np.testing.assert_array_equal(embed(activations.astype(np.float32)), points)


@pytest.mark.parametrize("shape", [(2, 128), (3, 1), (40, 1)])
def test_few_images_or_activations_have_places_too(shape: tuple[int, int]) -> None:
    points = embed(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()
    assert np.isfinite(embed(np.zeros(shape, np.float32))).all()
