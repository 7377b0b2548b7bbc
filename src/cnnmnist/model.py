"""The network: a ``keras.Model`` with named layers, built from a ModelConfig."""

import itertools
from typing import Any

import numpy as np

from cnnmnist.config import ModelConfig
from cnnmnist.errors import RecipeError
from cnnmnist.runtime import keras

MAX_PARAMETERS = 100_000_000  # 400 MB of weights, and three times as much in training


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int] = (28, 28),
    classes: int = 10,
    *,
    precision: str = "float32",
    seed: int = 0,
) -> keras.Sequential:
    """Build the network with initial weights.

    Args:
        config: layers and initial values.
        image_shape: height and width in pixels.
        classes: number of logits.
        precision: Keras' dtype policy, ``float32`` or ``mixed_bfloat16``; weights and logits are float32 in both.
        seed: seed of the initial weights.

    Returns:
        A network from images, float32 (n, height, width, 1) in [0, 1], to logits, float32
        (n, classes). Layers are named conv1, conv1_pooling, conv1_activation, ..., fc1, ..., logits.

    Raises:
        RecipeError: the network would have more than 100 million parameters. No memory is allocated for them.
    """
    _check_size(config, image_shape, classes)
    layers = keras.layers
    seeds = np.random.SeedSequence(seed).generate_state(len(config.convolutions) + len(config.dense) + 1)
    remaining_seeds = iter(seeds.tolist())

    def initial_values() -> dict[str, Any]:
        normal = keras.initializers.TruncatedNormal(stddev=config.weight_stddev, seed=next(remaining_seeds))
        return {"kernel_initializer": normal, "bias_initializer": keras.initializers.Constant(config.bias)}

    def activation(name: str, layer: str, dtype: str = precision) -> list[keras.Layer]:
        return [] if name == "none" else [layers.Activation(name, name=f"{layer}_activation", dtype=dtype)]

    sequence: list[keras.Layer] = [keras.Input((*image_shape, 1), name="image")]
    for number, convolution in enumerate(config.convolutions, 1):
        name, size = f"conv{number}", convolution.filter_size
        options = {"strides": convolution.stride, "padding": "same", "name": name, "dtype": precision}
        sequence.append(layers.Conv2D(convolution.filters, size, **options, **initial_values()))
        pooling = []
        if convolution.pooling != "none":
            kind = layers.MaxPooling2D if convolution.pooling == "max" else layers.AveragePooling2D
            pooling = [kind(2, strides=2, padding="same", name=f"{name}_pooling", dtype=precision)]
        sublayers = [*pooling, *activation(convolution.activation, name)]
        sequence += sublayers if convolution.pooling_first else reversed(sublayers)
    sequence.append(layers.Flatten(name="flatten", dtype=precision))
    for number, units in enumerate(config.dense, 1):
        name = f"fc{number}"
        sequence.append(layers.Dense(units, name=name, dtype=precision, **initial_values()))
        sequence += activation(config.dense_activation, name)
        if config.dropout:
            sequence.append(layers.Dropout(config.dropout, name=f"{name}_dropout", dtype=precision))
    sequence.append(layers.Dense(classes, name="logits", dtype="float32", **initial_values()))
    sequence += activation(config.output_activation, "logits", "float32")
    return keras.Sequential(sequence, name="cnnmnist")


def _check_size(config: ModelConfig, image_shape: tuple[int, int], classes: int) -> None:
    height, width = image_shape
    channels, parameters = 1, 0
    for layer in config.convolutions:
        parameters += layer.filters * (channels * layer.filter_size**2 + 1)
        channels = layer.filters
        step = layer.stride * (1 if layer.pooling == "none" else 2)
        height, width = -(-height // step), -(-width // step)
    units = [height * width * channels, *config.dense, classes]
    parameters += sum((before + 1) * after for before, after in itertools.pairwise(units))
    if parameters > MAX_PARAMETERS:
        raise RecipeError(
            f"The network would have {parameters:,} parameters, more than {MAX_PARAMETERS:,}: choose fewer "
            "filters or units."
        )
