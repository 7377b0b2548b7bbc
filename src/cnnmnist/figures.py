"""Grids of small images: digits, filter weights, layer outputs, and whatever else belongs to pixels.

An :class:`ImageGrid` says what is shown; matplotlib draws it here, half-block characters in
:mod:`cnnmnist.cli.preview`. Only matplotlib's object-oriented interface is used: no window, no global state.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import SelectionError
from cnnmnist.files import replacing

if TYPE_CHECKING:
    from cnnmnist.display import Figure

Array = NDArray[Any]

MAX_IMAGES = 256  # drawing takes about 20 ms for each

# Metadata that would make the bytes of a file depend on the time at which it was written.
UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

DPI = 150
SMALL, LARGE = 8, 11  # font sizes in points
LINE = 1.35  # height of a line over its font size
COLOR_BAR = 28  # pixels
COLOR_BAR_TICKS = 120


@dataclass(frozen=True)
class Layout:
    """Lengths in a figure: pixels at its resolution, so that an image's pixels are squares of whole pixels."""

    dpi: int = DPI
    row: int = 1050
    """What the panels of a row of images share."""
    smallest_panel: int = 84
    largest_panel: int = 560
    gap: int = 28
    margin: int = 36

    def pixels(self, points: float) -> float:
        """A length in points."""
        return points * self.dpi / 72


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
        gradient: float (height, width), as :func:`cnnmnist.inspection.gradient` returns it.
        occlusion: float (height, width), as :func:`cnnmnist.inspection.occlusion` returns it.
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


class Drawing:
    """A figure of a grid and of those beside it, in which others of the same shapes can take their place.

    Args:
        grid: what is shown at first; it determines how much room there is for titles.
        layout: how large everything is.
    """

    def __init__(self, grid: ImageGrid, layout: Layout | None = None) -> None:
        from cnnmnist.display import Figure

        layout = layout or Layout()
        self._blocks = blocks = [_Block(each, layout) for each in grid.row()]
        margin, dpi = layout.margin, layout.dpi
        heading = layout.pixels(LARGE * LINE) * 1.5 if grid.title else 0
        content = sum(block.width for block in blocks) + margin * (len(blocks) - 1)
        width = max(content, text_width([grid.title], LARGE, dpi)) + 2 * margin
        tallest = max(block.height for block in blocks)
        height = math.ceil(tallest + heading) + 2 * margin
        self.figure: Figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
        self._title = self.figure.text(
            0.5, 1 - margin / height, grid.title, size=LARGE, ha="center", va="top", parse_math=False
        )
        left = (width - content) // 2
        for block in blocks:
            # Headings are on one line; without them, what is smaller is in the middle.
            spare = (tallest - block.height) // (1 if block.grid.heading else 2)
            block.draw(self.figure, left, margin + spare)
            left += block.width + margin

    def show(self, grid: ImageGrid) -> None:
        """Replace all images and titles, but no headings and colour bars."""
        self._title.set_text(grid.title)
        for block, part in zip(self._blocks, grid.row(), strict=True):
            block.show(part)


def draw_grid(grid: ImageGrid) -> "Figure":
    """Draw the images of a grid, and of those beside it, with their titles and colour bars."""
    return Drawing(grid).figure


def check_figure_path(path: Path, suffixes: Sequence[str] = tuple(UNDATED)) -> None:
    """Refuse a file name by which no figure can be written, before the work of making one.

    Raises:
        SelectionError: its suffix is not that of a known format.
    """
    if path.suffix.lower() not in suffixes:
        choice = ", ".join([*suffixes[:-2], " or ".join(suffixes[-2:])])
        raise SelectionError(f"Cannot write a figure as {path}: end its name in {choice}.")


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by suffix; the same figure gives the same bytes.

    Args:
        figure: any of matplotlib's.
        path: the file; its folder is made, and a file of that name replaced.

    Raises:
        SelectionError: the suffix is not that of a known format.
        RunError: the file cannot be written.
    """
    import matplotlib

    path = Path(path)
    check_figure_path(path)
    suffix = path.suffix.lower()
    # Without a salt of ours, the identifiers within an SVG file are random.
    with replacing(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "cnnmnist"}):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, format=suffix[1:], metadata=UNDATED[suffix])


def symmetric_range(values: Array) -> tuple[float, float]:
    """Ends of a colour map that has 0 in its middle; equal values are no reason for an empty one."""
    largest = float(np.abs(values).max()) or 1.0
    return -largest, largest


def text_width(texts: Iterable[str], size: float, dpi: int = DPI) -> int:
    """Pixels that the longest of the texts takes."""
    from matplotlib.textpath import TextPath

    lengths = (TextPath((0, 0), text, size=size).get_extents().width for text in set(texts) if text)
    return math.ceil(max(lengths, default=0) * dpi / 72)


class _Block:
    """The measures of a grid's panels, titles and colour bar, in pixels, and its panels once they are drawn."""

    def __init__(self, grid: ImageGrid, layout: Layout) -> None:
        self.grid, self.layout, self.panels = grid, layout, list[Any]()
        self.rows = math.ceil(len(grid.images) / grid.columns)
        room = min(max(layout.row // grid.columns, layout.smallest_panel), layout.largest_panel)
        self.titles_fit = text_width(grid.titles, SMALL, layout.dpi) <= room
        titles = [title_lines(title, self.titles_fit) for title in grid.titles]
        lines = max(map(len, titles)) if any(grid.titles) else 0
        self.title_height = math.ceil(layout.pixels(lines * SMALL * LINE))
        self.heading_height = math.ceil(layout.pixels(SMALL * LINE)) + layout.gap // 2 if grid.heading else 0
        room = max(room, text_width(chain.from_iterable(titles), SMALL, layout.dpi))

        height, width = grid.images[0].shape
        self.enlargement = max(1, room // max(height, width))
        self.panel_width, self.panel_height = width * self.enlargement, height * self.enlargement
        self.column = max(self.panel_width, room) + layout.gap
        self.row = self.title_height + self.panel_height + layout.gap // 2
        self.panels_width = self.column * grid.columns - layout.gap
        self.panels_height = self.row * self.rows - layout.gap // 2
        bar = layout.gap + COLOR_BAR + COLOR_BAR_TICKS if grid.scale else 0
        self.width = max(self.panels_width + bar, text_width([grid.heading], SMALL, layout.dpi))
        self.height = self.panels_height + self.heading_height

    def draw(self, figure: "Figure", left: int, bottom: int) -> None:
        figure_width, figure_height = figure.get_size_inches() * self.layout.dpi

        def add_axes(x: float, y: float, width: float, height: float) -> Any:
            sides = (x / figure_width, y / figure_height, width / figure_width, height / figure_height)
            return figure.add_axes(sides)

        indent = (self.column - self.layout.gap - self.panel_width) // 2
        for number, image in enumerate(self.grid.images):
            row, column = divmod(number, self.grid.columns)
            x = left + indent + column * self.column
            y = bottom + (self.rows - 1 - row) * self.row
            axes = add_axes(x, y, self.panel_width, self.panel_height)
            axes.imshow(self._enlarged(image), self.grid.colormap, aspect="auto", interpolation="none")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(color="0.75", linewidth=72 / self.layout.dpi)  # one pixel
            axes.set_title("", size=SMALL, pad=SMALL * 0.4, linespacing=1.1, parse_math=False)
            self.panels.append(axes)
        self.show(self.grid)
        if self.grid.heading:
            x, y = (left + indent) / figure_width, (bottom + self.height) / figure_height
            figure.text(x, y, self.grid.heading, size=SMALL, va="top", parse_math=False)
        if self.grid.scale:
            x = left + self.panels_width + self.layout.gap
            axes = add_axes(x, bottom, COLOR_BAR, self.panels_height - self.title_height)
            figure.colorbar(self.panels[0].images[0], cax=axes)
            axes.set_ylabel(self.grid.scale, size=SMALL, parse_math=False)
            axes.tick_params(labelsize=SMALL)

    def show(self, grid: ImageGrid) -> None:
        parts = zip(self.panels, grid.images, grid.titles, grid.value_ranges, strict=True)
        for axes, image, title, value_range in parts:
            axes.images[0].set(data=self._enlarged(image), clim=value_range)
            axes.title.set_text("\n".join(title_lines(title, self.titles_fit)))

    def _enlarged(self, image: Array) -> Array:
        # Enlarged by us, pixels stay crisp in all viewers of SVG and PDF, many of which smooth images.
        return image.repeat(self.enlargement, axis=0).repeat(self.enlargement, axis=1)


def _square(images: int) -> int:
    return math.isqrt(images - 1) + 1


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())
