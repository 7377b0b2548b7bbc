"""``cnnmnist evaluate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.options import (
    DIRECTORY,
    CommonOptions,
    common_options,
    run_argument,
    skip_damaged_option,
    split_option,
)
from cnnmnist.cli.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(CommonOptions):
    """What was asked of ``cnnmnist evaluate``."""

    run_name: str
    split: str
    skip_damaged: bool
    show_errors: bool
    sort: str | None
    confused: str | None
    confusion_matrix: bool
    calibration: bool
    predictions: Path | None
    robustness: bool
    figures: Path | None


@click.command(cls=Command)
@run_argument
@split_option
@click.option("--show-errors", is_flag=True, help="Draw the first nine misclassified images.")
@click.option(
    "--sort",
    type=click.Choice(["index", "loss"]),
    help="Order of the errors: index, or loss, the worst first. Implies --show-errors.  [default: index]",
)
@click.option(
    "--confused",
    metavar="TRUE,PRED",
    help="Only the errors of this true class with this answer, as 4,9. Implies --show-errors.",
)
@click.option("--confusion-matrix", is_flag=True, help="Draw the confusion matrix as a figure, too.")
@click.option("--robustness", is_flag=True, help="Corrupt and attack the images, and draw what that costs.")
@click.option(
    "--calibration", is_flag=True, help="Measure and draw whether the network is as sure as it is right."
)
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Write each image's label, answer, loss and probabilities for a spreadsheet.",
)
@click.option(
    "--figures", type=DIRECTORY, metavar="DIR", help="Folder for figures.  [default: the run's figures/]"
)
@skip_damaged_option
@common_options
def command(**given: Any) -> None:
    """Measure the trained network of RUN: accuracy, confusion matrix, and scores of each class.

    The default RUN is the latest.

    \b
    cnnmnist evaluate
    cnnmnist evaluate --sort loss --confused 4,9
    cnnmnist evaluate --calibration --predictions answers.csv
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
    pair = _pair(options.confused, dataset.class_names) if options.confused is not None else None
    network = run.load_network()
    terminal.warn_about(run)
    report = cnnmnist.evaluate(network, dataset.split(options.split))

    if options.predictions:
        from cnnmnist.evaluation import write_predictions

        write_predictions(report, dataset.class_names, options.predictions)
        terminal.message(f"Predictions: {options.predictions}")

    from cnnmnist.cli import evaluation_views as views

    folder = options.figures or run.figures
    shown = views.Evaluation(run, dataset, options.split, report, folder, terminal)
    views.show_report(shown)
    errors, words, name = report.errors, "are misclassified", "errors"
    if pair:
        errors = errors[(report.labels[errors] == pair[0]) & (report.predicted[errors] == pair[1])]
        true, predicted = (dataset.class_names[number] for number in pair)
        words, name = f"of class {true} are read as {predicted}", f"errors-{pair[0]}-{pair[1]}"
    if options.sort == "loss":
        errors, name = errors[(-report.losses[errors]).argsort(kind="stable")], f"{name}-by-loss"
    measures: dict[str, Any] = {}
    if options.show_errors or options.sort or pair:
        views.show_errors(shown, errors, words, name)
    if options.confusion_matrix:
        views.draw_confusions(shown)
    if options.calibration:
        measures |= views.show_calibration(shown)
    if options.robustness:
        measures["robustness"] = views.show_robustness(shown, network)
    for path in shown.figures:
        terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "run": str(run.directory),
            "dataset": dataset.name,
            "split": options.split,
            "accuracy": report.accuracy,
            "interval": report.interval,
            "correct": report.correct,
            "total": len(report.labels),
            "seen_in_training": run.has_seen(dataset, options.split),
            "confusion_matrix": report.confusion_matrix.tolist(),
            "errors": [
                {
                    "index": int(i),
                    "label": int(report.labels[i]),
                    "predicted": int(report.predicted[i]),
                    "loss": float(report.losses[i]),
                    "disputed": shown.disputed[i]._asdict() if i in shown.disputed else None,
                }
                for i in errors
            ],
            "undisputed_errors": sum(i not in shown.disputed for i in report.errors),
            "figures": [str(path) for path in shown.figures],
            **measures,
        }
    )


def _pair(text: str, names: tuple[str, ...]) -> tuple[int, int]:
    """The numbers of two classes that are given by their names or, where no name is meant, by their numbers."""
    numbers = {str(number): number for number in range(len(names))} | {name: i for i, name in enumerate(names)}
    parts = text.split(",")
    for cut in range(1, len(parts)):  # a name may have a comma
        true, predicted = (",".join(side).strip() for side in (parts[:cut], parts[cut:]))
        if true in numbers and predicted in numbers and numbers[true] != numbers[predicted]:
            return numbers[true], numbers[predicted]
    raise click.UsageError(
        f"--confused takes two different classes, as {names[0]},{names[-1]}, not {text!r}: the classes are "
        f"{', '.join(names)}."
    )
