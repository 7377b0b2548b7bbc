"""What ``cnnmnist evaluate`` shows in the terminal and draws."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text

import cnnmnist
from cnnmnist.calibration import Calibration
from cnnmnist.cli.tables import NumberTable, make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.data.disputed import Dispute, disputed_labels

SHOWN_ERRORS = 9
SPLIT_TITLES = {"test": "Test-Set", "validation": "Validation-Set", "train": "Training-Set"}


@dataclass(frozen=True)
class Evaluation:
    """The report of a run on a split, and where it is shown."""

    run: "cnnmnist.Run"
    dataset: "cnnmnist.Dataset"
    split: str
    report: "cnnmnist.Report"
    folder: Path
    terminal: Terminal
    figures: list[Path] = field(default_factory=list)
    """Files that were drawn."""

    @functools.cached_property
    def disputed(self) -> dict[int, Dispute]:
        """The labels that people dispute, by image."""
        return disputed_labels(self.report.labels)

    @functools.cached_property
    def drawable_names(self) -> tuple[str, ...]:
        """The names of the classes in figures."""
        return self.terminal.with_drawable_names(self.dataset).class_names

    def save(self, figure: Any, name: str) -> None:
        """Write a figure to the folder."""
        self.figures.append(self.folder / f"{self.split}-{name}.png")
        cnnmnist.save_figure(figure, self.figures[-1])


def show_report(shown: Evaluation) -> None:
    """Print the accuracy, the confusion matrix and the scores of each class."""
    report, out, names = shown.report, shown.terminal.out, shown.dataset.class_names
    low, high = report.interval
    out.print(
        f"Accuracy on {SPLIT_TITLES[shown.split]}: {report.accuracy:.1%} ({report.correct} / "
        f"{len(report.labels)}), 95 % interval {100 * low:.1f} to {100 * high:.1f} %",
        style="bold",
    )
    if shown.run.has_seen(shown.dataset, shown.split):
        warning = "The network was trained on these images: this accuracy says nothing about new ones."
        out.print(warning, style="yellow")
    table = _confusion_table(report.confusion_matrix, names)
    if table.full_width(least=True) <= out.width:
        out.print(table)
    else:
        out.print("Confusion matrix: too wide for this terminal; --confusion-matrix draws it.")
    scores = [
        (name, f"{score.precision:.1%}", f"{score.recall:.1%}", f"{score.f1:.1%}", f"{score.support:,}")
        for name, score in zip(names, report.class_scores, strict=True)
    ]
    columns = ["class", "precision", "recall", "F1", "images"]
    out.print(make_table(columns, scores, title="Scores by class", left=0))


def _confusion_table(matrix: np.ndarray, names: tuple[str, ...]) -> NumberTable:
    wrong = matrix - np.diag(matrix.diagonal())
    # The three largest confusions stand out, with all that are as large as the third.
    notable = max(1, np.sort(wrong, axis=None)[-3])
    rows = [[Text(name)] for name in names]
    for (row, column), count in np.ndenumerate(matrix):
        is_worst = wrong[row, column] >= notable
        style = "bold green" if row == column else "bold red" if is_worst else "" if count else "dim"
        rows[row].append(Text(str(count or "."), style))
    columns = ["true \\ predicted", *names]
    return make_table(columns, rows, title="Confusion matrix", left=0, compact=True)


def show_errors(shown: Evaluation, errors: np.ndarray, words: str, name: str) -> None:
    """Draw the first of these errors, in the terminal and as a figure; in a pipe, print their titles.

    ``words`` say what they are, such as "are misclassified".
    """
    report, terminal, names = shown.report, shown.terminal, shown.dataset.class_names
    total = f"{len(errors):,} of {len(report.labels):,} images {words}"
    if not len(errors):
        terminal.out.print(f"{total}.")
        return
    first = errors[:SHOWN_ERRORS]
    terminal.out.print(f"{total}; the first {len(first)} of them:")
    drawn = shown.dataset.split(shown.split).images[first], report.labels[first], report.predicted[first]
    grid = cnnmnist.image_grid(*drawn, names)
    terminal.preview(grid)
    if not terminal.shows_images:
        for index, title in zip(first, grid.titles, strict=True):
            terminal.out.print(f"  image {index:>5}: {title}")
    if doubtful := [index for index in errors if index in shown.disputed]:
        terminal.out.print(
            f"People dispute the labels of {len(doubtful)} of the errors; {len(errors) - len(doubtful):,} remain "
            "without them:"
        )
        for index in doubtful:
            terminal.out.print(f"  image {index:>5}: {shown.disputed[index].describe(names)}")
    shown.save(cnnmnist.draw_grid(cnnmnist.image_grid(*drawn, shown.drawable_names)), name)


def draw_confusions(shown: Evaluation) -> None:
    """Draw the confusion matrix."""
    title = f"Accuracy on {SPLIT_TITLES[shown.split]}: {shown.report.accuracy:.1%}"
    figure = cnnmnist.draw_confusion_matrix(shown.report.confusion_matrix, shown.drawable_names, title)
    shown.save(figure, "confusion-matrix")


def show_calibration(shown: Evaluation) -> dict[str, float]:
    """Print and draw how far the network is as sure as it is right, and return the measures."""
    found, recipe, out = Calibration(shown.report), shown.run.metadata.recipe, shown.terminal.out
    temperature = shown.report.temperature
    rows = [
        ("cross-entropy", f"{found.cross_entropy:.4f}"),
        ("Brier score", f"{found.brier_score:.4f}"),
        ("expected calibration error, ten bins of equal width", f"{found.error:.2%}"),
        ("temperature", f"{temperature:.4g}"),
    ]
    title = f"Calibration on {SPLIT_TITLES[shown.split]}"
    out.print(make_table(["measure", "value"], rows, title=title))
    if temperature == 1.0:
        reason = "no error there could fit one, or the program that trained the run fitted none"
        if recipe.training.include_validation:
            reason = "the validation split was trained on, and the recipe names no temperature"
        out.print(f"The temperature is 1: {reason}.", style="yellow")
    elif shown.split == "validation":
        out.print("The temperature was fitted on the validation split, if not trained on.", style="yellow")
    shown.save(cnnmnist.draw_calibration(found, title), "calibration")
    return {
        "cross_entropy": found.cross_entropy,
        "brier_score": found.brier_score,
        "calibration_error": found.error,
        "temperature": temperature,
    }


def show_robustness(shown: Evaluation, network: "cnnmnist.Network") -> list[dict[str, Any]]:
    """Corrupt and attack the images, print a table, draw a figure, and return the numbers."""
    from cnnmnist.robustness import PROJECTED_IMAGES, robustness
    from cnnmnist.visualization.charts import draw_robustness

    images, out = shown.dataset.split(shown.split), shown.terminal.out
    with shown.terminal.waiting("Corrupting and attacking the images, for a minute or two"):
        curves = list(robustness(network, shown.run.load_model(), images, shown.report.predicted))
    rows = [
        [each.name, f"{', '.join(f'{amount:.3g}' for amount in each.amounts)} {each.unit}"]
        + [f"{accuracy:.1%}" for accuracy in each.accuracies]
        for each in curves
    ]
    columns = ["corruption or attack", "severities", "none", *map(str, range(1, 6))]
    table = make_table(columns, rows, title="Accuracy by severity", left=2, compact=True)
    out.print(table, soft_wrap=False)
    if len(images) > PROJECTED_IMAGES:
        out.print(f"Only the first {PROJECTED_IMAGES:,} images are attacked by projected gradients.")
    title = f"Robustness of {shown.run.name} on {len(images):,} {shown.split} images"
    shown.save(draw_robustness(curves, shown.drawable_names, title), "robustness")
    names = "name", "unit", "amounts", "images", "accuracies"
    return [{name: getattr(each, name) for name in names} for each in curves]
