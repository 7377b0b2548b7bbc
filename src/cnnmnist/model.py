"""The network in Keras, for training, gradients and conversion: a ``keras.Model`` with named layers."""

from typing import Any

import numpy as np

from cnnmnist.config import ModelConfig
from cnnmnist.layers import Layer, list_layers
from cnnmnist.runtime import keras


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
        (n, classes). Layers are those of :func:`cnnmnist.layers.list_layers`.

    Raises:
        RecipeError: the network would have more than 100 million parameters. No memory is allocated for them.
    """
    layers = list_layers(config, image_shape, classes)
    seeds = iter(
        np.random.SeedSequence(seed).generate_state(sum(bool(each.kernel_shape) for each in layers)).tolist()
    )

    def build(layer: Layer) -> keras.Layer:
        options: dict[str, Any] = {
            "name": layer.name,
            "dtype": "float32" if layer.group == "logits" else precision,
        }
        if layer.kernel_shape:
            normal = keras.initializers.TruncatedNormal(stddev=config.weight_stddev, seed=next(seeds))
            constant = keras.initializers.Constant(config.bias)
            options |= {"kernel_initializer": normal, "bias_initializer": constant}
        match layer.kind:
            case "Conv2D":
                *size, _, filters = layer.kernel_shape
                return keras.layers.Conv2D(filters, size, strides=layer.stride, padding="same", **options)
            case "MaxPooling2D" | "AveragePooling2D" as kind:
                return getattr(keras.layers, kind)(2, strides=2, padding="same", **options)
            case "Activation":
                return keras.layers.Activation(layer.function, **options)
            case "Flatten":
                return keras.layers.Flatten(**options)
            case "Dense":
                return keras.layers.Dense(layer.kernel_shape[-1], **options)
            case "Dropout":
                return keras.layers.Dropout(layer.rate, **options)

    image = keras.Input((*image_shape, 1), name="image")
    return keras.Sequential([image, *map(build, layers)], name="cnnmnist")
