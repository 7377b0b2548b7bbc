"""``cnnmnist predict``."""

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
    import numpy as np


BAR = 30  # characters for a probability of 1


@dataclass(frozen=True)
class PredictOptions:
    """What was asked of ``cnnmnist predict``."""

    images: tuple[Path, ...]
    run_name: str | None
    top: int
    show: bool
    runs_dir: Path
    as_json: bool


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
    "--show", is_flag=True, help="Draw the image that the network gets, and all probabilities, in the terminal."
)
@runs_dir_option
@json_option
def command(**given: Any) -> None:
    """Read the digits in pictures: PNG, JPEG, BMP, TIFF, WebP or GIF files, or - for standard input.

    \b
    cnnmnist predict seven.png
    cnnmnist predict --show --top 3 photographs/*.jpg
    cnnmnist predict --run 20260723-120000-tutorial --json - < seven.png
    """
    predict(PredictOptions(**given))


def predict(options: PredictOptions) -> None:
    """Read every picture that can be read, and exit with status 1 if one cannot."""
    terminal = Terminal(options.as_json)
    run = choose_run(options.run_name, options.runs_dir, terminal)
    pictures = _prepare(options.images, run)
    documents: list[dict[str, Any]] = []
    if pictures:
        network = run.load_network()
        terminal.warn_about(run)

        from cnnmnist.prediction import answer_text, answers, predict_logits, probabilities

        names = run.metadata.dataset.class_names
        for path, images in pictures:
            rows = probabilities(predict_logits(network, images))
            digits, text = answers(rows, names), answer_text(rows, names)
            answer = digits[0] if len(digits) == 1 else {"number": text, "digits": digits}
            documents.append({"file": str(path)} | answer)
            _print(path, text, images, rows, names, options, terminal)
    terminal.result(documents)
    if len(documents) < len(options.images):
        raise SystemExit(1)


def _prepare(paths: tuple[Path, ...], run: "cnnmnist.Run") -> "list[tuple[Path, np.ndarray]]":
    """The images for the network of every picture that can be read; for the others, an error on standard error."""
    # SciPy takes a third of a second to import.
    from cnnmnist.data.pictures import read_picture
    from cnnmnist.data.preprocessing import prepare_picture

    dataset, pictures = run.metadata.dataset, []
    height, width = dataset.image_shape
    for path in paths:
        try:
            pixels = read_picture(path)
            images = prepare_picture(pixels, (height, width), from_pictures=dataset.from_pictures, name=str(path))
            pictures.append((path, images))
        except PictureError as error:
            show_error(error)
    return pictures


def _print(
    path: Path,
    text: str,
    images: "np.ndarray",
    rows: "np.ndarray",
    names: list[str],
    options: PredictOptions,
    terminal: Terminal,
) -> None:
    several = len(rows) > 1
    if several:
        terminal.out.print(f"{path}: {text} ({len(rows)} digits)", style="bold")
    for image, row in zip(images, rows, strict=True):
        best = (-row).argsort(kind="stable")[: options.top]
        answer = ", ".join(f"{names[label]} ({row[label]:.1%})" for label in best)
        terminal.out.print(f"  {answer}" if several else f"{path}: {answer}", style="" if several else "bold")
        if options.show:
            _draw(image, row, names, terminal)


def _draw(image: "np.ndarray", row: "np.ndarray", names: list[str], terminal: Terminal) -> None:
    """The image as the network gets it, beside a bar for each probability."""
    from cnnmnist.cli.preview import preview

    width = image.shape[1]
    grid = cnnmnist.ImageGrid((image,), ("",), ((0, 255),), "binary", columns=1)
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
