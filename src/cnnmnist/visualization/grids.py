"""Grids of small images: images of a data set, filter weights, layer outputs and saliency maps.

An :class:`ImageGrid` describes them; :mod:`cnnmnist.visualization.figures` draws it with matplotlib, and
:mod:`cnnmnist.cli.preview` with characters.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import SelectionError

Array = NDArray[Any]

MAX_IMAGES = 256  # drawing takes about 20 ms for each


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Small images in rows."""

    images: tuple[Array, ...]
    """At least one image; all have the same shape (height, width)."""
    titles: tuple[str, ...]
    """Titles of the images; a title may be empty."""
    value_ranges: tuple[tuple[float, float], ...]
    """The values of each image at the two ends of the colour map."""
    colormap: str
    """Matplotlib's name of the colour map."""
    columns: int
    """Number of images in a row."""
    title: str = ""
    """Title of the whole figure."""
    heading: str = ""
    """Title of these images, if there are grids beside them."""
    scale: str = ""
    """Label of the colour bar; empty for no colour bar."""
    beside: "ImageGrid | None" = None
    """The grid on the left of this one; it may have a grid beside it, too."""

    def row(self) -> "list[ImageGrid]":
        """Return this grid and all grids beside it, from left to right."""
        return [*(self.beside.row() if self.beside else []), self]


def image_grid(
    images: Array,
    labels: Sequence[int] | Array,
    predicted: Sequence[int] | Array | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "",
) -> ImageGrid:
    """Show images of a data set with their true and, if given, their predicted classes; ink is dark.

    Args:
        images: uint8 (n, height, width), n from 1 to 256.
        labels: true classes, int (n,).
        predicted: predicted classes, int (n,).
        class_names: names of the classes; their numbers by default.
        title: title of the whole figure.

    Raises:
        SelectionError: there are more than 256 images.
    """
    if len(images) > MAX_IMAGES:
        raise SelectionError(f"{len(images):,} images do not fit in one figure: choose at most {MAX_IMAGES}.")

    name: Callable[[Any], str] = class_names.__getitem__ if class_names else str
    titles = [f"True: {name(label)}" for label in labels]
    if predicted is not None:
        titles = [f"{true}, Pred: {name(label)}" for true, label in zip(titles, predicted, strict=True)]
    return replace(_numbered(images, [(0, 255)] * len(images)), titles=tuple(titles), title=title)


def filter_grid(weights: Array, input_channel: int = 0, title: str = "") -> ImageGrid:
    """Show the weights of a convolutional layer for one input channel, with the colour range of all weights.

    Args:
        weights: float (height, width, input channels, filters).
        input_channel: number from 0.
        title: title of the whole figure.
    """
    filters = np.moveaxis(weights[:, :, input_channel], -1, 0)
    ranges = [_range(weights)] * len(filters)
    return replace(_numbered(filters, ranges), colormap="seismic", title=title, scale="Weight")


def activation_grid(activations: Array, image: Array, title: str = "") -> ImageGrid:
    """Show the outputs of a layer for an image, each from its minimum (white) to its maximum (black).

    Args:
        activations: outputs of the layer, float (height, width, filters).
        image: uint8 (height, width), which the grid shows, too.
        title: title of the whole figure.
    """
    outputs = np.moveaxis(activations, -1, 0)
    beside = ImageGrid((image,), ("Input image",), ((0, 255),), "binary", columns=1)
    return replace(_numbered(outputs, map(_range, outputs)), title=title, beside=beside)


def maximization_grid(images: Array, title: str = "") -> ImageGrid:
    """Show the inputs that excite filters most, by number of the filter; ink is dark.

    Args:
        images: float (filters, height, width) in [0, 1], as :func:`cnnmnist.interpretation.maximize` returns them.
        title: title of the whole figure.
    """
    return replace(_numbered(images, [(0, 1)] * len(images)), title=title)


def saliency_grid(image: ImageGrid, gradient: Array, occlusion: Array, patch: int) -> ImageGrid:
    """Show an image beside the effect of its pixels on the predicted class's logit; pixels for the class are red.

    Args:
        image: grid of the image.
        gradient: float (height, width), as :func:`cnnmnist.interpretation.gradient` returns it.
        occlusion: float (height, width), as :func:`cnnmnist.interpretation.occlusion` returns it.
        patch: side of the occluding patch in pixels.
    """
    grid = image
    for values, title, scale in (
        (gradient, "Gradient", "Logit per unit of ink"),
        (occlusion, f"Occlusion by {patch}x{patch} pixels", "Drop of the logit"),
    ):
        ranges = (symmetric_range(values),)
        grid = ImageGrid((values,), (title,), ranges, "seismic", columns=1, scale=scale, beside=grid)
    return replace(grid, title=image.title)


def title_lines(title: str, fits: bool) -> list[str]:
    """Break the title of an image after its commas, unless it fits on one line."""
    return [title] if fits else title.replace(", ", ",\n").split("\n")


def symmetric_range(values: Array) -> tuple[float, float]:
    """Return the ends of a colour map with 0 in its middle; they differ even if all values are 0."""
    largest = float(np.abs(values).max()) or 1.0
    return -largest, largest


def _numbered(images: Array, value_ranges: Iterable[tuple[float, float]]) -> ImageGrid:
    """Images in a square, dark where their values are large, with their numbers as titles."""
    titles = tuple(map(str, range(len(images))))
    columns = math.isqrt(len(images) - 1) + 1
    return ImageGrid(tuple(images), titles, tuple(value_ranges), "binary", columns)


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())
