"""What ``cnnmnist evaluate`` shows in the terminal and draws."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

import cnnmnist
from cnnmnist.cli.tables import NumberTable, make_table
from cnnmnist.cli.terminal import Terminal

if TYPE_CHECKING:
    from cnnmnist.calibration import Calibration
    from cnnmnist.data.disputed import Dispute

SHOWN_ERRORS = 9
SPLIT_TITLES = {"test": "Test-Set", "validation": "Validation-Set", "train": "Training-Set"}


def show_report(
    report: "cnnmnist.Report", dataset: "cnnmnist.Dataset", split: str, seen: bool, terminal: Terminal
) -> None:
    """Print the accuracy, the confusion matrix and the scores of each class."""
    low, high = report.interval
    terminal.out.print(
        f"Accuracy on {SPLIT_TITLES[split]}: {report.accuracy:.1%} ({report.correct} / {len(report.labels)}), "
        f"95 % interval {100 * low:.1f} to {100 * high:.1f} %",
        style="bold",
    )
    if seen:
        warning = "The network was trained on these images: this accuracy says nothing about new ones."
        terminal.out.print(warning, style="yellow")
    names = dataset.class_names
    table = _confusion_table(report.confusion_matrix, names)
    if table.full_width(least=True) <= terminal.out.width:
        terminal.out.print(table)
    else:
        terminal.out.print("Confusion matrix: too wide for this terminal; --confusion-matrix draws it.")
    terminal.out.print(_score_table(report, names))


def _confusion_table(matrix: Any, names: tuple[str, ...]) -> NumberTable:
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


def _score_table(report: "cnnmnist.Report", names: tuple[str, ...]) -> NumberTable:
    rows = [
        (name, f"{score.precision:.1%}", f"{score.recall:.1%}", f"{score.f1:.1%}", f"{score.support:,}")
        for name, score in zip(names, report.class_scores, strict=True)
    ]
    columns = ["class", "precision", "recall", "F1", "images"]
    return make_table(columns, rows, title="Scores by class", left=0)


def show_errors(
    errors: Any,
    words: str,
    report: "cnnmnist.Report",
    disputed: "dict[int, Dispute]",
    dataset: "cnnmnist.Dataset",
    drawn: "cnnmnist.Dataset",
    split: str,
    path: Path,
    terminal: Terminal,
) -> list[Path]:
    """Draw the first of these errors, in the terminal and as a figure; in a pipe, print their titles.

    ``words`` say what they are, such as "are misclassified"; the figure has the names of the classes of ``drawn``.
    """
    shown = errors[:SHOWN_ERRORS]
    total = f"{len(errors):,} of {len(report.labels):,} images {words}"
    if not len(errors):
        terminal.out.print(f"{total}.")
        return []
    terminal.out.print(f"{total}; the first {len(shown)} of them:")
    images, names = dataset.split(split).images[shown], dataset.class_names
    grid = cnnmnist.image_grid(images, report.labels[shown], report.predicted[shown], names)
    terminal.preview(grid)
    if not terminal.shows_images:
        for index, title in zip(shown, grid.titles, strict=True):
            terminal.out.print(f"  image {index:>5}: {title}")
    if doubtful := [index for index in errors if index in disputed]:
        terminal.out.print(
            f"People dispute the labels of {len(doubtful)} of the errors; {len(errors) - len(doubtful):,} remain "
            "without them:"
        )
        for index in doubtful:
            terminal.out.print(f"  image {index:>5}: {disputed[index].describe(names)}")
    grid = cnnmnist.image_grid(images, report.labels[shown], report.predicted[shown], drawn.class_names)
    cnnmnist.save_figure(cnnmnist.draw_grid(grid), path)
    return [path]


def show_calibration(
    calibration: "Calibration", run: "cnnmnist.Run", split: str, folder: Path, terminal: Terminal
) -> Path:
    """Print how far the network is as sure as it is right, and draw it."""
    metadata = run.metadata
    rows = [
        ("cross-entropy", f"{calibration.cross_entropy:.4f}"),
        ("Brier score", f"{calibration.brier_score:.4f}"),
        ("expected calibration error, ten bins of equal width", f"{calibration.error:.2%}"),
        ("temperature", f"{metadata.temperature:.4g}"),
    ]
    title = f"Calibration on {SPLIT_TITLES[split]}"
    terminal.out.print(make_table(["measure", "value"], rows, title=title))
    if metadata.temperature == 1.0:
        reason = "no error there could fit one, or the program that trained the run fitted none"
        if metadata.recipe.training.include_validation:
            reason = "the validation split was trained on, and the recipe names no temperature"
        terminal.out.print(f"The temperature is 1: {reason}.", style="yellow")
    elif split == "validation":
        terminal.out.print(
            "The temperature was fitted on the validation split, if not trained on.", style="yellow"
        )
    path = folder / f"{split}-calibration.png"
    cnnmnist.save_figure(cnnmnist.draw_calibration(calibration, title), path)
    return path
