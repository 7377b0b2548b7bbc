"""A network layer by layer: output shapes, parameters, multiplications, and the time of a forward pass."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnmnist.runtime import keras, tf

# Images go through in numbers that keep a layer busy for longer than its call: 128 for the tutorial's network.
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
    """Of one image: (height, width, channels), or (units,)."""
    parameters: int
    """Weights and biases."""
    multiplications: int
    """Of values by weights, for one image. A filter's weights count once in each place of the output, also where
    part of the filter is beyond the image. Biases, pooling (an average, too) and activations have none."""


def summarize(model: keras.Model) -> list[LayerSummary]:
    """The layers of a network in order, without the input.

    Args:
        model: as :func:`cnnmnist.model.build_model` returns it.
    """
    return [
        LayerSummary(
            name=layer.name,
            kind=type(layer).__name__,
            output_shape=tuple(layer.output.shape[1:]),
            parameters=layer.count_params(),
            multiplications=_multiplications(layer),
        )
        for layer in model.layers
    ]


def _multiplications(layer: keras.Layer) -> int:
    """Each weight of a kernel is used once in every place of the output; a dense layer's has a single place."""
    kernel = getattr(layer, "kernel", None)
    return 0 if kernel is None else math.prod(kernel.shape) * math.prod(layer.output.shape[1:-1])


@dataclass(frozen=True)
class Timing:
    """Where the time of a forward pass goes."""

    shares: list[float]
    """Of each layer, as a fraction of their sum."""
    images: int
    """How many went through the network at once."""
    passes: int
    """How often they did."""


def time_layers(model: keras.Model) -> Timing:
    """Measure each layer by itself, on random images and in the network's own precision.

    A layer's time is that of its quickest pass, because whatever else the machine does can only add to it, less
    that of a call that does nothing. It takes two seconds, or three passes of a network that needs longer.

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
    nothing, *quickest = np.min(passes, axis=0)
    own = np.maximum(np.array(quickest) - nothing, 1e-9)
    return Timing((own / own.sum()).tolist(), images, len(passes))


def _images_at_once(model: keras.Model) -> int:
    layers = summarize(model)
    multiplications = sum(layer.multiplications for layer in layers)
    values = math.prod(model.input_shape[1:]) + sum(math.prod(layer.output_shape) for layer in layers)
    most = max(1, min(MULTIPLICATIONS_AT_ONCE // multiplications, VALUES_AT_ONCE // values))
    return int(2 ** (most.bit_length() - 1))
