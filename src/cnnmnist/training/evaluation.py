"""Evaluation of a network while it trains, in TensorFlow, as the training computes."""

import functools
import math
from collections.abc import Generator
from typing import Any

import numpy as np

from cnnmnist.data.loading import Split
from cnnmnist.network import scale
from cnnmnist.processor import CORES
from cnnmnist.runtime import keras, tf
from cnnmnist.threads import in_threads

# Images that one thread computes at once; fewer where a layer has more outputs, so that all threads together keep
# about half a gigabyte of them.
BATCH_SIZE, VALUES_AT_ONCE = 256, 2**26 // CORES
UNINTERRUPTED = 1_024  # images between two chances to interrupt an evaluation


def training_logits(model: keras.Model, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Compute the logits of images, on all cores.

    Args:
        model: from images to logits, as :func:`cnnmnist.model.build_model` returns it.
        images: uint8 (n, height, width), or float32 (n, height, width, 1) in [0, 1]; n at least 1.

    Returns:
        float32 (n, classes).
    """
    infer = _inference(model)
    largest = max(math.prod(layer.output.shape[1:]) for layer in model.layers)
    size = min(max(VALUES_AT_ONCE // largest, 1), BATCH_SIZE)

    def logits(first: int) -> np.ndarray:
        part = images[first : first + size]
        return np.asarray(infer(scale(part) if part.dtype == np.uint8 else part))

    return np.concatenate(in_threads(logits, range(0, len(images), size)))


def interruptible_logits(model: keras.Model, split: Split) -> Generator[None, None, np.ndarray]:
    """Compute the logits of a split as :func:`training_logits` does, and yield several times on the way."""
    parts = []
    for first in range(0, len(split), UNINTERRUPTED):
        parts.append(training_logits(model, split.images[first : first + UNINTERRUPTED]))
        yield None
    return np.concatenate(parts)


@functools.lru_cache(maxsize=4)
def _inference(model: keras.Model) -> Any:
    signature = tf.TensorSpec(model.input_shape, tf.float32)
    return tf.function(lambda images: model(images, training=False), input_signature=[signature])
