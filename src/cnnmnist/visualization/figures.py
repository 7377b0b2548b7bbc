"""Figures: drawing grids of images with matplotlib, and writing figures to files.

Only matplotlib's object-oriented interface is used: no window, no global state.
"""

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
from matplotlib.textpath import TextPath

from cnnmnist.errors import SelectionError
from cnnmnist.files import replacing
from cnnmnist.visualization.grids import Array, ImageGrid, title_lines

# Metadata that would make the bytes of a file depend on the time at which it was written.
UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

DPI = 150
SCREEN_DPI = 96  # of a notebook's page
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


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook displays as the last value of a cell, although it belongs to no window."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """IPython's protocol: a PNG file, and the width in pixels at which text has its size."""
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue(), {"width": round(SCREEN_DPI * self.get_figwidth())}


class Drawing:
    """A figure of a grid and of those beside it, in which others of the same shapes can take their place.

    Args:
        grid: what is shown at first; it determines how much room there is for titles.
        layout: how large everything is.
    """

    def __init__(self, grid: ImageGrid, layout: Layout | None = None) -> None:
        layout = layout or Layout()
        self._blocks = blocks = [_Block(each, layout) for each in grid.row()]
        margin, dpi = layout.margin, layout.dpi
        heading = layout.pixels(LARGE * LINE) * 1.5 if grid.title else 0
        content = sum(block.width for block in blocks) + margin * (len(blocks) - 1)
        width = max(content, text_width([grid.title], LARGE, dpi)) + 2 * margin
        tallest = max(block.height for block in blocks)
        height = math.ceil(tallest + heading) + 2 * margin
        self.figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
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


def draw_grid(grid: ImageGrid) -> Figure:
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


def save_figure(figure: matplotlib.figure.Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by suffix; the same figure gives the same bytes.

    Args:
        figure: any of matplotlib's.
        path: the file; its folder is made, and a file of that name replaced.

    Raises:
        SelectionError: the suffix is not that of a known format.
        WriteError: the file cannot be written.
    """
    path = Path(path)
    check_figure_path(path)
    suffix = path.suffix.lower()
    # Without a salt of ours, the identifiers within an SVG file are random.
    with replacing(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "cnnmnist"}):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, format=suffix[1:], metadata=UNDATED[suffix])


def text_width(texts: Iterable[str], size: float, dpi: int = DPI) -> int:
    """Pixels that the longest of the texts takes."""
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

    def draw(self, figure: matplotlib.figure.Figure, left: int, bottom: int) -> None:
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
