"""An :class:`~cnnmnist.visualization.grids.ImageGrid` in the terminal, two pixels in each character."""

import functools
import math
from itertools import chain, zip_longest

import matplotlib
import numpy as np
from matplotlib.colors import Normalize
from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style

from cnnmnist.visualization.grids import Array, ImageGrid, title_lines

UPPER_HALF = "▀"
SHADES = np.array(list(" .:-=+*#%@"))
GAP = 2  # characters between images
ENLARGED = 15  # smaller images are enlarged up to so many characters, as far as the columns still fit
COLOR_BAR = 24  # characters

Line = list[Segment]
RGB = tuple[int, int, int]


def preview(grid: ImageGrid, width: int, color: bool) -> Segments:
    """Draw a grid with the colours of its figure or, where there are none, in shades of characters.

    No line is longer than `width` characters: if need be there are fewer columns, then smaller images.
    """
    first, *others = (_block(each, width, color) for each in grid.row())
    lines = functools.reduce(lambda left, right: _beside(left, right, width), others, first)
    if grid.title:
        lines.insert(0, [Segment(grid.title, Style(bold=True))])
    cropped = (Segment.adjust_line_length(line, width, pad=False) for line in lines)
    return Segments(chain.from_iterable([*Segment.simplify(line), Segment.line()] for line in cropped))


def _block(grid: ImageGrid, width: int, color: bool) -> list[Line]:
    """A grid below its heading and above its colour bar."""
    lines = [[Segment(grid.heading)]] if grid.heading else []
    lines += _draw(grid, width, color)
    if grid.scale:
        low, high = grid.value_ranges[0]
        (bar,) = _paint(np.tile(np.linspace(0, 1, COLOR_BAR), (2, 1)), grid.colormap, color)
        lines.append([Segment(f"{grid.scale} {low:.3g} "), *bar, Segment(f" {high:.3g}")])
    return lines


def _draw(grid: ImageGrid, width: int, color: bool) -> list[Line]:
    """The lines of all images with their titles above them, and an empty line after each row of images."""
    images = [
        _resize(np.asarray(Normalize(*ends, clip=True)(image), np.float64), width, grid.columns)
        for image, ends in zip(grid.images, grid.value_ranges, strict=True)
    ]
    cell = images[0].shape[1]
    fits = all(cell_len(title) <= cell for title in grid.titles)
    titles = [title_lines(title, fits) for title in grid.titles]
    cell = min(width, max(cell, *(cell_len(line) for line in chain.from_iterable(titles))))
    columns = min(grid.columns, (width + GAP) // (cell + GAP))

    lines: list[Line] = []
    for first in range(0, len(images), columns):
        row = slice(first, first + columns)
        if any(grid.titles):
            texts = zip_longest(*titles[row], fillvalue="")
            lines += [_join([[Segment(text)] for text in each], cell) for each in texts]
        painted = [_paint(image, grid.colormap, color) for image in images[row]]
        lines += [_join(list(parts), cell) for parts in zip(*painted, strict=True)]
        lines.append([])
    return lines


def _beside(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Two drawings side by side if there is room for it, otherwise one below the other."""
    indent = max(map(Segment.get_line_length, left)) + 2 * GAP
    if indent + max(map(Segment.get_line_length, right)) > width:
        return left + right
    nothing: Line = []
    pairs = zip_longest(left, right, fillvalue=nothing)
    return [Segment.adjust_line_length(one, indent) + other for one, other in pairs]


def _resize(image: Array, width: int, columns: int) -> Array:
    """Enlarge a small image by a whole factor; average one that is too wide over squares of pixels."""
    side = math.ceil(image.shape[1] / width)
    if side > 1:
        padded = np.pad(image, [(0, -length % side) for length in image.shape], mode="edge")
        rows, pixels = padded.shape
        shrunk: Array = padded.reshape(rows // side, side, pixels // side, side).mean(axis=(1, 3))
        return shrunk
    cell = min(ENLARGED, (width + GAP) // columns - GAP)
    factor = max(1, cell // max(image.shape))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _paint(image: Array, colormap: str, color: bool) -> list[Line]:
    """Two rows of pixels on each line: foreground and background in colours, their mean in shades."""
    if not color:
        padded = np.pad(image, [(0, len(image) % 2), (0, 0)], mode="edge")
        means = padded.reshape(-1, 2, image.shape[1]).mean(axis=1)
        shades = SHADES[np.rint(means * (len(SHADES) - 1)).astype(int)]
        return [[Segment("".join(row))] for row in shades]
    pixels = matplotlib.colormaps[colormap](image, bytes=True)[..., :3].tolist()
    rows: list[list[RGB]] = [[(red, green, blue) for red, green, blue in row] for row in pixels]
    return [
        [Segment(UPPER_HALF, _style(*pair)) for pair in zip_longest(upper, lower)]
        for upper, lower in zip_longest(rows[::2], rows[1::2], fillvalue=list[RGB]())
    ]


@functools.lru_cache(maxsize=4096)
def _style(upper: RGB, lower: RGB | None) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower) if lower else None)


def _join(parts: list[Line], cell: int) -> Line:
    """The parts of one line, each in the middle of `cell` characters."""
    line: Line = []
    for part in parts:
        before = max(0, cell - Segment.get_line_length(part)) // 2
        line += Segment.adjust_line_length([Segment(" " * before), *part], cell)
        line.append(Segment(" " * GAP))
    return line[:-1]
