"""Summary of a network: output shape, parameters, multiplications and time of each layer."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnmnist.runtime import keras, tf

# Limits of the images computed at once: 128 with the tutorial's network, which take longer than the call itself.
MULTIPLICATIONS_AT_ONCE, VALUES_AT_ONCE = 2**29, 2**24
LEAST_SECONDS, LEAST_PASSES = 2.0, 3


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network."""

    name: str
    """Such as ``conv1_pooling``."""
    kind: str
    """Keras' class, such as ``MaxPooling2D``."""
    output_shape: tuple[int, ...]
    """Shape for one image: (height, width, channels), or (units,)."""
    parameters: int
    """Number of weights and biases."""
    multiplications: int
    """Multiplications of values by weights for one image.

    Each weight of a filter counts once for each place of the output, even where the filter reaches beyond the edge
    of the image. Biases, pooling (average pooling, too) and activations have none.
    """


def summarize(model: keras.Model) -> list[LayerSummary]:
    """Describe the layers of a network in order, without the input.

    Args:
        model: as :func:`cnnmnist.model.build_model` returns it.
    """
    summaries = []
    for layer in model.layers:
        shape = tuple(layer.output.shape[1:])
        multiplications = math.prod((*layer.kernel.shape, *shape[:-1])) if hasattr(layer, "kernel") else 0
        kind = type(layer).__name__
        summaries.append(LayerSummary(layer.name, kind, shape, layer.count_params(), multiplications))
    return summaries


@dataclass(frozen=True)
class Timing:
    """The time of a forward pass, by layer."""

    shares: list[float]
    """Fraction of the time that each layer takes."""
    images: int
    """Images computed at once."""
    passes: int
    """Forward passes measured."""


def time_layers(model: keras.Model) -> Timing:
    """Measure the time of each layer alone, on random images, in the precision of the network.

    The time of a layer is its shortest time over all passes, because other programs can only make it longer,
    minus the time of a call that computes nothing. The measurement takes two seconds, or three passes if they
    take longer.

    Args:
        model: as :func:`cnnmnist.model.build_model` returns it.
    """
    images = _images_at_once(model)
    values = tf.random.stateless_uniform((images, *model.input_shape[1:]), seed=(0, 0))
    calls = [(tf.function(tf.identity), values)]
    for layer in model.layers:
        function = tf.function(functools.partial(layer, training=False))
        calls.append((function, values))
        values = function(values)
    # A call returns before a GPU has done the work.
    wait = tf.test.experimental.sync_devices if tf.config.list_physical_devices("GPU") else lambda: None

    def seconds(function: Callable[[tf.Tensor], tf.Tensor], argument: tf.Tensor) -> float:
        started = time.perf_counter()
        function(argument)
        wait()
        return time.perf_counter() - started

    passes: list[list[float]] = []
    end = time.perf_counter() + LEAST_SECONDS
    while len(passes) < LEAST_PASSES or time.perf_counter() < end:
        passes.append([seconds(function, argument) for function, argument in calls])
    empty_call, *shortest = np.min(passes, axis=0)
    times = np.maximum(np.array(shortest) - empty_call, 1e-9)
    return Timing((times / times.sum()).tolist(), images, len(passes))


def _images_at_once(model: keras.Model) -> int:
    layers = summarize(model)
    multiplications = sum(layer.multiplications for layer in layers)
    values = math.prod(model.input_shape[1:]) + sum(math.prod(layer.output_shape) for layer in layers)
    most = max(1, min(MULTIPLICATIONS_AT_ONCE // multiplications, VALUES_AT_ONCE // values))
    return int(2 ** (most.bit_length() - 1))
