"""Tables of the terminal, and that nothing raw reaches it."""

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from cnnmnist.cli import tables
from cnnmnist.cli.command import printable
from cnnmnist.cli.tables import make_table, styled
from cnnmnist.cli.terminal import Terminal

RAW = [
    *("\x1b[31m", "\x07", "\x9b", "\r", "\x7f"),  # controls
    *("\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\ufeff", "\u00ad", "\U000e0041"),  # format characters
    *("\u2028", "\u2029", "\ud800", "\udcff", "\ue000"),  # separators, surrogates, private use
]


def printed(*objects: object, **options: object) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        Terminal().out.print(*objects, **options)
    return out.getvalue()


@pytest.mark.parametrize("raw", RAW)
def test_nothing_raw_is_printed_wherever_it_stands(raw: str) -> None:
    text = f"a{raw}b"
    for shown in (
        text,
        Text(text),
        Panel(Text(text), title=text),
        Group(text, Padding(Text(text))),
        make_table([text], [[text], [styled(text, "red")], [Text(text)]], title=text, total=[text]),
    ):
        found = printed(shown)
        assert set(filter(str.isprintable, found)) >= set("ab")
        assert all(each.isprintable() or each == "\n" for each in found), ascii(found)


@given(st.text())
def test_what_is_printable_stays_and_everything_else_is_shown_as_an_escape(text: str) -> None:
    shown = printable(text)
    assert all(each.isprintable() or each == "\n" for each in shown)
    if all(each.isprintable() or each == "\n" for each in text):
        assert shown == text


cells = st.text("ab \u65e5\u00e4-", max_size=6) | st.builds(
    styled, st.text("xy", max_size=4), st.sampled_from(["", "red"])
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8),
    st.integers(0, 3),
    st.sampled_from(["", "A title"]),
    st.integers(10, 60),
    st.booleans(),
)
def test_many_rows_look_as_rich_draws_them(
    rows: list[tuple[tables.Cell, ...]], left: int, title: str, width: int, compact: bool
) -> None:
    def drawn(many: int) -> list[str]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tables, "MANY", many)
            text = printed(
                make_table(["one", "two", "three"], rows, left=left, title=title, compact=compact),
                width=width,
                soft_wrap=False,
            )
        return [line.rstrip() for line in text.splitlines()]

    assert drawn(many=1) == drawn(many=100)


@pytest.mark.parametrize("width", [5, 20, 40, 60, 80, 300])
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("rows", [3, tables.MANY + 1])
def test_no_number_is_shortened_at_any_width(
    monkeypatch: pytest.MonkeyPatch, width: int, compact: bool, rows: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"a class with a long name {number}" for number in range(rows)]
    numbers = [[str(10_000_000 * (column + 1) + row) for column in range(6)] for row in range(rows)]
    cells = [[name, *row] for name, row in zip(names, numbers, strict=True)]
    headings = ["class", *(f"a long heading of column {column}" for column in range(6))]
    shown = printed(make_table(headings, cells, title="A title", total=cells[0], compact=compact))
    words = shown.split()
    for row in numbers:
        assert set(row) <= set(words)
    if width == 300:
        assert all(name in shown for name in names)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_that_fits_with_shorter_headings_or_folded_names_keeps_to_the_width(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table = make_table(["name", "a long heading", "another long heading"], [["n" * 50, "12.5%", "1,000"]] * 2)
    assert all(len(line) <= width for line in printed(table).splitlines())


def test_headings_are_shortened_before_names_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    row = ["20261126-000000-tutorial", "tutorial", "mnist5k", "10,000", "98.50%", "0:01:23", "finished"]
    shown = printed(make_table([f"{cell} of a run" for cell in row], [row], left=3, compact=True)).splitlines()
    assert shown[-2].split() == row
    assert max(map(len, shown)) <= 80
