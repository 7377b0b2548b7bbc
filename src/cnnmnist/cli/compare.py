"""``cnnmnist compare``."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import click
from rich.measure import Measurement

import cnnmnist
from cnnmnist.cli.command import Command, printable
from cnnmnist.cli.options import json_option, output_option, runs_dir_option
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import MissingRunError, RunError

LONGEST_NAME = 64  # in the figure
LONGEST_LIST = 8  # in the table


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="RUN|SWEEP...")
@output_option("Figure: a .png, .svg or .pdf file.  [default: in the first run's figures/]")
@runs_dir_option
@json_option
def command(names: tuple[str, ...], output: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Compare runs: print the settings that differ and the accuracies, and draw the learning curves.

    A sweep stands for its settings: a curve is the mean of the seeds, in a band from the lowest to the highest.

    \b
    cnnmnist compare pretrained latest
    cnnmnist compare slower faster --output curves.svg
    cnnmnist compare rates
    """
    from cnnmnist.runs.diff import differences
    from cnnmnist.visualization.figures import check_figure_path  # imports matplotlib

    if output:
        check_figure_path(output)
    terminal = Terminal(as_json)
    groups = [group for name in names for group in _groups(name, runs_dir)]
    if len(names) < 2 and not groups[0].sweep:
        raise click.UsageError("There is nothing to compare: name two runs or more, or a sweep.")
    _check_distinct(groups)
    runs, titles = [group.runs[0] for group in groups], _titles(groups)
    differing = differences([run.metadata for run in runs])
    path = output or groups[0].figures / f"{_file_name(runs)}.png"
    curves = [_curve(group.runs, title, terminal) for group, title in zip(groups, titles, strict=True)]
    cnnmnist.save_figure(cnnmnist.draw_learning_curves(curves), path)
    if differing:
        texts = {field: [_text(value) for value in values] for field, values in differing.items()}
        _show("Differences", "field", titles, texts, terminal)
    else:
        terminal.out.print("The runs have the same recipe, data and versions.")
    if ladders := _ladders(groups):
        _show("Accuracy on Test-Set", "iterations", titles, ladders, terminal)
    terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "runs": [str(run.directory) for run in runs],
            "groups": [[str(run.directory) for run in group.runs] for group in groups],
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


@dataclass(frozen=True)
class _Group:
    """A run, or the finished runs of a setting of a sweep."""

    name: str
    runs: "list[cnnmnist.Run]"
    title: str
    figures: Path
    sweep: str = ""
    """Name of the sweep."""


def _groups(name: str, runs_dir: Path) -> list[_Group]:
    from cnnmnist.runs.store import is_run, is_sweep

    for folder in (runs_dir / name, Path(name)):
        if is_run(folder):
            break
        if is_sweep(folder):
            from cnnmnist.runs.sweep_results import sweep_results
            from cnnmnist.runs.sweeps import Sweep, describe

            sweep = Sweep.read(folder)
            settings = [each for each in sweep_results(sweep) if each.finished]
            if not settings:
                raise MissingRunError(
                    f"No run of the sweep {sweep.name} is finished: train it with `cnnmnist sweep`."
                )
            return [
                _Group(
                    name=name,
                    runs=[run for _, run in each.finished],
                    title=describe(each.settings) or sweep.name,
                    figures=folder / "figures",
                    sweep=sweep.name,
                )
                for each in settings
            ]
    run = cnnmnist.load_run(name, runs_dir)
    return [_Group(name, [run], run.directory.resolve().name, run.figures)]


def _check_distinct(groups: list[_Group]) -> None:
    places: set[Path] = set()
    for group in groups:
        for run in group.runs:
            place = run.directory.resolve()
            if place in places:
                raise click.UsageError(f"{group.name!r} is the same run as an earlier one: name each run once.")
            places.add(place)


def _titles(groups: list[_Group]) -> list[str]:
    """The runs' own names, or their directories if two have the same name; the settings of a sweep."""
    several = len({group.sweep for group in groups if group.sweep}) > 1
    titles = [f"{group.sweep}: {group.title}" if several and group.sweep else group.title for group in groups]
    if len(set(titles)) < len(titles):
        titles = [
            title if group.sweep else str(group.runs[0].directory)
            for group, title in zip(groups, titles, strict=True)
        ]
    return [printable(title) for title in titles]


def _file_name(runs: "list[cnnmnist.Run]") -> str:
    others = len(runs) - 2
    more = f"-and-{others}-more" if others > 0 else ""
    return f"compared-with-{runs[1 % len(runs)].directory.resolve().name[:LONGEST_NAME]}{more}"


def _curve(runs: "list[cnnmnist.Run]", title: str, terminal: Terminal) -> "cnnmnist.LearningCurve":
    import numpy as np

    short = title if len(title) <= LONGEST_NAME else f"…{title[1 - LONGEST_NAME :]}"
    ladder = [(rung.iteration, rung.accuracy) for run in runs for rung in run.metadata.ladder]
    try:
        metrics = [run.load_metrics() for run in runs]
    except RunError as error:
        terminal.warn(f"{str(error).rstrip('.')}: the learning curve of {title} is left out.")
        return cnnmnist.LearningCurve(short, np.empty(0), np.empty(0), ladder)
    length = min(len(each.losses) for each in metrics)
    losses, accuracies = (
        np.array([getattr(each, part)[:length] for each in metrics]) for part in ("losses", "accuracies")
    )
    return cnnmnist.LearningCurve(short, losses, accuracies, ladder)


def _ladders(groups: list[_Group]) -> dict[str, list[str]]:
    """The accuracies of the runs, or their means over the seeds, by iterations."""
    ladders: list[dict[int, list[float]]] = []
    for group in groups:
        ladder: dict[int, list[float]] = {}
        for rung in (rung for run in group.runs for rung in run.metadata.ladder):
            ladder.setdefault(rung.iteration, []).append(rung.accuracy)
        ladders.append(ladder)
    return {
        f"{iteration:,}": [f"{mean(ladder[iteration]):.2%}" if iteration in ladder else "-" for ladder in ladders]
        for iteration in sorted(set().union(*ladders))
    }


def _show(title: str, key: str, titles: list[str], rows: dict[str, list[str]], terminal: Terminal) -> None:
    """A table with a column for each run or, where that is too wide, a list."""
    cells = ((name, *values) for name, values in rows.items())
    table = make_table([key, *titles], cells, title=title, left=0 if key == "iterations" else 1)
    console = terminal.out
    if Measurement.get(console, console.options.update(width=10_000), table).minimum <= console.width:
        console.print(table, soft_wrap=False)
        return
    console.print(title, style="italic")
    for name, values in rows.items():
        console.print(f"  {key} {name}")
        for run, value in zip(titles, values, strict=True):
            console.print(f"    {run}: {value}")
