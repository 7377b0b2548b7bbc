"""Tables: one function makes those of all commands."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import cast

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cnnmnist.cli.command import printable

Cell = str | Text
MANY = 200  # rows


class _Table(Table):
    """A table that draws many rows by itself, if they fit; rich takes a third of a millisecond for each."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [[cast(Text, cell) for cell in column.cells] for column in self.columns]
        widths = [max(cell_len(cell.plain) for cell in cells) if cells else 0 for cells in columns]
        headings = [cell_len(cast(Text, column.header).plain) for column in self.columns]
        widths = [max(pair) for pair in zip(widths, headings, strict=True)]
        plain = not any(
            cell.spans or "\n" in cell.plain or cell.plain != cell.plain.strip()
            for cells in columns
            for cell in cells
        )
        if self.row_count < MANY or not plain or sum(widths) + 3 * len(widths) + 1 > options.max_width:
            yield from super().__rich_console__(console, options)
            return
        head = copy(self)
        pairs = zip(self.columns, widths, strict=True)
        head.rows, head.columns = [], [replace(each, _cells=[], min_width=width) for each, width in pairs]
        *lines, bottom, end = super(_Table, head).__rich_console__(console, options)
        yield from lines
        for row in zip(*columns, strict=True):
            yield Segment(" ")
            for cell, column, width in zip(row, self.columns, widths, strict=True):
                space = " " * (width - cell_len(cell.plain))
                text = f" {space}{cell.plain}  " if column.justify == "right" else f" {cell.plain}{space}  "
                yield Segment(text, console.get_style(cell.style))
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
) -> Table:
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
    table = _Table(title=title or None, title_justify="left", box=box.SIMPLE, padding=padding)
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


def styled(text: str, style: str) -> Text:
    """A cell in a style, printable."""
    return Text(printable(text), style)


def _cell(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell))
