"""The network in NumPy: how pixels become logits, layer by layer. Training uses the same network in Keras."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cnnmnist.config import ModelConfig
from cnnmnist.layers import list_layers, same_padding

Array = NDArray[Any]


class Network:
    """A network with its weights; any thread may use it.

    Args:
        config: the recipe's description of the network.
        image_shape: height and width in pixels.
        classes: number of logits.
        weights: kernel and bias of each layer that has them, float32, from the image to the logits. Kernels of
            convolutions are (height, width, input channels, filters), kernels of dense layers (inputs, units).
        temperature: what the logits are divided by before a softmax, so that the network is as sure as it is
            right: C. Guo et al., 2017, https://arxiv.org/abs/1706.04599.

    Raises:
        RecipeError: the network has more than 100 million parameters.
        ValueError: the weights do not have the shapes of this network.
    """

    def __init__(
        self,
        config: ModelConfig,
        image_shape: tuple[int, int],
        classes: int,
        weights: Sequence[Array],
        temperature: float = 1.0,
    ):
        self.temperature = temperature
        self.image_shape, self.layers = image_shape, list_layers(config, image_shape, classes)
        expected = [shape for layer in self.layers for shape in layer.weight_shapes]
        if [each.shape for each in weights] != expected:
            raise ValueError(f"the weights do not have the shapes {expected}")
        names = [layer.name for layer in self.layers if layer.kernel_shape]
        self.weights = dict(zip(names, zip(weights[::2], weights[1::2], strict=True), strict=True))
        """Kernel and bias by the name of the layer, such as ``conv1``."""

    @np.errstate(over="ignore", invalid="ignore")  # the caller sees what is not finite
    def outputs(self, images: Array) -> dict[str, Array]:
        """Compute the output of every layer by name, after its pooling and its activation.

        Args:
            images: uint8 (n, height, width), or float32 (n, height, width, 1) in [0, 1]; all are computed at once.
                For many images, see :func:`cnnmnist.prediction.predict_logits`.

        Returns:
            conv1, conv2, ..., flatten, fc1, ..., logits: float32 (n, height, width, filters) or (n, units).
        """
        values = scale(images) if images.dtype == np.uint8 else images
        values, outputs = values.transpose(3, 1, 2, 0), {}  # (channels, height, width, n), then (units, n)
        for layer in self.layers:
            match layer.kind:
                case "Conv2D":
                    values = convolve(values, *self.weights[layer.name], layer.stride)
                case "MaxPooling2D":
                    values = functools.reduce(np.maximum, quarters(values))
                case "AveragePooling2D":
                    values = functools.reduce(np.add, quarters(values)) / 4
                case "Flatten":
                    values = values.transpose(1, 2, 0, 3).reshape(*layer.output_shape, -1)
                case "Dense":
                    kernel, bias = self.weights[layer.name]
                    values = kernel.T @ values + bias[:, np.newaxis]
                case "Activation":
                    values = ACTIVATIONS[layer.function](values)
                case "Dropout":  # only in training
                    pass
            outputs[layer.group] = values.transpose(3, 1, 2, 0) if values.ndim == 4 else values.T
        return outputs


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda values: np.maximum(values, 0),
    "sigmoid": lambda values: (1 + np.tanh(values / 2)) / 2,
    "tanh": np.tanh,
}


def scale(images: Array) -> Array:
    """Scale images, uint8 (n, height, width), to the network's input, float32 (n, height, width, 1) in [0, 1]."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def convolve(values: Array, kernel: Array, bias: Array, stride: int) -> Array:
    """Convolve images with filters: each output is the sum of the products of a filter and the window below it.

    Values and outputs are float32 (channels, height, width, n), so that what is multiplied at once lies side by
    side. Zeros around the images make the output as large as the input, divided by the stride (SAME padding).
    """
    size, filters = kernel.shape[0], kernel.shape[3]
    padding = [same_padding(side, size, stride) for side in values.shape[1:3]]
    windows = sliding_window_view(np.pad(values, [(0, 0), *padding, (0, 0)]), (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]  # (channels, height, width, n) windows of (size, size)
    outputs = np.empty((filters, *windows.shape[1:4]), np.float32)
    for row in range(outputs.shape[1]):  # the windows of all rows would be a copy of each pixel for each weight
        outputs[:, row] = np.tensordot(kernel, windows[:, row], axes=((0, 1, 2), (3, 4, 0)))
    outputs += bias[:, np.newaxis, np.newaxis, np.newaxis]
    return outputs


def quarters(values: Array) -> list[Array]:
    """The four corners of each square of 2x2 values; at an odd edge, where a square is cut off, its rest twice."""
    rows, columns = values.shape[1] % 2, values.shape[2] % 2
    if rows or columns:
        values = np.pad(values, [(0, 0), (0, rows), (0, columns), (0, 0)], mode="edge")
    return [values[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
