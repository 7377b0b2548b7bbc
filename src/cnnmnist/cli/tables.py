"""Tables: one function makes those of all commands."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from cnnmnist.cli.command import printable

Cell = str | Text


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
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE, padding=padding)
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
