"""The network in NumPy computes what Keras computes, for whatever a recipe may describe."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import RecipeError, RunError
from cnnmnist.layers import list_layers
from cnnmnist.model import build_model
from cnnmnist.model_file import save_model
from cnnmnist.network import Network
from cnnmnist.prediction import layer_outputs, predict_logits, probabilities
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run
from cnnmnist.runtime import keras, tf
from support.confined import Confined

ACTIVATIONS = st.sampled_from(["none", "relu", "sigmoid", "tanh"])
CONVOLUTIONS = st.builds(
    ConvLayer,
    filters=st.integers(1, 9),
    filter_size=st.integers(1, 9) | st.just(31),
    stride=st.integers(1, 5),
    pooling=st.sampled_from(["max", "average", "none"]),
    activation=ACTIVATIONS,
    pooling_first=st.booleans(),
)
CONFIGS = st.builds(
    ModelConfig,
    convolutions=st.lists(CONVOLUTIONS, max_size=3),
    dense=st.lists(st.integers(1, 20), max_size=2),
    dense_activation=ACTIVATIONS,
    dropout=st.sampled_from([0.0, 0.5]),
    output_activation=ACTIVATIONS,
)
SIDES = st.integers(8, 64)


def both(config: ModelConfig, shape: tuple[int, int], classes: int, seed: int) -> tuple[keras.Model, Network]:
    """A network with random weights, in Keras and in NumPy."""
    model, random = build_model(config, shape, classes), np.random.default_rng(seed)
    weights = [
        random.normal(0, 2 / np.sqrt(max(1, np.prod(each.shape[:-1]))), each.shape).astype(np.float32)
        for each in model.get_weights()
    ]
    model.set_weights(weights)
    return model, Network(config, shape, classes, weights)


@settings(deadline=None, max_examples=60)
@given(CONFIGS, SIDES, SIDES, st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_every_layer_agrees_with_keras(
    config: ModelConfig, height: int, width: int, classes: int, seed: int
) -> None:
    model, network = both(config, (height, width), classes, seed)
    images = np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)
    values, expected = tf.constant(images[..., np.newaxis] / np.float32(255)), {}
    for layer in model.layers:
        values = layer(values, training=False)
        expected[layer.name.split("_")[0]] = values.numpy()
    found = network.outputs(images)
    assert list(found) == list(expected)
    for name, output in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(
            found[name], output, rtol=0, atol=1e-4 * max(1e-3, np.abs(output).max()), err_msg=name
        )


@settings(deadline=None, max_examples=30)
@given(CONFIGS, SIDES, SIDES, st.integers(1, 30))
def test_the_list_of_layers_is_what_keras_builds(
    config: ModelConfig, height: int, width: int, classes: int
) -> None:
    model = build_model(config, (height, width), classes)
    for layer, built in zip(list_layers(config, (height, width), classes), model.layers, strict=True):
        assert (layer.name, layer.kind) == (built.name, type(built).__name__)
        assert layer.output_shape == built.output.shape[1:]
        assert layer.weight_shapes == [each.shape for each in built.weights]
        assert layer.parameters == built.count_params()


def test_any_number_of_images_gives_the_same_logits_as_one_at_a_time() -> None:
    _, network = both(ModelConfig(), (28, 28), 10, seed=0)
    images = np.random.default_rng(1).integers(0, 256, (150, 28, 28), np.uint8)
    alone = np.concatenate([network.outputs(images[index : index + 1])["logits"] for index in range(len(images))])
    np.testing.assert_allclose(predict_logits(network, images), alone, rtol=1e-4, atol=1e-5)
    scaled = images[..., np.newaxis] / np.float32(255)
    np.testing.assert_array_equal(predict_logits(network, scaled), predict_logits(network, images))


def test_layer_outputs_come_after_pooling_and_activation() -> None:
    _, network = both(ModelConfig(), (28, 28), 10, seed=0)
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    outputs = layer_outputs(network, "conv1", images)
    assert outputs.shape == (3, 14, 14, 16)
    assert outputs.min() >= 0.0
    for name in ("conv3", "conv1_pooling", ""):
        with pytest.raises(ValueError, match=f"no layer {name}"):
            layer_outputs(network, name, images)


def test_numbers_that_are_not_finite_are_never_an_answer(recwarn: pytest.WarningsRecorder) -> None:
    images = np.random.default_rng(1).integers(0, 256, (70, 28, 28), np.uint8)
    for factor in (1e15, 1e30):
        _, network = both(ModelConfig(), (28, 28), 10, seed=0)
        network.weights |= {
            name: (kernel * np.float32(factor), bias) for name, (kernel, bias) in network.weights.items()
        }
        with pytest.raises(RunError, match="no finite numbers"):
            predict_logits(network, images)
    assert not recwarn.list


def test_probabilities_are_the_softmax_even_of_huge_logits() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1e30, -1e30, 0.0], [-1e4, -1e4, -1e4]], np.float32)
    np.testing.assert_allclose(probabilities(logits), tf.nn.softmax(logits), rtol=1e-6)
    assert probabilities(logits).dtype == np.float32


def test_weights_of_another_network_are_refused() -> None:
    weights = build_model(ModelConfig(), (28, 28), 10).get_weights()
    for wrong in (weights[:-1], weights[::-1], [*weights, weights[0]], []):
        with pytest.raises(ValueError, match="shapes"):
            Network(ModelConfig(), (28, 28), 10, wrong)
    with pytest.raises(ValueError, match="shapes"):
        Network(ModelConfig(), (28, 32), 10, weights)


def test_a_network_larger_than_memory_is_refused_before_it_is_built() -> None:
    config = ModelConfig(convolutions=[], dense=[16_384, 16_384])
    with pytest.raises(RecipeError, match="would have 281,"):
        Network(config, (28, 28), 10, [])


WIDE: dict[str, Any] = {
    "filters": {"convolutions": [{"filters": 1_024, "filter_size": 3, "pooling": "none"}], "dense": []},
    "channels": {
        "convolutions": [{"filters": 512, "filter_size": 3, "pooling": "none"}, {"filters": 8, "filter_size": 3}]
    },
    "units": {"convolutions": [], "dense": [16_384]},
}


@pytest.mark.parametrize(
    "wide", ["filters", *(pytest.param(each, marks=pytest.mark.long) for each in ("channels", "units"))]
)
def test_a_wide_network_is_evaluated_in_little_memory(tmp_path: Path, wide: str) -> None:
    """The outputs of all 1,000 test images at once would take 3.2 GB with 1,024 filters."""
    model = ModelConfig.model_validate(WIDE[wide])
    data = load_dataset("mnist5k")
    run = create_run(tmp_path / "runs", "wide", load_recipe().model_copy(update={"model": model}), data)
    save_model(build_model(model), run.model_file)
    out, err = tmp_path / "out", tmp_path / "err"
    with Confined() as confined:
        status, size = confined.run(["evaluate", "wide", "--dataset", "mnist5k"], tmp_path, (out, err))
    assert status == 0, err.read_text()
    assert "/ 1000)" in out.read_text()
    assert size < 600_000_000
