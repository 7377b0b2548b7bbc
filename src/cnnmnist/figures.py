"""Pictures of images, filter weights, layer outputs, confusion matrices and learning curves.

An :class:`ImageGrid` says what is shown; matplotlib draws it here, half-block characters in
:mod:`cnnmnist.cli.preview`. Only matplotlib's object-oriented interface is used: no window, no global state.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import SelectionError
from cnnmnist.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

MAX_IMAGES = 256  # drawing takes about 20 ms for each
LARGEST_COUNTED_MATRIX = 20  # classes; the counts in the cells of a larger matrix could not be read

# Metadata that would make the bytes of a file depend on the time at which it was written.
UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

# Lengths in figures are pixels at this resolution, so that an image's pixels are squares of whole pixels.
DPI = 150
ROW = 1050  # what the panels of a row share
SMALLEST_PANEL, LARGEST_PANEL = 84, 560
GAP = 28
MARGIN = 36
COLOR_BAR = 28
COLOR_BAR_TICKS = 120
SMALL, LARGE = 8, 11  # font sizes in points
LINE = 1.35  # height of a line over its font size
LINE_STYLES = ("solid", "dashed", "dotted", "dashdot")
LOGIT_RANGE = (0.001, 0.9999)
LARGEST_CURVE = 1_000  # points


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
    scale: str = ""
    """What the values are, if all images share one range and a colour bar is to show it."""
    beside: "ImageGrid | None" = None
    """What the images were made from, shown on their left."""


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


def title_lines(title: str, fits: bool) -> list[str]:
    """The title of an image, broken after its commas unless it fits on one line."""
    return [title] if fits else title.replace(", ", ",\n").split("\n")


def draw_grid(grid: ImageGrid) -> "Figure":
    """Draw the images of a grid with their titles and, if they share a scale, a colour bar.

    Args:
        grid: of :func:`image_grid`, :func:`filter_grid` or :func:`activation_grid`.

    Returns:
        A figure that belongs to no window; a notebook shows it where it is a cell's last value.
    """
    from cnnmnist.display import Figure

    blocks = [_Block(grid)] if grid.beside is None else [_Block(grid.beside), _Block(grid)]
    heading = _pixels(LARGE * LINE) * 1.5 if grid.title else 0
    bar = GAP + COLOR_BAR + COLOR_BAR_TICKS if grid.scale else 0
    content = sum(block.width for block in blocks) + MARGIN * (len(blocks) - 1) + bar
    width = max(content, _text_width([grid.title], LARGE)) + 2 * MARGIN
    tallest = max(block.height for block in blocks)
    height = math.ceil(tallest + heading) + 2 * MARGIN

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    if grid.title:
        figure.text(0.5, 1 - MARGIN / height, grid.title, size=LARGE, ha="center", va="top", parse_math=False)
    left, bottom = (width - content) // 2, MARGIN
    for block in blocks:
        block.draw(figure, left, bottom + (tallest - block.height) // 2)
        left += block.width + MARGIN
    if grid.scale:
        left += GAP - MARGIN
        beside_panels = tallest - blocks[-1].title_height
        axes = figure.add_axes((left / width, bottom / height, COLOR_BAR / width, beside_panels / height))
        figure.colorbar(figure.axes[0].images[0], cax=axes)
        axes.set_ylabel(grid.scale, size=SMALL, parse_math=False)
        axes.tick_params(labelsize=SMALL)
    return figure


def draw_confusion_matrix(matrix: Array, class_names: Sequence[str], title: str = "") -> "Figure":
    """Draw how often each true class (rows) was taken for each class (columns).

    The colours are logarithmic from 1 on, because the few confusions would be invisible beside the diagonal.

    Args:
        matrix: int (classes, classes).
        class_names: one for each class.
        title: of the figure.
    """
    from matplotlib.colors import SymLogNorm
    from matplotlib.ticker import ScalarFormatter

    from cnnmnist.display import Figure

    classes = len(matrix)
    counted = classes <= LARGEST_COUNTED_MATRIX
    cells = max(2.5, classes * (0.45 if counted else 0.17))  # inches, as the names' lengths
    longest = _text_width(class_names, SMALL) / DPI
    upright = longest < 0.9 * cells / classes
    size = cells + longest + 1.3, cells + (0 if upright else longest) + 0.9
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    norm = SymLogNorm(linthresh=1, vmin=0, vmax=max(1, matrix.max()), base=10)
    image = axes.imshow(matrix, cmap="Blues", norm=norm, aspect="auto", interpolation="none")
    figure.colorbar(image, ax=axes, label="Images", format=ScalarFormatter(), pad=0.03).minorticks_off()

    axes.set_xticks(range(classes), class_names, rotation=0 if upright else 90, size=SMALL, parse_math=False)
    axes.set_yticks(range(classes), class_names, size=SMALL, parse_math=False)
    axes.tick_params(length=0)
    axes.set(xlabel="Predicted", ylabel="True")
    axes.set_title(title, size=LARGE, parse_math=False)
    if counted:
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if norm(count) > 0.6 else "black" if count else "0.7"
            axes.text(column, row, str(count), ha="center", va="center", size=SMALL, color=color)
    return figure


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """How one training went."""

    name: str
    losses: Array
    """Loss of each iteration from the first, float (n,); n may be 0."""
    accuracies: Array
    """Accuracy on the batch of each, float (n,)."""
    ladder: Sequence[tuple[int, float]]
    """Iterations and the accuracy on the test split after them."""


def draw_learning_curves(curves: Sequence[LearningCurve]) -> "Figure":
    """Draw the training losses and the accuracies of several trainings over their iterations.

    Losses and accuracies of batches are running means over a fiftieth of the longest training; accuracies on the
    test split are circles. The axis of the accuracies is a logit one, so that 98 % and 99 % are far from each
    other; what is above 99.99 % lies on its upper edge.

    Args:
        curves: one or more.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator, StrMethodFormatter

    from cnnmnist.display import Figure

    window = max(1, max(len(curve.losses) for curve in curves) // 50)
    over = f" (mean of {window:,} iterations)" if window > 1 else ""
    figure = Figure(figsize=(7, 6.4 + 0.2 * len(curves)), dpi=DPI, layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(2, sharex=True)
    lines = []
    for number, curve in enumerate(curves):
        color = f"C{number % 10}"
        style: dict[str, Any] = {"color": color, "linestyle": LINE_STYLES[number // 10 % len(LINE_STYLES)]}
        iterations, losses = _smoothed(curve.losses, window)
        loss_axes.plot(iterations, losses, linewidth=1, **style)
        iterations, accuracies = _smoothed(curve.accuracies, window)
        (line,) = accuracy_axes.plot(iterations, accuracies.clip(*LOGIT_RANGE), linewidth=1, **style)
        tested = np.array(curve.ladder, float).reshape(-1, 2)
        marks = {"linestyle": "none", "marker": "o", "markersize": 6, "markeredgecolor": "white"}
        accuracy_axes.plot(
            tested[:, 0], tested[:, 1].clip(*LOGIT_RANGE), **marks, color=color, zorder=3, clip_on=False
        )
        lines.append(line)
    loss_axes.set_yscale("log")
    loss_axes.set_ylabel(f"Training loss{over}", size=SMALL)
    accuracy_axes.set_yscale("logit")
    lowest = min((min(line.get_ydata(), default=1.0) for line in accuracy_axes.lines), default=1.0)
    accuracy_axes.set_ylim(min(0.5, 0.8 * lowest), LOGIT_RANGE[1])
    accuracy_axes.yaxis.set_major_locator(FixedLocator([0.01, 0.1, 0.5, 0.9, 0.99, 0.999]))
    accuracy_axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    accuracy_axes.yaxis.set_minor_locator(NullLocator())
    accuracy_axes.yaxis.set_minor_formatter(NullFormatter())
    accuracy_axes.set_ylabel(f"Batch accuracy{over}\nand test accuracy (circles)", size=SMALL)
    accuracy_axes.set_xlabel("Iterations", size=SMALL)
    accuracy_axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axes in (loss_axes, accuracy_axes):
        axes.grid(color="0.9", linewidth=0.6)
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    # A name set afterwards may begin with an underscore, which would keep it out of the legend.
    legend = figure.legend(lines, ["-"] * len(lines), loc="outside lower center", fontsize=SMALL, frameon=False)
    for text, curve in zip(legend.get_texts(), curves, strict=True):
        text.set(text=curve.name, parse_math=False)
    return figure


def check_figure_path(path: Path) -> None:
    """Refuse a file name by which no figure can be written, before the work of making one.

    Raises:
        SelectionError: its suffix is not that of a known format.
    """
    if path.suffix.lower() not in UNDATED:
        *most, last = UNDATED
        raise SelectionError(f"Cannot write a figure as {path}: end its name in {', '.join(most)} or {last}.")


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


class _Block:
    """The measures of a grid's panels and titles, in pixels."""

    def __init__(self, grid: ImageGrid) -> None:
        self.grid = grid
        self.rows = math.ceil(len(grid.images) / grid.columns)
        room = min(max(ROW // grid.columns, SMALLEST_PANEL), LARGEST_PANEL)
        fits = _text_width(grid.titles, SMALL) <= room
        self.titles = [title_lines(title, fits) for title in grid.titles]
        lines = max(map(len, self.titles))
        self.title_height = math.ceil(_pixels(lines * SMALL * LINE)) if any(grid.titles) else 0
        room = max(room, _text_width(chain.from_iterable(self.titles), SMALL))

        height, width = grid.images[0].shape
        self.enlargement = max(1, room // max(height, width))
        self.panel_width, self.panel_height = width * self.enlargement, height * self.enlargement
        self.column = max(self.panel_width, room) + GAP
        self.row = self.title_height + self.panel_height + GAP // 2
        self.width = self.column * grid.columns - GAP
        self.height = self.row * self.rows - GAP // 2

    def draw(self, figure: "Figure", left: int, bottom: int) -> None:
        width, height = figure.get_size_inches() * DPI
        indent = (self.column - GAP - self.panel_width) // 2
        for number, (image, (low, high)) in enumerate(zip(self.grid.images, self.grid.value_ranges, strict=True)):
            row, column = divmod(number, self.grid.columns)
            x = left + indent + column * self.column
            y = bottom + (self.rows - 1 - row) * self.row
            axes = figure.add_axes((x / width, y / height, self.panel_width / width, self.panel_height / height))
            # Enlarged by us, pixels stay crisp in all viewers of SVG and PDF, many of which smooth images.
            pixels = image.repeat(self.enlargement, axis=0).repeat(self.enlargement, axis=1)
            axes.imshow(pixels, self.grid.colormap, aspect="auto", interpolation="none", vmin=low, vmax=high)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(color="0.75", linewidth=72 / DPI)  # one pixel
            title = "\n".join(self.titles[number])
            axes.set_title(title, size=SMALL, pad=SMALL * 0.4, linespacing=1.1, parse_math=False)


def _smoothed(values: Array, window: int) -> tuple[Array, Array]:
    """Some iterations and the means around them, over as many values as there are near the ends."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), LARGEST_CURVE)).astype(int))
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    first, last = np.maximum(places - window // 2, 0), np.minimum(places + window // 2 + 1, len(values))
    return places + 1, (sums[last] - sums[first]) / (last - first)


def _square(images: int) -> int:
    return math.isqrt(images - 1) + 1


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _pixels(points: float) -> float:
    return points * DPI / 72


def _text_width(texts: Iterable[str], size: float) -> int:
    """Pixels that the longest of the texts takes."""
    from matplotlib.textpath import TextPath

    lengths = (TextPath((0, 0), text, size=size).get_extents().width for text in set(texts) if text)
    return math.ceil(_pixels(max(lengths, default=0)))
