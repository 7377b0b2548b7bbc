"""``cnnmnist evaluate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.options import (
    DIRECTORY,
    CommonOptions,
    data_options,
    json_option,
    run_argument,
    runs_dir_option,
    skip_damaged_option,
    split_option,
)
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal

if TYPE_CHECKING:
    from cnnmnist.data.disputed import Dispute

SHOWN_ERRORS = 9
LARGEST_TABLE = 20  # classes; a wider confusion matrix is only readable as a picture
SPLIT_TITLES = {"test": "Test-Set", "validation": "Validation-Set", "train": "Training-Set"}


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(CommonOptions):
    """What was asked of ``cnnmnist evaluate``."""

    run_name: str
    split: str
    skip_damaged: bool
    show_errors: bool
    confusion_matrix: bool
    robustness: bool
    figures: Path | None


@click.command(cls=Command)
@run_argument
@split_option
@click.option("--show-errors", is_flag=True, help="Draw the first nine misclassified images.")
@click.option("--confusion-matrix", is_flag=True, help="Draw the confusion matrix as a figure, too.")
@click.option("--robustness", is_flag=True, help="Corrupt and attack the images, and draw what that costs.")
@click.option(
    "--figures", type=DIRECTORY, metavar="DIR", help="Folder for figures.  [default: the run's figures/]"
)
@data_options
@skip_damaged_option
@runs_dir_option
@json_option
def command(**given: Any) -> None:
    """Measure the trained network of RUN: accuracy, confusion matrix, and scores of each class.

    The default RUN is the latest.

    \b
    cnnmnist evaluate
    cnnmnist evaluate --show-errors
    cnnmnist evaluate 20260723-120000-tutorial --split validation --confusion-matrix
    """
    options = EvaluateOptions(**given)
    terminal = Terminal(options.as_json)
    run = cnnmnist.load_run(options.run_name, options.runs_dir)
    with terminal.waiting("Reading the data"):
        dataset = run.load_dataset(
            options.dataset,
            options.data_dir,
            skip_damaged=options.skip_damaged,
            only_test=options.split == "test",
        )
    terminal.warn_of_data(dataset)
    network = run.load_network()
    terminal.warn_about(run)

    split = options.split
    report = cnnmnist.evaluate(network, dataset.split(split))

    from cnnmnist.data.disputed import disputed_labels

    disputed = disputed_labels(report.labels)
    seen = run.has_seen(dataset, split)
    _show_report(report, dataset, split, seen, terminal)
    folder = options.figures or run.figures
    figures = []
    if options.show_errors:
        figures += _show_errors(report, disputed, dataset, split, folder, terminal)
    if options.confusion_matrix:
        figures.append(folder / f"{split}-confusion-matrix.png")
        title = f"Accuracy on {SPLIT_TITLES[split]}: {report.accuracy:.1%}"
        figure = cnnmnist.draw_confusion_matrix(report.confusion_matrix, dataset.class_names, title)
        cnnmnist.save_figure(figure, figures[-1])
    robustness = None
    if options.robustness:
        from cnnmnist.cli.robustness import show_robustness

        figures.append(folder / f"{split}-robustness.png")
        robustness = show_robustness(run, dataset, split, report.predicted, figures[-1], terminal)
    for path in figures:
        terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "run": str(run.directory),
            "dataset": dataset.name,
            "split": split,
            "accuracy": report.accuracy,
            "correct": report.correct,
            "total": len(report.labels),
            "seen_in_training": seen,
            "confusion_matrix": report.confusion_matrix.tolist(),
            "errors": [
                {
                    "index": int(i),
                    "label": int(report.labels[i]),
                    "predicted": int(report.predicted[i]),
                    "disputed": disputed[i]._asdict() if i in disputed else None,
                }
                for i in report.errors
            ],
            "undisputed_errors": sum(i not in disputed for i in report.errors),
            **({"robustness": robustness} if robustness else {}),
            "figures": [str(path) for path in figures],
        }
    )


def _show_report(
    report: "cnnmnist.Report", dataset: "cnnmnist.Dataset", split: str, seen: bool, terminal: Terminal
) -> None:
    terminal.out.print(
        f"Accuracy on {SPLIT_TITLES[split]}: {report.accuracy:.1%} ({report.correct} / {len(report.labels)})",
        style="bold",
    )
    if seen:
        warning = "The network was trained on these images: this accuracy says nothing about new ones."
        terminal.out.print(warning, style="yellow")
    names = dataset.class_names
    if len(names) <= LARGEST_TABLE:
        terminal.out.print(_confusion_table(report.confusion_matrix, names), soft_wrap=False)
    terminal.out.print(_score_table(report, names), soft_wrap=False)


def _confusion_table(matrix: Any, names: tuple[str, ...]) -> Table:
    wrong = matrix.copy()
    for number in range(len(names)):
        wrong[number, number] = 0
    # The three largest confusions stand out, with all that are as large as the third.
    notable = max(1, sorted(wrong.flat)[-3])

    def cell(row: int, column: int) -> Text:
        count, is_worst = matrix[row, column], wrong[row, column] >= notable
        style = "bold green" if row == column else "bold red" if is_worst else "" if count else "dim"
        return Text(str(count or "."), style)

    classes = range(len(names))
    rows = [[Text(names[row]), *(cell(row, column) for column in classes)] for row in classes]
    columns = ["true \\ predicted", *names]
    return make_table(columns, rows, title="Confusion matrix", left=0, compact=True)


def _score_table(report: "cnnmnist.Report", names: tuple[str, ...]) -> Table:
    rows = [
        (name, f"{score.precision:.1%}", f"{score.recall:.1%}", f"{score.f1:.1%}", f"{score.support:,}")
        for name, score in zip(names, report.class_scores, strict=True)
    ]
    columns = ["class", "precision", "recall", "F1", "images"]
    return make_table(columns, rows, title="Scores by class", left=0)


def _show_errors(
    report: "cnnmnist.Report",
    disputed: "dict[int, Dispute]",
    dataset: "cnnmnist.Dataset",
    split: str,
    folder: Path,
    terminal: Terminal,
) -> list[Path]:
    """Draw the first errors, in the terminal and as a figure; in a pipe, print their titles."""
    errors = report.errors
    shown = errors[:SHOWN_ERRORS]
    total = f"{len(errors):,} of {len(report.labels):,} images are misclassified"
    if not len(errors):
        terminal.out.print(f"{total}.")
        return []
    terminal.out.print(f"{total}; the first {len(shown)} of them:")
    images, names = dataset.split(split).images[shown], dataset.class_names
    grid = cnnmnist.image_grid(images, report.labels[shown], report.predicted[shown], names)
    terminal.preview(grid)
    if not terminal.out.is_terminal:
        for index, title in zip(shown, grid.titles, strict=True):
            terminal.out.print(f"  image {index:>5}: {title}")
    if doubtful := [index for index in errors if index in disputed]:
        terminal.out.print(
            f"People dispute the labels of {len(doubtful)} of the errors; {len(errors) - len(doubtful):,} remain "
            "without them:"
        )
        for index in doubtful:
            terminal.out.print(f"  image {index:>5}: {disputed[index].describe(names)}")
    path = folder / f"{split}-errors.png"
    cnnmnist.save_figure(cnnmnist.draw_grid(grid), path)
    return [path]
