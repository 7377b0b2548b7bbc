"""The layers of a network in order: one list, from which every form of the network is made."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cnnmnist.config import ModelConfig
from cnnmnist.errors import RecipeError

MAX_PARAMETERS = 100_000_000  # 400 MB of weights, and three times as much in training

Kind = Literal["Conv2D", "MaxPooling2D", "AveragePooling2D", "Activation", "Flatten", "Dense", "Dropout"]


@dataclass(frozen=True)
class Layer:
    """One layer of a network."""

    name: str
    """Such as ``conv1_pooling``."""
    kind: Kind
    """Keras' class, such as ``MaxPooling2D``."""
    output_shape: tuple[int, ...]
    """Shape for one image: (height, width, channels), or (units,)."""
    kernel_shape: tuple[int, ...] = ()
    """Shape of the weights: (height, width, input channels, filters), (inputs, units), or nothing."""
    stride: int = 1
    """Step of the windows of a convolution or a pooling, in pixels."""
    function: str = ""
    """Activation function: relu, sigmoid or tanh."""
    rate: float = 0.0
    """Fraction of the outputs that is dropped in training."""

    @property
    def group(self) -> str:
        """The convolution or dense layer that this layer belongs to, such as ``conv1``."""
        return self.name.split("_")[0]

    @property
    def window(self) -> int:
        """Side of the square from which a convolution, a pooling or an activation computes a value, in pixels."""
        return self.kernel_shape[0] if self.kernel_shape else self.stride

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the kernel and the bias, if the layer has them."""
        return [self.kernel_shape, self.kernel_shape[-1:]] if self.kernel_shape else []

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(map(math.prod, self.weight_shapes))

    @property
    def multiplications(self) -> int:
        """Multiplications of values by weights for one image.

        Each weight of a filter counts once for each place of the output, even where the filter reaches beyond the
        edge of the image. Biases, pooling (average pooling, too) and activations have none.
        """
        return math.prod((*self.kernel_shape, *self.output_shape[:-1])) if self.kernel_shape else 0


def list_layers(config: ModelConfig, image_shape: tuple[int, int] = (28, 28), classes: int = 10) -> list[Layer]:
    """List the layers that a recipe describes, from the image to the logits.

    Args:
        config: the recipe's description of the network.
        image_shape: height and width in pixels.
        classes: number of logits.

    Returns:
        Layers named conv1, conv1_pooling, conv1_activation, ..., flatten, fc1, fc1_activation, ..., logits.

    Raises:
        RecipeError: the network would have more than 100 million parameters.
    """
    layers = list(_layers(config, image_shape, classes))
    parameters = sum(layer.parameters for layer in layers)
    if parameters > MAX_PARAMETERS:
        raise RecipeError(
            f"The network would have {parameters:,} parameters, more than {MAX_PARAMETERS:,}: choose fewer "
            "filters or units."
        )
    return layers


def check_memory(layers: Sequence[Layer], images: int) -> None:
    """Refuse a training step that takes more memory than this machine has.

    It keeps the outputs of all layers for the gradients, and the weights five times: as they are, with their
    gradients, Adam's averages and the moving average. Measured peaks are 0.7 to 2.2 times this estimate.

    Args:
        layers: as :func:`list_layers` returns them.
        images: images that this machine computes at once.

    Raises:
        RecipeError: the memory does not suffice.
    """
    values = images * sum(math.prod(layer.output_shape) for layer in layers)
    needed, available = 4 * (values + 5 * sum(layer.parameters for layer in layers)), _memory()
    if needed > available:
        raise RecipeError(
            f"A step of {images:,} images takes about {needed / 1e9:,.0f} GB of memory, and there are "
            f"{available / 1e9:,.0f} GB: choose a smaller batch_size, or fewer filters or units."
        )


def _memory() -> float:
    """Bytes of memory that this machine has, or that its container may use."""
    sizes = [math.inf]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes)


def _layers(config: ModelConfig, image_shape: tuple[int, int], classes: int) -> Iterator[Layer]:
    shape: tuple[int, ...] = (*image_shape, 1)
    for number, convolution in enumerate(config.convolutions, 1):
        name, filters, size = f"conv{number}", convolution.filters, convolution.filter_size
        kernel, shape = (size, size, shape[-1], filters), (*_strided(shape, convolution.stride), filters)
        yield Layer(name, "Conv2D", shape, kernel, stride=convolution.stride)
        if not convolution.pooling_first:
            yield from _activation(name, convolution.activation, shape)
        if convolution.pooling != "none":
            shape = (*_strided(shape, 2), filters)
            kind: Kind = "MaxPooling2D" if convolution.pooling == "max" else "AveragePooling2D"
            yield Layer(f"{name}_pooling", kind, shape, stride=2)
        if convolution.pooling_first:
            yield from _activation(name, convolution.activation, shape)
    shape = (math.prod(shape),)
    yield Layer("flatten", "Flatten", shape)
    for number, units in enumerate(config.dense, 1):
        name = f"fc{number}"
        yield Layer(name, "Dense", (units,), (*shape, units))
        shape = (units,)
        yield from _activation(name, config.dense_activation, shape)
        if config.dropout:
            yield Layer(f"{name}_dropout", "Dropout", shape, rate=config.dropout)
    yield Layer("logits", "Dense", (classes,), (*shape, classes))
    yield from _activation("logits", config.output_activation, (classes,))


def _strided(shape: tuple[int, ...], stride: int) -> tuple[int, int]:
    """Height and width after a layer with SAME padding, such as (14, 14) from (28, 28) with stride 2."""
    return -(-shape[0] // stride), -(-shape[1] // stride)


def same_padding(side: int, window: int, stride: int) -> tuple[int, int]:
    """How many zeros TensorFlow puts before and after ``side`` pixels; if one side gets more, it is the end."""
    total = max(0, (-(-side // stride) - 1) * stride + window - side)
    return total // 2, total - total // 2


def _activation(name: str, function: str, shape: tuple[int, ...]) -> Iterator[Layer]:
    if function != "none":
        yield Layer(f"{name}_activation", "Activation", shape, function=function)
