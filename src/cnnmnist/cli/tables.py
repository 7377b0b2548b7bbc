"""Tables: one function makes those of all commands."""

import json
import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, cast

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cnnmnist.cli.command import printable

Cell = str | Text
MANY = 200  # rows
LONGEST_LIST = 8  # values
FOLDED, SHORTENED = 8, 4  # characters of a name on a line, and of a heading, at least


class NumberTable(Table):
    """A table that shortens no number, and draws many rows by itself: rich takes 0.3 ms for each."""

    def full_width(self, least: bool = False) -> int:
        """The width in characters or, with ``least``, that with shortened headings and folded names."""
        return sum(self._widths(0 if least else math.inf)) + self._space()

    def _widths(self, room: float) -> list[int]:
        """The widths of the columns in so much room: headings are shortened before names are folded."""
        widths, shortened, folded = [], [], []
        for column in self.columns:
            cells = max((cell_len(cast(Text, cell).plain) for cell in column.cells), default=0)
            widths.append(max(cells, cell_len(cast(Text, column.header).plain)))
            shortened.append(max(cells, min(widths[-1], SHORTENED)))
            folded.append(shortened[-1] if column.no_wrap else min(widths[-1], FOLDED))
        for least in (shortened, folded):
            while sum(widths) > max(room, sum(least)):
                widths[max(range(len(widths)), key=lambda i: widths[i] if widths[i] > least[i] else -1)] -= 1
        return widths

    def _space(self) -> int:
        """The width of the space around and between the columns."""
        return len(self.columns) * (1 + self.padding[1] + self.padding[3]) + self.pad_edge

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [[cast(Text, cell) for cell in column.cells] for column in self.columns]
        widths = self._widths(options.max_width - self._space())
        options = options.update(max_width=max(options.max_width, sum(widths) + self._space()))
        fitted = copy(self)
        fitted.columns = [replace(each, width=width) for each, width in zip(self.columns, widths, strict=True)]
        plain = not any(
            cell.spans or "\n" in cell.plain or cell.plain != cell.plain.strip() or cell_len(cell.plain) > width
            for cells, width in zip(columns, widths, strict=True)
            for cell in cells
        )
        if self.row_count < MANY or not plain:
            yield from super(NumberTable, fitted).__rich_console__(console, options)
            return
        fitted.rows, fitted.columns = [], [replace(each, _cells=[]) for each in fitted.columns]
        *lines, bottom, end = super(NumberTable, fitted).__rich_console__(console, options)
        yield from lines
        before, after = " " * self.padding[3], " " * (1 + self.padding[1])
        for row in zip(*columns, strict=True):
            yield Segment(" " * self.pad_edge)
            for cell, column, width in zip(row, self.columns, widths, strict=True):
                space = " " * (width - cell_len(cell.plain))
                text = f"{space}{cell.plain}" if column.justify == "right" else f"{cell.plain}{space}"
                yield Segment(before + text + after, console.get_style(cell.style))
            yield Segment.line()
        yield from (bottom, end)


def make_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    title: str = "",
    total: Sequence[Cell] | None = None,
    left: int = 1,
    compact: bool = False,
) -> NumberTable:
    """A table whose cells are printable.

    Args:
        columns: their headings.
        rows: the cells of each row.
        title: of the table.
        total: the cells of a last row, below a line.
        left: how many of the first columns are aligned left and folded where they are too wide; the others are
            aligned right.
        compact: whether columns stand closer.
    """
    padding = (0, 0, 0, 1) if compact else (0, 1)
    table = NumberTable(
        title=title or None, title_justify="left", box=box.SIMPLE, padding=padding, pad_edge=not compact
    )
    for number, column in enumerate(columns):
        if number < left:
            table.add_column(_cell(column), overflow="fold")
        else:
            table.add_column(_cell(column), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    if total:
        table.add_section()
        table.add_row(*map(_cell, total), style="bold")
    return table


def value_text(value: Any) -> str:
    """A value of a recipe or a run as a cell shows it."""
    if value is None:
        return "-"
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return f"{len(value)} from {value[0]} to {value[-1]}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list) else str(value)


def styled(text: str, style: str) -> Text:
    """A cell in a style, printable."""
    return Text(printable(text), style)


def _cell(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell))
