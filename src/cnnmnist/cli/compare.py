"""``cnnmnist compare``."""

import json
from pathlib import Path
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import Command, printable
from cnnmnist.cli.completion import RUN
from cnnmnist.cli.options import json_option, output_option, runs_dir_option
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import RunError

LONGEST_NAME = 64  # in the figure
LONGEST_LIST = 8  # in the table


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True, type=RUN, metavar="RUN RUN...")
@output_option("Figure: a .png, .svg or .pdf file.  [default: in the first run's figures/]")
@runs_dir_option
@json_option
def command(names: tuple[str, ...], output: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Compare runs: print the settings that differ and the accuracies, and draw the learning curves.

    \b
    cnnmnist compare pretrained latest
    cnnmnist compare slower faster --output curves.svg
    """
    if len(names) < 2:
        raise click.UsageError("There is nothing to compare: name two runs or more.")

    from cnnmnist.runs.diff import differences
    from cnnmnist.visualization.figures import check_figure_path  # imports matplotlib

    if output:
        check_figure_path(output)
    terminal = Terminal(as_json)
    runs = [cnnmnist.load_run(name, runs_dir) for name in names]
    _check_distinct(runs, names)
    titles = _titles(runs)
    differing = differences([run.metadata for run in runs])
    path = output or runs[0].figures / f"{_file_name(runs)}.png"
    curves = [_curve(run, title, terminal) for run, title in zip(runs, titles, strict=True)]
    cnnmnist.save_figure(cnnmnist.draw_learning_curves(curves), path)
    if differing:
        texts = {field: [_text(value) for value in values] for field, values in differing.items()}
        _show("Differences", "field", titles, texts, terminal)
    else:
        terminal.out.print("The runs have the same recipe, data and versions.")
    if ladders := _ladders(runs):
        _show("Accuracy on Test-Set", "iterations", titles, ladders, terminal)
    terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "runs": [str(run.directory) for run in runs],
            "differences": differing,
            "ladders": [[rung.model_dump() for rung in run.metadata.ladder] for run in runs],
            "figures": [str(path)],
        }
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return f"{len(value)} from {value[0]} to {value[-1]}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list) else str(value)


def _check_distinct(runs: "list[cnnmnist.Run]", names: tuple[str, ...]) -> None:
    places = [run.directory.resolve() for run in runs]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise click.UsageError(f"{names[number]!r} is the same run as an earlier one: name each run once.")


def _titles(runs: "list[cnnmnist.Run]") -> list[str]:
    """The runs' own names, or their directories if two have the same name."""
    names = [run.directory.resolve().name for run in runs]
    names = names if len(set(names)) == len(names) else [str(run.directory) for run in runs]
    return [printable(name) for name in names]


def _file_name(runs: "list[cnnmnist.Run]") -> str:
    others = len(runs) - 2
    more = f"-and-{others}-more" if others else ""
    return f"compared-with-{runs[1].directory.resolve().name[:LONGEST_NAME]}{more}"


def _curve(run: "cnnmnist.Run", title: str, terminal: Terminal) -> "cnnmnist.LearningCurve":
    import numpy as np

    losses = accuracies = np.empty(0)
    try:
        metrics = run.load_metrics()
        losses, accuracies = metrics.losses, metrics.accuracies
    except RunError as error:
        terminal.warn(f"{str(error).rstrip('.')}: the learning curve of {title} is left out.")
    short = title if len(title) <= LONGEST_NAME else f"…{title[1 - LONGEST_NAME :]}"
    ladder = [(rung.iteration, rung.accuracy) for rung in run.metadata.ladder]
    return cnnmnist.LearningCurve(short, losses, accuracies, ladder)


def _ladders(runs: "list[cnnmnist.Run]") -> dict[str, list[str]]:
    ladders = [{rung.iteration: rung.accuracy for rung in run.metadata.ladder} for run in runs]
    return {
        f"{iteration:,}": [f"{ladder[iteration]:.2%}" if iteration in ladder else "-" for ladder in ladders]
        for iteration in sorted(set().union(*ladders))
    }


def _show(title: str, key: str, titles: list[str], rows: dict[str, list[str]], terminal: Terminal) -> None:
    """A table with a column for each run or, where that is too wide, a list."""
    cells = ((name, *values) for name, values in rows.items())
    table = make_table([key, *titles], cells, title=title, left=0 if key == "iterations" else 1)
    console = terminal.out
    if table.full_width() <= console.width:
        console.print(table)
        return
    console.print(title, style="italic")
    for name, values in rows.items():
        console.print(f"  {key} {name}")
        for run, value in zip(titles, values, strict=True):
            console.print(f"    {run}: {value}")
