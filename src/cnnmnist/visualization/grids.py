"""Grids of small images: digits, filter weights, layer outputs, and whatever else belongs to pixels.

An :class:`ImageGrid` says what is shown; :mod:`cnnmnist.visualization.figures` draws it with matplotlib,
:mod:`cnnmnist.cli.preview` with half-block characters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import SelectionError

Array = NDArray[Any]

MAX_IMAGES = 256  # drawing takes about 20 ms for each


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Small images in rows, as one figure shows them."""

    images: tuple[Array, ...]
    """One or more of the same shape (height, width)."""
    titles: tuple[str, ...]
    """One for each image, perhaps empty."""
    value_ranges: tuple[tuple[float, float], ...]
    """For each image the values at the two ends of the colour map."""
    colormap: str
    """Matplotlib's name of it."""
    columns: int
    """Images in a row."""
    title: str = ""
    """Of the whole figure."""
    heading: str = ""
    """Of these images, where there are others beside them."""
    scale: str = ""
    """What the values are, if all images share one range and a colour bar is to show it."""
    beside: "ImageGrid | None" = None
    """Another grid, shown on the left of this one; it may have one beside itself."""

    def row(self) -> "list[ImageGrid]":
        """This grid and all beside it, from left to right."""
        return [*(self.beside.row() if self.beside else []), self]


def image_grid(
    images: Array,
    labels: Sequence[int] | Array,
    predicted: Sequence[int] | Array | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "",
) -> ImageGrid:
    """Images of digits with their true and, if given, their predicted classes; ink is dark.

    Args:
        images: uint8 (n, height, width), n at least 1.
        labels: true classes (n,).
        predicted: predicted classes (n,).
        class_names: what the classes are called; their numbers by default.
        title: of the whole figure.

    Raises:
        SelectionError: there are more images than a figure can show.
    """
    if len(images) > MAX_IMAGES:
        raise SelectionError(f"{len(images):,} images do not fit in one figure: choose at most {MAX_IMAGES}.")

    def name(label: int) -> str:
        return class_names[label] if class_names else str(label)

    titles = [f"True: {name(label)}" for label in labels]
    if predicted is not None:
        titles = [f"{true}, Pred: {name(label)}" for true, label in zip(titles, predicted, strict=True)]
    return ImageGrid(
        images=tuple(images),
        titles=tuple(titles),
        value_ranges=((0, 255),) * len(images),
        colormap="binary",
        columns=_square(len(images)),
        title=title,
    )


def filter_grid(weights: Array, input_channel: int = 0, title: str = "") -> ImageGrid:
    """A convolution's weights for one input channel, with one colour range over all weights of the layer.

    Args:
        weights: float (height, width, input channels, filters).
        input_channel: from 0.
        title: of the whole figure.
    """
    filters = weights.shape[-1]
    return ImageGrid(
        images=tuple(np.moveaxis(weights[:, :, input_channel], -1, 0)),
        titles=tuple(map(str, range(filters))),
        value_ranges=(_range(weights),) * filters,
        colormap="seismic",
        columns=_square(filters),
        title=title,
        scale="Weight",
    )


def activation_grid(activations: Array, image: Array, title: str = "") -> ImageGrid:
    """A layer's outputs for one image beside it, each from its own minimum (white) to its maximum (black).

    Args:
        activations: float (height, width, filters).
        image: uint8 (height, width), as the data set holds it.
        title: of the whole figure.
    """
    outputs = tuple(np.moveaxis(activations, -1, 0))
    return ImageGrid(
        images=outputs,
        titles=tuple(map(str, range(len(outputs)))),
        value_ranges=tuple(map(_range, outputs)),
        colormap="binary",
        columns=_square(len(outputs)),
        title=title,
        beside=ImageGrid((image,), ("Input image",), ((0, 255),), "binary", columns=1),
    )


def maximization_grid(images: Array, title: str = "") -> ImageGrid:
    """The inputs that excite filters most, numbered by filter; ink is dark.

    Args:
        images: float (filters, height, width) in [0, 1], at most 256 filters.
        title: of the whole figure.
    """
    grid = image_grid(images, range(len(images)), title=title)
    numbers = tuple(map(str, range(len(images))))
    return replace(grid, titles=numbers, value_ranges=((0, 1),) * len(images))


def saliency_grid(image: ImageGrid, gradient: Array, occlusion: Array, patch: int) -> ImageGrid:
    """An image, and beside it what each pixel does to the predicted class's logit; what speaks for it is red.

    Args:
        image: grid of the one image.
        gradient: float (height, width), as :func:`cnnmnist.interpretation.gradient` returns it.
        occlusion: float (height, width), as :func:`cnnmnist.interpretation.occlusion` returns it.
        patch: side of the occluding patch in pixels.
    """
    shown = image
    for values, title, scale in (
        (gradient, "Gradient", "Logit per unit of ink"),
        (occlusion, f"Occlusion by {patch}x{patch} pixels", "Drop of the logit"),
    ):
        extent = symmetric_range(values)
        shown = ImageGrid((values,), (title,), (extent,), "seismic", columns=1, scale=scale, beside=shown)
    return replace(shown, title=image.title)


def title_lines(title: str, fits: bool) -> list[str]:
    """The title of an image, broken after its commas unless it fits on one line."""
    return [title] if fits else title.replace(", ", ",\n").split("\n")


def symmetric_range(values: Array) -> tuple[float, float]:
    """Ends of a colour map that has 0 in its middle; equal values are no reason for an empty one."""
    largest = float(np.abs(values).max()) or 1.0
    return -largest, largest


def _square(images: int) -> int:
    return math.isqrt(images - 1) + 1


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())
