"""``cnnmnist compare``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import Command, Terminal, json_option, printable, runs_dir_option

if TYPE_CHECKING:
    from cnnmnist.runs.store import Run
    from cnnmnist.visualization.charts import LearningCurve

LONGEST_NAME = 64  # in the figure
LONGEST_LIST = 8  # in the table


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A .png, .svg or .pdf file.  [default: in the first run's figures/]",
)
@runs_dir_option
@json_option
def command(runs: tuple[str, ...], output: Path | None, runs_dir: Path, as_json: bool) -> None:
    """See in what runs differ, their accuracies side by side, and a figure of their learning curves.

    \b
    cnnmnist compare pretrained latest
    cnnmnist compare slower faster --output curves.svg
    """
    if len(runs) < 2:
        raise click.UsageError("There is nothing to compare: name two runs or more.")

    from cnnmnist.runs.diff import differences
    from cnnmnist.runs.store import load_run
    from cnnmnist.visualization.charts import draw_learning_curves
    from cnnmnist.visualization.figures import check_figure_path, save_figure

    if output:
        check_figure_path(output)
    terminal = Terminal(as_json)
    found = [load_run(run, runs_dir) for run in runs]
    _check_distinct(found, runs)
    names = _names(found)
    differing = differences([run.record for run in found])
    path = output or found[0].figures / f"{_file_name(found)}.png"
    curves = [_curve(run, name, terminal) for run, name in zip(found, names, strict=True)]
    save_figure(draw_learning_curves(curves), path)
    if differing:
        texts = {field: [_text(value) for value in values] for field, values in differing.items()}
        _show("What differs", "field", names, texts, terminal)
    else:
        terminal.out.print("The runs have the same recipe, data and versions.")
    if ladders := _ladders(found):
        _show("Accuracy on Test-Set", "iterations", names, ladders, terminal)
    terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "runs": [str(run.directory) for run in found],
            "differences": differing,
            "ladders": [[rung.model_dump() for rung in run.record.ladder] for run in found],
            "figures": [str(path)],
        }
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return f"{len(value)} from {value[0]} to {value[-1]}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list) else str(value)


def _check_distinct(found: "list[Run]", given: tuple[str, ...]) -> None:
    places = [run.directory.resolve() for run in found]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise click.UsageError(f"{given[number]!r} is a run that is named already: name each once.")


def _names(found: "list[Run]") -> list[str]:
    """The runs' own names, or their directories if two have the same name."""
    names = [run.directory.resolve().name for run in found]
    names = names if len(set(names)) == len(names) else [str(run.directory) for run in found]
    return [printable(name) for name in names]


def _file_name(found: "list[Run]") -> str:
    others = len(found) - 2
    more = f"-and-{others}-more" if others else ""
    return f"compared-with-{found[1].directory.resolve().name[:LONGEST_NAME]}{more}"


def _curve(run: "Run", name: str, terminal: Terminal) -> "LearningCurve":
    import numpy as np

    from cnnmnist.errors import RunError
    from cnnmnist.runs.store import Metrics
    from cnnmnist.visualization.charts import LearningCurve

    try:
        metrics = run.load_metrics()
    except RunError as error:
        terminal.warn(f"{str(error).rstrip('.')}: the learning curve of {name} is left out.")
        metrics = Metrics(np.empty(0), np.empty(0))
    short = name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
    ladder = [(rung.iteration, rung.accuracy) for rung in run.record.ladder]
    return LearningCurve(short, metrics.losses, metrics.accuracies, ladder)


def _ladders(found: "list[Run]") -> dict[str, list[str]]:
    ladders = [{rung.iteration: rung.accuracy for rung in run.record.ladder} for run in found]
    return {
        f"{iteration:,}": [f"{ladder[iteration]:.2%}" if iteration in ladder else "-" for ladder in ladders]
        for iteration in sorted(set().union(*ladders))
    }


def _show(title: str, key: str, names: list[str], rows: dict[str, list[str]], terminal: Terminal) -> None:
    """A table with a column for each run or, where that is too wide, a list."""
    from rich import box
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column(key, justify="right" if key == "iterations" else "left", no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right")
    for row, values in rows.items():
        table.add_row(row, *(Text(printable(value)) for value in values))
    console = terminal.out
    if Measurement.get(console, console.options.update(width=10_000), table).minimum <= console.width:
        console.print(table, soft_wrap=False)
        return
    console.print(title, style="italic")
    for row, values in rows.items():
        console.print(f"  {key} {row}")
        for name, value in zip(names, values, strict=True):
            console.print(f"    {name}: {value}")
