"""Diagrams of networks: stacks of feature maps, then columns of units, as in textbooks."""

import itertools
import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cnnmnist.config import ModelConfig
from cnnmnist.layers import Layer, list_layers
from cnnmnist.visualization.figures import DPI, LARGE, SMALL, Figure
from cnnmnist.visualization.grids import Array

Point = tuple[float, float]

# Lengths and coordinates are in inches; (0, 0) is the middle of the diagram's left side.
LARGEST_MAP, SMALLEST_MAP = 1.4, 0.09  # about the longer side of the image; the least side of a map
BEHIND = (0.026, 0.017)  # offset of a map from the map in front of it
UNIT = (0.1, 0.05)  # width and height
GAP, WORD_GAP = 0.45, 0.14  # between stages; between the words below them
CHARACTER, LINE = 0.071, 0.165  # width and height in these words
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


def draw_network(
    config: ModelConfig,
    image_shape: tuple[int, int] = (28, 28),
    classes: int = 10,
    *,
    title: str = "",
    image: Array | None = None,
) -> Figure:
    """Draw a network from left to right.

    The sides of a map are in proportion to its pixels. The diagram shows all maps or units of a layer with up to
    16, and 4 log2(n) of a layer with n. A small rectangle marks the pixels from which the next layer computes a
    value.

    Args:
        config: the recipe's description of the network.
        image_shape: height and width in pixels.
        classes: number of logits.
        title: title of the figure.
        image: uint8 (height, width), an example of the input.
    """
    stages = _stages(list_layers(config, image_shape, classes), image_shape)
    right = max(stage.middle + max(stage.size[0], stage.text_width) / 2 for stage in stages)
    beside = MARGIN + max(0, len(title) * CHARACTER * LARGE / SMALL - right) / 2
    tallest = max(stage.size[1] for stage in stages) / 2
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
        (x, y), (width, height) = stages[0].corner, stages[0].face
        side = round(stages[0].scale * DPI)
        pixels = image.repeat(side, axis=0).repeat(side, axis=1)  # sharp in viewers that smooth images, too
        extent = (x, x + width, y, y + height)
        axes.imshow(pixels, "binary", vmin=0, vmax=255, aspect="auto", interpolation="none", extent=extent)
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
    """Inches per pixel."""
    words: list[str]
    """Lines of text below the stage."""
    window: tuple[int, int] = (0, 0)
    """Height and width, in pixels of the stage before, of the window from which the layer computes a value."""
    middle: float = 0.0

    @property
    def drawn(self) -> int:
        """Number of maps or units that the diagram shows."""
        return self.shape[-1] if self.shape[-1] <= 16 else round(4 * math.log2(self.shape[-1]))

    @property
    def face(self) -> Point:
        """Width and height of a map, or of the column."""
        if len(self.shape) == 1:
            return UNIT[0], UNIT[1] * self.drawn
        height, width, _ = self.shape
        return max(width * self.scale, SMALLEST_MAP), max(height * self.scale, SMALLEST_MAP)

    @property
    def size(self) -> Point:
        """Width and height of all maps, or of the column."""
        behind = self.drawn - 1 if len(self.shape) > 1 else 0
        return self.face[0] + BEHIND[0] * behind, self.face[1] + BEHIND[1] * behind

    @property
    def text_width(self) -> float:
        """Width of the words below."""
        return CHARACTER * max(map(len, self.words))

    @property
    def corner(self) -> Point:
        """Lower left corner of the first map, or of the column."""
        return self.middle - self.size[0] / 2, -self.size[1] / 2


def _stages(layers: list[Layer], image_shape: tuple[int, int]) -> list[_Stage]:
    """Make a stage of the image and of each layer; activations and dropout are words below the stage before."""
    scale = round(LARGEST_MAP * DPI / max(image_shape)) / DPI  # a pixel of the image is some whole pixels
    shape = (*image_shape, 1)
    stages = [_Stage("InputLayer", shape, scale, ["image", _by(shape)])]
    for layer in layers:
        kind, words, window = layer.kind, [layer.name, _by(layer.output_shape)], (layer.window, layer.window)
        if kind == "Activation":
            stages[-1].words.append(layer.function.replace("relu", "ReLU"))
            continue
        if kind == "Dropout":
            stages[-1].words.append(f"dropout {layer.rate:.0%}")
            continue
        if kind == "Conv2D":
            words += ["convolution", _by(window) + (f", stride {layer.stride}" if layer.stride > 1 else "")]
        elif kind.endswith("Pooling2D"):
            words += [f"{kind.removesuffix('Pooling2D').lower()} pooling", _by(window)]
        elif kind == "Dense":
            words.append("dense")
        stages.append(_Stage(kind, layer.output_shape, scale, words, window))
    stages[0].middle = max(stages[0].size[0], stages[0].text_width) / 2
    for before, after in itertools.pairwise(stages):
        pictures, texts = before.size[0] + after.size[0], before.text_width + after.text_width
        after.middle = before.middle + max(pictures / 2 + GAP, texts / 2 + WORD_GAP)
    return stages


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(f"{number:,}" for number in numbers)


def _draw(axes: Axes, stage: _Stage) -> None:
    """Draw the last map first, so that the first one is in front."""
    step, size = (BEHIND, stage.face) if len(stage.shape) > 1 else ((0, UNIT[1]), UNIT)
    face, edge = COLORS.get(stage.kind, GRAY)
    for number in reversed(range(stage.drawn)):
        corner = stage.corner[0] + number * step[0], stage.corner[1] + number * step[1]
        axes.add_patch(Rectangle(corner, *size, facecolor=face, edgecolor=edge, linewidth=LINE_WIDTH))


def _connect(axes: Axes, before: _Stage, after: _Stage) -> None:
    """Draw lines from a window to a map, or the outermost lines from all maps or units to a column."""
    (x, y), (left, low) = before.corner, after.corner
    if len(after.shape) > 1:
        rows, columns = after.window
        width, height = min(columns * before.scale, before.face[0]), min(rows * before.scale, before.face[1])
        x += 0.8 * (before.face[0] - width)
        y += 0.3 * (before.face[1] - height)
        window = Rectangle(
            (x, y), width, height, facecolor="none", edgecolor=LINES, linewidth=LINE_WIDTH, zorder=2
        )
        axes.add_patch(window)
        end = left + 0.4 * after.face[0], low + 0.4 * after.face[1]
        lines = [((x + width, y), end), ((x + width, y + height), end)]
    else:
        above, below = (x + before.size[0], y + before.size[1]), (x + before.face[0], y)
        lines = [(above, (left, low + after.size[1])), (below, (left, low))]
        if after.kind == "Dense":
            lines += [(above, (left, low)), (below, (left, low + after.size[1]))]
    for start, end in lines:
        axes.plot(*zip(start, end, strict=True), color=LINES, linewidth=LINE_WIDTH, zorder=2)
