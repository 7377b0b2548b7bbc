"""Prediction: from images to logits, and to probabilities."""

import math

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
    logits = layer_outputs(network, "logits", images)
    if not np.isfinite(logits).all():
        raise RunError(
            "The network computes no finite numbers, because its weights are too large: train it again."
        )
    return logits


def layer_outputs(network: Network, layer: str, images: np.ndarray) -> NDArray[np.float32]:
    """Compute the outputs of a layer, after its pooling and its activation, on all cores, in little memory.

    Args:
        network: as for :func:`predict_logits`.
        layer: ``conv1``, ``conv2``, ..., ``flatten``, ``fc1``, ..., ``logits``.
        images: as for :func:`predict_logits`.

    Returns:
        float32 (n, height, width, filters), with the height and width of the layer's output, or (n, units).

    Raises:
        ValueError: the network has no such layer.
    """
    if layer not in [each.group for each in network.layers]:
        raise ValueError(f"the network has no layer {layer}")
    largest = max(math.prod(layer.output_shape) for layer in network.layers)
    size = min(max(VALUES_AT_ONCE // largest, 1), IMAGES_AT_ONCE)
    batches = [images[first : first + size] for first in range(0, len(images), size)]
    return np.concatenate(in_threads(lambda batch: network.outputs(batch)[layer], batches))


@np.errstate(over="ignore")  # far below the largest logit, a probability is 0
def probabilities(logits: np.ndarray, temperature: float = 1.0) -> NDArray[np.float32]:
    """Compute the softmax of logits, divided by a temperature, over the classes.

    Args:
        logits: float32 (n, classes).
        temperature: as :attr:`cnnmnist.network.Network.temperature`; with 1, the logits stay as they are.

    Returns:
        float32 (n, classes).
    """
    exponentials = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def cross_entropies(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> NDArray[np.float64]:
    """Compute the negative logarithm of the probability of each image's label, in nats.

    Args:
        logits: float32 (n, classes).
        labels: true classes, integers (n,).
        temperature: as for :func:`probabilities`.

    Returns:
        float64 (n,); finite and at least 0, because no probability is computed on the way.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]
    return result
