"""Figures: grids of images drawn with matplotlib, and files of figures.

The module uses matplotlib's object-oriented interface only: no window, no global state.
"""

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextPath

from cnnmnist.errors import SelectionError
from cnnmnist.files import replacing
from cnnmnist.visualization.fonts import font_families
from cnnmnist.visualization.grids import Array, ImageGrid, title_lines

# Without the time in its metadata, the same figure gives the same bytes.
UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

DPI = 150
MAX_SIDE, MAX_PIXELS = 2**16 - 1, 50_000_000  # matplotlib's limit of a side; 200 MB
SCREEN_DPI = 96  # of a notebook
SMALL, LARGE = 8, 11  # font sizes in points
LINE = 1.35  # height of a line as a multiple of its font size
COLOR_BAR, COLOR_BAR_TICKS = 28, 120  # widths in pixels


@dataclass(frozen=True)
class Layout:
    """Lengths in a figure, in pixels: each pixel of an image becomes a square of whole pixels."""

    dpi: int = DPI
    row: int = 1050
    """Width of all panels of a row; each panel shows an image."""
    smallest_panel: int = 84
    largest_panel: int = 560
    gap: int = 28
    margin: int = 36

    def pixels(self, points: float) -> float:
        """Convert a length from points to pixels."""
        return points * self.dpi / 72


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook displays if it is the last value of a cell.

    Raises:
        SelectionError: it would have more than 50 million pixels.
    """

    def __init__(self, figsize: tuple[float, float], dpi: int, **options: Any) -> None:
        width, height = (math.ceil(side * dpi) for side in figsize)
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise SelectionError(
                f"The figure would have {width:,}x{height:,} pixels: choose fewer images or runs, or shorter "
                "names."
            )
        super().__init__(figsize=figsize, dpi=dpi, **options)

    def draw(self, renderer: Any) -> None:
        """Draw the figure in fonts that have its letters."""
        texts = self.findobj(Text)
        families = font_families(text.get_text() for text in texts)
        for text in texts:
            text.set_fontfamily(families)
        super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return a PNG file, and the width in pixels at which text has its size, as IPython's protocol asks."""
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue(), {"width": round(SCREEN_DPI * self.get_figwidth())}


class Drawing:
    """A figure of a grid and of the grids beside it, which :meth:`show` can replace by grids of the same shapes.

    Args:
        grid: the first grid; its titles determine the space for all titles.
        layout: lengths in the figure.
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
            # Blocks with headings are aligned at the top, others in the middle.
            spare = (tallest - block.height) // (1 if block.grid.heading else 2)
            block.draw(self.figure, left, margin + spare)
            left += block.width + margin

    def show(self, grid: ImageGrid) -> None:
        """Replace all images and titles, but not headings and colour bars."""
        self._title.set_text(grid.title)
        for block, part in zip(self._blocks, grid.row(), strict=True):
            block.show(part)


def draw_grid(grid: ImageGrid) -> Figure:
    """Draw the images of a grid, and of the grids beside it, with their titles and colour bars."""
    return Drawing(grid).figure


def check_figure_path(path: Path, suffixes: Sequence[str] = tuple(UNDATED)) -> None:
    """Refuse a file name with the wrong suffix, before the figure is computed.

    Raises:
        SelectionError: the suffix is none of ``suffixes``.
    """
    if path.suffix.lower() not in suffixes:
        choice = ", ".join([*suffixes[:-2], " or ".join(suffixes[-2:])])
        raise SelectionError(f"Cannot write a figure as {path}: end its name in {choice}.")


def save_figure(figure: matplotlib.figure.Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF; the same figure gives the same bytes.

    Args:
        figure: any figure of matplotlib.
        path: the file, which ends in .png, .svg or .pdf; its folder is made, and a file of that name is replaced.

    Raises:
        SelectionError: the suffix is not one of these.
        WriteError: the file cannot be written.
    """
    path = Path(path)
    check_figure_path(path)
    suffix = path.suffix.lower()
    # Without a salt, matplotlib puts random identifiers into an SVG file.
    with replacing(path, make_folder=True) as temporary, matplotlib.rc_context({"svg.hashsalt": "cnnmnist"}):
        figure.savefig(temporary, format=suffix[1:], metadata=UNDATED[suffix])


def style_axes(axes: Any) -> None:
    """Give a chart pale lines behind its curves, small labels, and axes on two sides only."""
    axes.xaxis.label.set_size(SMALL)
    axes.yaxis.label.set_size(SMALL)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def text_width(texts: Iterable[str], size: float, dpi: int = DPI) -> int:
    """Compute the width of the longest text in pixels, at a font size in points."""
    texts = {text for text in texts if text}
    font = FontProperties(family=font_families(texts))
    lengths = (TextPath((0, 0), text, size=size, prop=font).get_extents().width for text in texts)
    return math.ceil(max(lengths, default=0) * dpi / 72)


class _Block:
    """The panels, titles and colour bar of a grid, and their sizes in pixels."""

    def __init__(self, grid: ImageGrid, layout: Layout) -> None:
        self.grid, self.layout, self.panels = grid, layout, list[Any]()
        self.rows = math.ceil(len(grid.images) / grid.columns)
        room = min(max(layout.row // grid.columns, layout.smallest_panel), layout.largest_panel)
        self.titles_fit = text_width(grid.titles, SMALL, layout.dpi) <= room
        titles = [title_lines(title, self.titles_fit) for title in grid.titles]
        lines = max(map(len, titles)) if any(grid.titles) else 0
        self.title_height = math.ceil(layout.pixels(lines * SMALL * LINE))
        self.heading_height = math.ceil(layout.pixels(SMALL * LINE)) + layout.gap // 2 if grid.heading else 0
        room = max(room, text_width((line for title in titles for line in title), SMALL, layout.dpi))

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
        # Many viewers of SVG and PDF smooth images; large pixels stay sharp.
        return image.repeat(self.enlargement, axis=0).repeat(self.enlargement, axis=1)
