"""The time that each layer of a network takes."""

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cnnmnist.config import ModelConfig
from cnnmnist.layers import Layer, list_layers
from cnnmnist.model import build_model
from cnnmnist.runtime import tf

# Limits of the images computed at once: 128 with the tutorial's network, which take longer than the call itself.
MULTIPLICATIONS_AT_ONCE, VALUES_AT_ONCE = 2**29, 2**24
LEAST_SECONDS, LEAST_PASSES = 2.0, 3


@dataclass(frozen=True)
class Timing:
    """The time of a forward pass, by layer."""

    shares: list[float]
    """Fraction of the time that each layer takes."""
    images: int
    """Images computed at once."""
    passes: int
    """Forward passes measured."""


def time_layers(config: ModelConfig, image_shape: tuple[int, int] = (28, 28), classes: int = 10) -> Timing:
    """Measure the time of each layer alone, on random images, in TensorFlow and float32.

    The time of a layer is its shortest time over all passes, because other programs can only make it longer,
    minus the time of a call that computes nothing. The measurement takes two seconds, or three passes if they
    take longer.
    """
    images = _images_at_once(list_layers(config, image_shape, classes))
    model = build_model(config, image_shape, classes)
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


def _images_at_once(layers: Sequence[Layer]) -> int:
    multiplications = sum(layer.multiplications for layer in layers)
    values = sum(math.prod(layer.output_shape) for layer in layers)
    most = max(1, min(MULTIPLICATIONS_AT_ONCE // multiplications, VALUES_AT_ONCE // values))
    return int(2 ** (most.bit_length() - 1))
