"""Prediction: from images to logits, and to probabilities."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import RunError
from cnnmnist.network import Network
from cnnmnist.threads import in_threads

# Images that one thread computes at once: 64 with the tutorial's network, whose outputs then stay in the cache.
VALUES_AT_ONCE, IMAGES_AT_ONCE = 2**20, 64


def predict_logits(network: Network, images: np.ndarray) -> NDArray[np.float32]:
    """Compute the logits of any number of images, on all cores.

    Args:
        network: as :meth:`cnnmnist.runs.run.Run.load_network` returns it.
        images: uint8 (n, height, width), or float32 (n, height, width, 1) in [0, 1]; n at least 1.

    Returns:
        float32 (n, classes).

    Raises:
        RunError: a logit is not finite, because the weights are too large.
    """
    logits = in_batches(network, network.logits, images)
    if not np.isfinite(logits).all():
        raise RunError(
            "The network computes no finite numbers, because its weights are too large: train it again."
        )
    return logits


def in_batches(
    network: Network, compute: Callable[[np.ndarray], NDArray[np.float32]], images: np.ndarray
) -> NDArray[np.float32]:
    """Compute something of each image with a network, on all cores, in little memory.

    Args:
        network: the network that computes.
        compute: a function of a batch of images; its result has one row for each image.
        images: as for :func:`predict_logits`.
    """
    largest = max(math.prod(layer.output_shape) for layer in network.layers)
    size = min(max(VALUES_AT_ONCE // largest, 1), IMAGES_AT_ONCE)
    return np.concatenate(
        in_threads(compute, [images[first : first + size] for first in range(0, len(images), size)])
    )


def probabilities(logits: np.ndarray) -> NDArray[np.float32]:
    """Compute the softmax of logits, float32 (n, classes), over the classes, float32 (n, classes)."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result
