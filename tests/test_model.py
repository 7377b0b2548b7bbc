"""The network's shapes and initial weights."""

from pathlib import Path

import numpy as np
import pytest

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.errors import RecipeError
from cnnmnist.layers import list_layers
from cnnmnist.model import build_model
from cnnmnist.model_file import read_weights, save_model
from cnnmnist.runtime import keras

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
MODEL = build_model(ModelConfig())


def test_the_default_network_is_the_tutorials() -> None:
    assert MODEL.count_params() == 242_062
    shapes = {layer.name: layer.output.shape[1:] for layer in MODEL.layers}
    assert shapes["conv1_activation"] == (14, 14, 16)
    assert shapes["conv2_activation"] == (7, 7, 36)
    assert shapes["flatten"] == (1764,)
    assert shapes["fc1"] == (128,)
    assert MODEL.output_shape == (None, 10)
    names = [layer.name for layer in MODEL.layers]
    assert names.index("conv1_pooling") < names.index("conv1_activation")
    assert names[-1] == "logits"


def test_initial_values_are_the_tutorials() -> None:
    weights, biases = MODEL.get_layer("fc1").get_weights()
    assert np.all(biases == np.float32(0.05))
    assert abs(weights.mean()) < 5e-4
    # Keras, like TensorFlow 1, cuts at two standard deviations without widening what remains.
    assert np.abs(weights).max() <= 0.1
    assert weights.std() == pytest.approx(0.05 * 0.8796, rel=0.01)


def test_weights_depend_on_the_seed_alone() -> None:
    again, other = build_model(ModelConfig()), build_model(ModelConfig(), seed=1)
    first = [each.numpy() for each in MODEL.trainable_variables]
    assert all(np.array_equal(a, b) for a, b in zip(first, again.get_weights(), strict=True))
    assert not np.array_equal(first[0], other.get_weights()[0])


def test_pooling_first_and_last_are_the_same_function() -> None:
    layers = [ConvLayer(filters=4, pooling_first=first) for first in (True, False)]
    outputs = [build_model(ModelConfig(convolutions=[layer]))(IMAGES[..., None] / 255.0) for layer in layers]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(convolutions=[], dense=[]),
        ModelConfig(convolutions=[ConvLayer(filters=3, stride=2, pooling="none")], dense=[7, 5]),
        ModelConfig(convolutions=[ConvLayer(filters=3, pooling="average", activation="sigmoid")]),
        ModelConfig(output_activation="relu", dropout=0.5),
    ],
)
def test_every_choice_builds_saves_and_loads(tmp_path: Path, config: ModelConfig) -> None:
    model = build_model(config, seed=5)
    assert model.output_shape == (None, 10)
    save_model(model, tmp_path / "model.keras")
    restored = build_model(config, seed=6)
    restored.set_weights(read_weights(list_layers(config), tmp_path / "model.keras"))
    images = IMAGES[..., None] / 255.0
    np.testing.assert_array_equal(model(images), restored(images))


@pytest.mark.parametrize(
    ("config", "shape", "classes"),
    [
        (ModelConfig(), (28, 28), 10),
        (
            ModelConfig(convolutions=[ConvLayer(filters=3, stride=3), ConvLayer(filters=2, pooling="none")]),
            (17, 30),
            47,
        ),
        (ModelConfig(convolutions=[], dense=[]), (9, 64), 2),
    ],
)
def test_a_network_larger_than_memory_is_refused_before_it_is_built(
    monkeypatch: pytest.MonkeyPatch, config: ModelConfig, shape: tuple[int, int], classes: int
) -> None:
    model = build_model(config, shape, classes)
    assert (model.input_shape, model.output_shape) == ((None, *shape, 1), (None, classes))
    parameters = model.count_params()
    monkeypatch.setattr("cnnmnist.layers.MAX_PARAMETERS", parameters)
    build_model(config, shape, classes)
    monkeypatch.setattr("cnnmnist.layers.MAX_PARAMETERS", parameters - 1)
    with pytest.raises(RecipeError, match=f"would have {parameters:,} parameters"):
        build_model(config, shape, classes)


def test_a_bfloat16_network_keeps_float32_weights() -> None:
    model = build_model(ModelConfig(), precision="mixed_bfloat16")
    assert {each.dtype for each in model.trainable_variables} == {"float32"}
    assert keras.backend.standardize_dtype(model(IMAGES[..., None] / 255.0).dtype) == "float32"
