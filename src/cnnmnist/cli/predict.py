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


@dataclass(frozen=True)
class PredictOptions:
    """What was asked of ``cnnmnist predict``."""

    images: tuple[Path, ...]
    run_name: str | None
    top: int
    at_least: float
    show: bool
    runs_dir: Path
    as_json: bool


class Probability(click.ParamType[float]):
    """A probability as a fraction of 1 or in percent."""

    name = "probability"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the fraction of 1."""
        text = str(value).strip()
        with contextlib.suppress(ValueError):
            fraction = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
            if 0 <= fraction <= 1:
                return fraction
        self.fail(f"{text!r} is not a probability: write 90% or 0.9.", param, ctx)


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
    type=Probability(),
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
def command(**given: Any) -> None:
    """Read the digits in pictures: PNG, JPEG, BMP, TIFF, WebP, GIF or PNM files, or - for standard input.

    A question mark behind an answer means that the answer may well be wrong.

    \b
    cnnmnist predict seven.png
    cnnmnist predict --show --top 3 photographs/*.jpg
    cnnmnist predict --at-least 90% seven.png
    cnnmnist predict --run 20260723-120000-tutorial --json - < seven.png
    """
    predict(PredictOptions(**given))


def predict(options: PredictOptions) -> None:
    """Read every picture that can be read, and exit with status 1 if one cannot."""
    terminal = Terminal(options.as_json)
    run = choose_run(options.run_name, options.runs_dir, terminal)
    pictures = list(_read_files(options.images))
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
            documents.append(_document(path, picture, lines, dataset.class_names, options.at_least))
            _print(documents[-1], lines, dataset.class_names, options, terminal)
            if options.show:
                _show(picture, lines, dataset.class_names, terminal)
    terminal.result(documents)
    if len(documents) < len(options.images):
        raise SystemExit(1)


def _read_files(paths: tuple[Path, ...]) -> "Iterator[tuple[Path, Picture]]":
    """Every picture that can be read; for the others, an error on standard error."""
    from cnnmnist.data.pictures import read_picture  # imports Pillow

    for path in paths:
        try:
            yield path, read_picture(path)
        except PictureError as error:
            show_error(error)


def _document(
    path: Path, picture: "Picture", lines: "list[list[Digit]]", names: tuple[str, ...], at_least: float
) -> dict[str, Any]:
    digits = [
        {
            "label": digit.label,
            "name": names[digit.label],
            "probability": float(digit.probabilities.max()),
            "probabilities": digit.probabilities.tolist(),
            "doubtful": digit.doubtful,
            "answered": _is_answered(digit, at_least),
            "box": [round(part * side) for part, side in zip(digit.box, picture.size * 2, strict=True)],
        }
        for line in lines
        for digit in line
    ]
    return {"file": str(path), "text": "\n".join(_texts(lines, names, at_least)), "digits": digits}


def _is_answered(digit: "Digit", at_least: float) -> bool:
    return float(digit.probabilities.max()) >= at_least


def _texts(lines: "list[list[Digit]]", names: tuple[str, ...], at_least: float, mark: str = "") -> list[str]:
    """The answers of each line; spaces separate names, unless each has a single character."""
    separator = "" if all(len(name) == 1 for name in names) else " "

    def text(digit: "Digit") -> str:
        return names[digit.label] + mark * digit.doubtful if _is_answered(digit, at_least) else DOUBT

    return [separator.join(map(text, line)) for line in lines]


def _print(
    document: dict[str, Any],
    lines: "list[list[Digit]]",
    names: tuple[str, ...],
    options: PredictOptions,
    terminal: Terminal,
) -> None:
    number = len(document["digits"])
    first, *others = _texts(lines, names, options.at_least, DOUBT)
    start = f"{document['file']}: "
    if number > 1:
        for text in (start + first, *(" " * len(start) + other for other in others)):
            terminal.out.print(text, style="bold")
    for digit in (digit for line in lines for digit in line):
        row = digit.probabilities
        best = (-row).argsort(kind="stable")[: options.top]
        answers = (
            f"{names[label]}{DOUBT * (digit.doubtful and int(label) == digit.label)} ({row[label]:.1%})"
            for label in best
        )
        refused = "" if _is_answered(digit, options.at_least) else f"{DOUBT} less than {options.at_least:.4g}: "
        terminal.out.print(
            ("  " if number > 1 else start) + refused + ", ".join(answers), style="" if number > 1 else "bold"
        )


def _show(picture: "Picture", lines: "list[list[Digit]]", names: tuple[str, ...], terminal: Terminal) -> None:
    """A small picture with a box around each digit, then each image as the network gets it."""
    import cv2

    from cnnmnist.cli.preview import preview
    from cnnmnist.data.ink import shrink

    small = shrink(picture.pixels.mean(axis=2), SMALL)
    for digit in (digit for line in lines for digit in line):
        left, top, right, bottom = (
            round(part * (side - 1)) for part, side in zip(digit.box, small.shape[::-1] * 2, strict=True)
        )
        cv2.rectangle(small, (left, top), (right, bottom), 1.0 - float(small.mean() > 0.5))
    grid = cnnmnist.ImageGrid((small,), ("",), ((0, 1),), "gray", columns=1)
    terminal.out.print(preview(grid, SMALL, terminal.draws_in_color), soft_wrap=False)
    for digit in (digit for line in lines for digit in line):
        _show_digit(digit, names, terminal)


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
