"""The architecture of a network as textbooks draw it: stacks of feature maps, then columns of units."""

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cnnmnist.visualization.figures import DPI, LARGE, SMALL, Figure
from cnnmnist.visualization.grids import Array

if TYPE_CHECKING:
    from cnnmnist.runtime import keras

Point = tuple[float, float]

# Lengths are inches, and so are the diagram's coordinates; (0, 0) is in the middle of its left side.
LARGEST_MAP, SMALLEST_MAP = 1.4, 0.09  # about the longer side of the image; at least the shorter one of any map
BEHIND = (0.026, 0.017)  # from a map to the one behind it
UNIT = (0.1, 0.05)  # width and height
GAP, WORD_GAP = 0.45, 0.14  # between pictures; between the words below them
CHARACTER, LINE = 0.071, 0.165  # width and height of the words'
MARGIN = 0.3
LINES, LINE_WIDTH = "0.35", 0.6  # colour, points

GRAY = ("none", "#777777")  # face and edge
ORANGE = ("#fbe3c8", "#b8732a")
COLORS = {
    "Conv2D": ("#cfe0f3", "#3a6ea5"),
    "MaxPooling2D": ORANGE,
    "AveragePooling2D": ORANGE,
    "Dense": ("#d6ebd3", "#468746"),
}


def draw_network(model: "keras.Model", title: str = "", image: Array | None = None) -> Figure:
    """Draw a network from left to right.

    The sides of the maps are in proportion to their pixels. Up to 16 maps or units are all drawn; of more, as many
    as four times the binary logarithm of their number. A small frame marks the
    pixels that a value of the next maps is computed from.

    Args:
        model: as :func:`cnnmnist.model.build_model` returns it.
        title: of the figure.
        image: uint8 (height, width), an example of the input.
    """
    stages = _stages(model)
    _place(stages)
    right = max(stage.middle + max(stage.width, stage.room) / 2 for stage in stages)
    beside = MARGIN + max(0, len(title) * CHARACTER * LARGE / SMALL - right) / 2
    tallest = max(stage.height for stage in stages) / 2
    top = tallest + (2 * LINE if title else 0) + MARGIN
    bottom = -tallest - LINE * max(len(stage.words) for stage in stages) - MARGIN
    figure = Figure(figsize=(right + 2 * beside, top - bottom), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-beside, right + beside), ylim=(bottom, top))
    axes.axis("off")
    axes.text(right / 2, top - MARGIN, title, size=LARGE, ha="center", va="top", parse_math=False)
    for stage in stages:
        _draw(axes, stage)
        for number, words in enumerate(stage.words, 1):
            y, color = -tallest - LINE * number, "0" if number == 1 else "0.4"
            axes.text(stage.middle, y, words, size=SMALL, ha="center", va="top", color=color)
    if image is not None:
        _show(axes, stages[0], image)
    for before, after in itertools.pairwise(stages):
        _connect(axes, before, after)
    return figure


@dataclass
class _Stage:
    """The output of a layer: maps of one shape, or a column of units."""

    kind: str
    """Keras' class of the layer."""
    shape: tuple[int, ...]
    """(height, width, maps), or (units,)."""
    scale: float
    """Inches for a pixel."""
    words: list[str]
    window: tuple[int, int] = (0, 0)
    """Height and width in pixels of the part of the maps before that a value is computed from."""
    middle: float = 0.0

    @property
    def drawn(self) -> int:
        """How many maps or units are."""
        return self.shape[-1] if self.shape[-1] <= 16 else round(4 * math.log2(self.shape[-1]))

    @property
    def face(self) -> Point:
        """Width and height of a map, or of the column."""
        if len(self.shape) == 1:
            return UNIT[0], UNIT[1] * self.drawn
        height, width, _ = self.shape
        return max(width * self.scale, SMALLEST_MAP), max(height * self.scale, SMALLEST_MAP)

    @property
    def depth(self) -> Point:
        """How far the last map is to the right of the first one, which is in front, and above it."""
        behind = self.drawn - 1 if len(self.shape) > 1 else 0
        return BEHIND[0] * behind, BEHIND[1] * behind

    @property
    def width(self) -> float:
        """Of the picture."""
        return self.face[0] + self.depth[0]

    @property
    def height(self) -> float:
        """Of the picture."""
        return self.face[1] + self.depth[1]

    @property
    def room(self) -> float:
        """Width of the words below."""
        return CHARACTER * max(map(len, self.words))

    @property
    def corner(self) -> Point:
        """Where the first map, or the column, begins, on its lower left."""
        return self.middle - self.width / 2, -self.height / 2


def _stages(model: "keras.Model") -> list[_Stage]:
    """The image and each layer; those that change each value by itself are words below what they change."""
    shape = model.input_shape[1:]
    scale = round(LARGEST_MAP * DPI / max(shape)) / DPI  # a pixel of the image is some whole pixels
    stages = [_Stage("InputLayer", shape, scale, ["image", _by(shape)])]
    for layer in model.layers:
        kind, shape = type(layer).__name__, layer.output.shape[1:]
        if kind == "Activation":
            name = layer.activation.__name__
            stages[-1].words.append("ReLU" if name == "relu" else name)
        elif kind == "Dropout":
            stages[-1].words.append(f"dropout {layer.rate:.0%}")
        else:
            words, window = _operation(kind, layer)
            stages.append(_Stage(kind, shape, scale, [layer.name, _by(shape), *words], window))
    return stages


def _operation(kind: str, layer: "keras.Layer") -> tuple[list[str], tuple[int, int]]:
    """Words for what a layer does, and its window."""
    if kind == "Conv2D":
        stride = f", stride {layer.strides[0]}" if layer.strides[0] > 1 else ""
        return ["convolution", _by(layer.kernel_size) + stride], layer.kernel_size
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        return [f"{'max' if kind[0] == 'M' else 'average'} pooling", _by(layer.pool_size)], layer.pool_size
    return ["dense"] if kind == "Dense" else [], (0, 0)


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(f"{number:,}" for number in numbers)


def _place(stages: list[_Stage]) -> None:
    first = stages[0]
    first.middle = max(first.width, first.room) / 2
    for before, after in itertools.pairwise(stages):
        pictures, words = before.width + after.width, before.room + after.room
        after.middle = before.middle + max(pictures / 2 + GAP, words / 2 + WORD_GAP)


def _draw(axes: Axes, stage: _Stage) -> None:
    """The last map first, so that the first one is in front."""
    step, size = (BEHIND, stage.face) if len(stage.shape) > 1 else ((0, UNIT[1]), UNIT)
    face, edge = COLORS.get(stage.kind, GRAY)
    for number in reversed(range(stage.drawn)):
        corner = stage.corner[0] + number * step[0], stage.corner[1] + number * step[1]
        axes.add_patch(Rectangle(corner, *size, facecolor=face, edgecolor=edge, linewidth=LINE_WIDTH))


def _show(axes: Axes, stage: _Stage, image: Array) -> None:
    (x, y), (width, height) = stage.corner, stage.face
    side = round(stage.scale * DPI)  # enlarged by us, pixels stay crisp in all viewers
    pixels = image.repeat(side, axis=0).repeat(side, axis=1)
    style: dict[str, Any] = {"cmap": "binary", "vmin": 0, "vmax": 255, "interpolation": "none"}
    axes.imshow(pixels, extent=(x, x + width, y, y + height), aspect="auto", **style)


def _connect(axes: Axes, before: _Stage, after: _Stage) -> None:
    """Lines from a window to what it becomes, or the outermost of all that lead to a column."""
    if len(after.shape) > 1:
        _frame_window(axes, before, after)
        return
    x, y = before.corner
    above, below = (x + before.width, y + before.height), (x + before.face[0], y)
    left, low = after.corner
    lines = [(above, (left, low + after.height)), (below, (left, low))]
    if after.kind == "Dense":
        lines += [(above, (left, low)), (below, (left, low + after.height))]
    for start, end in lines:
        _line(axes, start, end)


def _frame_window(axes: Axes, before: _Stage, after: _Stage) -> None:
    rows, columns = after.window
    width, height = min(columns * before.scale, before.face[0]), min(rows * before.scale, before.face[1])
    x = before.corner[0] + 0.8 * (before.face[0] - width)
    y = before.corner[1] + 0.3 * (before.face[1] - height)
    window = Rectangle((x, y), width, height, facecolor="none", edgecolor=LINES, linewidth=LINE_WIDTH, zorder=2)
    axes.add_patch(window)
    end = after.corner[0] + 0.4 * after.face[0], after.corner[1] + 0.4 * after.face[1]
    for start in ((x + width, y), (x + width, y + height)):
        _line(axes, start, end)


def _line(axes: Axes, start: Point, end: Point) -> None:
    axes.plot(*zip(start, end, strict=True), color=LINES, linewidth=LINE_WIDTH, zorder=2)
