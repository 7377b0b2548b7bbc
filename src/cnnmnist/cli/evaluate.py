"""``cnnmnist evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import (
    DIRECTORY,
    Command,
    Terminal,
    data_options,
    json_option,
    run_argument,
    runs_dir_option,
    split_option,
)

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset
    from cnnmnist.evaluation import Report
    from cnnmnist.visualization.grids import ImageGrid

SHOWN_ERRORS = 9
LARGEST_TABLE = 20  # classes; a wider confusion matrix is only readable as a picture
SPLIT_TITLES = {"test": "Test-Set", "validation": "Validation-Set", "train": "Training-Set"}


@click.command(cls=Command)
@run_argument
@split_option
@click.option("--show-errors", is_flag=True, help="Draw the first nine misclassified images.")
@click.option("--confusion-matrix", is_flag=True, help="Draw the confusion matrix as a picture too.")
@click.option("--figures", type=DIRECTORY, metavar="DIR", help="Where figures go.  [default: the run's figures/]")
@data_options
@runs_dir_option
@json_option
def command(
    run: str,
    split: str,
    show_errors: bool,
    confusion_matrix: bool,
    figures: Path | None,
    dataset: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Measure the trained network of RUN: accuracy, confusion matrix, and scores of each class.

    \b
    cnnmnist evaluate
    cnnmnist evaluate --show-errors
    cnnmnist evaluate 20260723-120000-tutorial --split validation --confusion-matrix
    """
    from cnnmnist.runs.store import load_run

    terminal = Terminal(as_json)
    found = load_run(run, runs_dir)
    digits = found.load_dataset(dataset, data_dir)
    model = found.load_model()
    terminal.warn_about(found)

    from cnnmnist.evaluation import evaluate

    report = evaluate(model, digits.split(split))
    seen = found.trained_on(digits, split)
    _show_report(report, digits, split, seen, terminal)
    folder = figures or found.figures
    written = []
    if show_errors:
        written += _show_errors(report, digits, split, folder, terminal)
    if confusion_matrix:
        written.append(_draw_confusion_matrix(report, digits, split, folder))
    for path in written:
        terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "run": str(found.directory),
            "dataset": digits.name,
            "split": split,
            "accuracy": report.accuracy,
            "correct": report.correct,
            "total": len(report.labels),
            "seen_in_training": seen,
            "confusion_matrix": report.confusion_matrix.tolist(),
            "errors": [
                {"index": int(i), "label": int(report.labels[i]), "predicted": int(report.predicted[i])}
                for i in report.errors
            ],
            "figures": [str(path) for path in written],
        }
    )


def _show_report(report: "Report", digits: "Dataset", split: str, seen: bool, terminal: Terminal) -> None:
    terminal.out.print(
        f"Accuracy on {SPLIT_TITLES[split]}: {report.accuracy:.1%} ({report.correct} / {len(report.labels)})",
        style="bold",
    )
    if seen:
        warning = "The network was trained on such images: this says nothing about new ones."
        terminal.out.print(warning, style="yellow")
    names = digits.class_names
    if len(names) <= LARGEST_TABLE:
        terminal.out.print(_confusion_table(report.confusion_matrix, names), soft_wrap=False)
    terminal.out.print(_score_table(report, names), soft_wrap=False)


def _confusion_table(matrix: Any, names: tuple[str, ...]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    wrong = matrix.copy()
    for number in range(len(names)):
        wrong[number, number] = 0
    # The three largest confusions stand out, with all that are as large as the third.
    notable = max(1, sorted(wrong.flat)[-3])
    table = Table(title="Confusion matrix", title_justify="left", box=box.SIMPLE, padding=(0, 0, 0, 1))
    table.add_column("true \\ predicted", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for number, row in enumerate(matrix):
        cells = []
        for column, count in enumerate(row):
            diagonal, worst = number == column, wrong[number, column] >= notable
            style = "bold green" if diagonal else "bold red" if worst else "" if count else "dim"
            cells.append(Text(str(count or "."), style))
        table.add_row(names[number], *cells)
    return table


def _score_table(report: "Report", names: tuple[str, ...]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title="Scores by class", title_justify="left", box=box.SIMPLE)
    for title in ("class", "precision", "recall", "F1", "images"):
        table.add_column(title, justify="right")
    for name, score in zip(names, report.class_scores, strict=True):
        scores = (f"{each:.1%}" for each in (score.precision, score.recall, score.f1))
        table.add_row(name, *scores, f"{score.support:,}")
    return table


def _show_errors(report: "Report", digits: "Dataset", split: str, folder: Path, terminal: Terminal) -> list[Path]:
    from cnnmnist.visualization.figures import draw_grid, save_figure
    from cnnmnist.visualization.grids import image_grid

    errors = report.errors
    shown = errors[:SHOWN_ERRORS]
    total = f"{len(errors):,} of {len(report.labels):,} images are misclassified"
    if not len(errors):
        terminal.out.print(f"{total}.")
        return []
    terminal.out.print(f"{total}; the first {len(shown)} of them:")
    grid = image_grid(
        digits.split(split).images[shown],
        report.labels[shown],
        report.predicted[shown],
        digits.class_names,
    )
    _list_errors(grid, shown, terminal)
    path = folder / f"{split}-errors.png"
    save_figure(draw_grid(grid), path)
    return [path]


def _list_errors(grid: "ImageGrid", indices: Any, terminal: Terminal) -> None:
    """The images on a terminal; their titles where none can be drawn."""
    terminal.preview(grid)
    if not terminal.out.is_terminal:
        for index, title in zip(indices, grid.titles, strict=True):
            terminal.out.print(f"  image {index:>5}: {title}")


def _draw_confusion_matrix(report: "Report", digits: "Dataset", split: str, folder: Path) -> Path:
    from cnnmnist.visualization.charts import draw_confusion_matrix
    from cnnmnist.visualization.figures import save_figure

    path = folder / f"{split}-confusion-matrix.png"
    title = f"Accuracy on {SPLIT_TITLES[split]}: {report.accuracy:.1%}"
    save_figure(draw_confusion_matrix(report.confusion_matrix, digits.class_names, title), path)
    return path
