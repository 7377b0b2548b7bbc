"""``cnnmnist predict``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import (
    Command,
    Terminal,
    choose_run,
    json_option,
    printable,
    run_option,
    runs_dir_option,
)

if TYPE_CHECKING:
    import numpy as np

    from cnnmnist.runs.store import Run

BAR = 30  # characters for a probability of 1


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@run_option
@click.option(
    "--top", type=click.IntRange(1), default=1, show_default=True, metavar="K", help="How many answers to print."
)
@click.option("--show", is_flag=True, help="Draw what the network sees, and all probabilities, in the terminal.")
@runs_dir_option
@json_option
def command(
    images: tuple[Path, ...], run: str | None, top: int, show: bool, runs_dir: Path, as_json: bool
) -> None:
    """Read the digits in pictures: PNG, JPEG, BMP, TIFF, WebP or GIF files, or - for standard input.

    \b
    cnnmnist predict seven.png
    cnnmnist predict --show --top 3 photographs/*.jpg
    cnnmnist predict --run 20260723-120000-tutorial --json - < seven.png
    """
    terminal = Terminal(as_json)
    found = choose_run(run, runs_dir, terminal)
    prepared = _prepare(images, found)
    answers: list[dict[str, Any]] = []
    if prepared:
        model = found.load_model()
        terminal.warn_about(found)

        from cnnmnist.evaluation import predict_logits, probabilities

        names = found.record.dataset.class_names
        for path, digits in prepared:
            rows = probabilities(predict_logits(model, digits))
            answers.append({"file": str(path)} | _answer(rows, names))
            _print_answer(path, digits, rows, names, top, show, terminal)
    terminal.result(answers)
    if len(answers) < len(images):
        raise SystemExit(1)


def _prepare(paths: tuple[Path, ...], run: "Run") -> "list[tuple[Path, np.ndarray]]":
    """What the network gets of every picture that can be read; of the others, why not, on standard error."""
    from cnnmnist.data.pictures import read_picture
    from cnnmnist.errors import PictureError
    from cnnmnist.prediction import prepare

    prepared = []
    for path in paths:
        try:
            prepared.append((path, prepare(read_picture(path), run.record.dataset, str(path))))
        except PictureError as error:
            click.ClickException(printable(str(error))).show()
    return prepared


def _answer(rows: "np.ndarray", names: list[str]) -> dict[str, Any]:
    """What the JSON document says of the probabilities, float32 (digits, classes)."""
    from cnnmnist.prediction import answers, in_a_row

    digits = answers(rows, names)
    return digits[0] if len(digits) == 1 else {"number": in_a_row(rows, names), "digits": digits}


def _print_answer(
    path: Path,
    digits: "np.ndarray",
    rows: "np.ndarray",
    names: list[str],
    top: int,
    show: bool,
    terminal: Terminal,
) -> None:
    from cnnmnist.prediction import in_a_row

    several = len(rows) > 1
    if several:
        terminal.out.print(f"{path}: {in_a_row(rows, names)} ({len(rows)} digits)", style="bold")
    for image, row in zip(digits, rows, strict=True):
        best = (-row).argsort(kind="stable")[:top]
        text = ", ".join(f"{names[label]} ({row[label]:.1%})" for label in best)
        terminal.out.print(f"  {text}" if several else f"{path}: {text}", style="" if several else "bold")
        if show:
            _draw(image, row, names, terminal)


def _draw(image: "np.ndarray", row: "np.ndarray", names: list[str], terminal: Terminal) -> None:
    """The image as the network gets it, beside a bar for each probability."""
    from rich.table import Table
    from rich.text import Text

    from cnnmnist.cli.preview import preview
    from cnnmnist.visualization.grids import ImageGrid

    width = image.shape[1]
    grid = ImageGrid((image,), ("",), ((0, 255),), "binary", columns=1)
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
