"""``cnnmnist predict``."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

import cnnmnist
from cnnmnist.cli.command import Command, show_error
from cnnmnist.cli.options import json_option, run_option, runs_dir_option
from cnnmnist.cli.terminal import Terminal, choose_run
from cnnmnist.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnmnist.data.pictures import Picture
    from cnnmnist.reading import Digit

DOUBT = "?"
SMALL = 72  # characters of the longer side of a picture in the terminal
BAR = 30  # characters for a probability of 1


def _probability(ctx: click.Context, param: click.Parameter, value: str) -> float:
    text = value.strip()
    with contextlib.suppress(ValueError):
        fraction = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if 0 <= fraction <= 1:
            return fraction
    raise click.BadParameter(f"{text!r} is not a probability: write 90% or 0.9.")


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@run_option
@click.option(
    "--top",
    type=click.IntRange(1),
    default=1,
    metavar="K",
    help="Number of answers to print for each digit, the most probable first.",
)
@click.option(
    "--at-least",
    callback=_probability,
    default="0",
    show_default="always answer",
    metavar="P",
    help="Answer ? where the probability is smaller, as 90% or 0.9.",
)
@click.option(
    "--show",
    is_flag=True,
    help="Draw in the terminal the picture with a box around each digit, the images that the network gets, and "
    "all probabilities.",
)
@runs_dir_option
@json_option
def command(
    images: tuple[Path, ...],
    run_name: str | None,
    top: int,
    at_least: float,
    show: bool,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Read the digits in pictures: PNG, JPEG, BMP, TIFF, WebP, GIF or PNM files, or - for standard input.

    A question mark behind an answer means that the answer may well be wrong.

    \b
    cnnmnist predict seven.png
    cnnmnist predict --show --top 3 photographs/*.jpg
    cnnmnist predict --at-least 90% seven.png
    cnnmnist predict --run 20260723-120000-tutorial --json - < seven.png
    """
    terminal = Terminal(as_json)
    run = choose_run(run_name, runs_dir, terminal)
    pictures = list(_read_files(images))
    documents: list[dict[str, Any]] = []
    if pictures:
        network = run.load_network()
        terminal.warn_about(run)

        from cnnmnist.reading import read_digits

        dataset = run.metadata.dataset
        for path, picture in pictures:
            try:
                lines = read_digits(picture.pixels, network, dataset, name=str(path))
            except PictureError as error:
                show_error(error)
                continue
            reading = _Reading(path, picture, lines, dataset.class_names, at_least)
            documents.append(reading.document())
            _print(reading, top, terminal)
            if show:
                _show(reading, terminal)
    terminal.result(documents)
    if len(documents) < len(images):
        raise SystemExit(1)


def _read_files(paths: tuple[Path, ...]) -> "Iterator[tuple[Path, Picture]]":
    """Every picture that can be read; for the others, an error on standard error."""
    from cnnmnist.data.pictures import read_picture  # imports Pillow

    for path in paths:
        try:
            yield path, read_picture(path)
        except PictureError as error:
            show_error(error)


@dataclass(frozen=True)
class _Reading:
    """The digits in a picture as the network read them."""

    path: Path
    picture: "Picture"
    lines: "list[list[Digit]]"
    names: tuple[str, ...]
    """Of the classes."""
    at_least: float
    """Probability below which nothing is answered."""

    @property
    def digits(self) -> "list[Digit]":
        return [digit for line in self.lines for digit in line]

    def document(self) -> dict[str, Any]:
        digits = [
            {
                "label": digit.label,
                "name": self.names[digit.label],
                "probability": float(digit.probabilities.max()),
                "probabilities": digit.probabilities.tolist(),
                "doubtful": digit.doubtful,
                "answered": self.answers(digit),
                "box": [round(part * side) for part, side in zip(digit.box, self.picture.size * 2, strict=True)],
            }
            for digit in self.digits
        ]
        return {"file": str(self.path), "text": "\n".join(self.texts()), "digits": digits}

    def answers(self, digit: "Digit") -> bool:
        """Whether the digit is probable enough for an answer."""
        return float(digit.probabilities.max()) >= self.at_least

    def texts(self, mark: str = "") -> list[str]:
        """The answers of each line; spaces separate names, unless each has a single character."""
        separator = "" if all(len(name) == 1 for name in self.names) else " "

        def text(digit: "Digit") -> str:
            return self.names[digit.label] + mark * digit.doubtful if self.answers(digit) else DOUBT

        return [separator.join(map(text, line)) for line in self.lines]


def _print(reading: _Reading, top: int, terminal: Terminal) -> None:
    several = len(reading.digits) > 1
    first, *others = reading.texts(DOUBT)
    start = f"{reading.path}: "
    if several:
        for text in (start + first, *(" " * len(start) + other for other in others)):
            terminal.out.print(text, style="bold")
    for digit in reading.digits:
        row = digit.probabilities
        answers = (
            f"{reading.names[label]}{DOUBT * (digit.doubtful and int(label) == digit.label)} ({row[label]:.1%})"
            for label in (-row).argsort(kind="stable")[:top]
        )
        refused = "" if reading.answers(digit) else f"{DOUBT} less than {reading.at_least:.4g}: "
        text = ("  " if several else start) + refused + ", ".join(answers)
        terminal.out.print(text, style="" if several else "bold")


def _show(reading: _Reading, terminal: Terminal) -> None:
    """A small picture with a box around each digit, then each image as the network gets it."""
    import cv2

    from cnnmnist.cli.preview import preview
    from cnnmnist.data.ink import shrink

    small = shrink(reading.picture.pixels.mean(axis=2), SMALL)
    for digit in reading.digits:
        left, top, right, bottom = (
            round(part * (side - 1)) for part, side in zip(digit.box, small.shape[::-1] * 2, strict=True)
        )
        cv2.rectangle(small, (left, top), (right, bottom), 1.0 - float(small.mean() > 0.5))
    grid = cnnmnist.ImageGrid((small,), ("",), ((0, 1),), "gray", columns=1)
    terminal.out.print(preview(grid, SMALL, terminal.draws_in_color), soft_wrap=False)
    for digit in reading.digits:
        _show_digit(digit, reading.names, terminal)


def _show_digit(digit: "Digit", names: tuple[str, ...], terminal: Terminal) -> None:
    from cnnmnist.cli.preview import preview

    row, width = digit.probabilities, digit.image.shape[1]
    grid = cnnmnist.ImageGrid((digit.image,), ("",), ((0, 255),), "binary", columns=1)
    bars = Text("\n").join(
        Text(f"{name} {'█' * round(float(value) * BAR):<{BAR}} {value:6.1%}", "bold" if value == row.max() else "")
        for name, value in zip(names, row, strict=True)
    )
    if terminal.out.options.ascii_only:
        bars = Text(bars.plain.replace("█", "#"))
    table = Table.grid(padding=(0, 2))
    table.add_column(width=width)
    table.add_column(no_wrap=True)
    table.add_row(preview(grid, width, terminal.draws_in_color), bars)
    terminal.out.print(table, soft_wrap=False)
