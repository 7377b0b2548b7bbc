"""``cnnmnist compare``."""

from pathlib import Path
from statistics import mean

import click

import cnnmnist
from cnnmnist.cli.command import Command, printable
from cnnmnist.cli.completion import RUN_OR_SWEEP
from cnnmnist.cli.options import json_option, output_option, runs_dir_option
from cnnmnist.cli.tables import make_table, value_text
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import MissingRunError, RunError

LONGEST_NAME = 64  # in the figure


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True, type=RUN_OR_SWEEP, metavar="RUN|SWEEP...")
@click.option(
    "--test",
    "tested",
    is_flag=True,
    help="Test on the same test images whether the runs differ by more than luck, and draw what only some read.",
)
@output_option("Figure: a .png, .svg or .pdf file.  [default: in the first run's figures/]")
@runs_dir_option
@json_option
def command(names: tuple[str, ...], tested: bool, output: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Compare runs: print the settings that differ and the accuracies, and draw the learning curves.

    A sweep stands for its settings: a curve is the mean over the seeds, in a band from the lowest to the highest.

    \b
    cnnmnist compare pretrained latest
    cnnmnist compare pretrained latest --test
    cnnmnist compare slower faster --output curves.svg
    cnnmnist compare rates
    """
    from cnnmnist.runs.diff import differences
    from cnnmnist.visualization.figures import check_figure_path  # imports matplotlib

    if output:
        check_figure_path(output)
    terminal = Terminal(as_json)
    titled = [group for name in names for group in _groups(name, runs_dir)]
    if len(titled) < 2:
        raise click.UsageError(
            "There is nothing to compare: name two runs or more, or a sweep of several settings."
        )
    titles, groups = _titles(titled), [group for _, group in titled]
    runs = [group[0] for group in groups]
    if tested:
        from cnnmnist.cli.paired_test import load_same_dataset, paired_test

        if any(len(group) > 1 for group in groups):
            raise click.UsageError("--test compares single runs: name runs of the sweep, such as SWEEP/RUN.")
        dataset = load_same_dataset(runs, titles)
    differing = differences([run.metadata for run in runs])
    if any(len(group) > 1 for group in groups):
        differing.pop("training.seed", None)
    more = f"-and-{len(runs) - 2}-more" if len(runs) > 2 else ""
    file_name = f"compared-with-{runs[1].directory.resolve().name[:LONGEST_NAME]}{more}.png"
    path = output or runs[0].figures / file_name
    curves = [_curve(group, title, terminal) for group, title in zip(groups, titles, strict=True)]
    cnnmnist.save_figure(cnnmnist.draw_learning_curves(curves), path)
    if differing:
        texts = {field: [value_text(value) for value in values] for field, values in differing.items()}
        _show("Differences", "field", titles, texts, terminal)
    else:
        terminal.out.print("The runs have the same recipe, data and versions.")
    if ladders := _ladders(groups):
        _show("Accuracy on Test-Set", "iterations", titles, ladders, terminal)
    figures, pairs = [path], {}
    if tested:
        pairs["pairs"], drawn = paired_test(runs, titles, dataset, path, terminal)
        figures += drawn
    for figure in figures:
        terminal.out.print(f"Figure: {figure}")
    terminal.result(
        {
            "runs": [str(run.directory) for run in runs],
            "differences": differing,
            "groups": [[str(run.directory) for run in group] for group in groups],
            "ladders": [[rung.model_dump() for rung in run.metadata.ladder] for run in runs],
            "figures": [str(figure) for figure in figures],
            **pairs,
        }
    )


def _groups(name: str, runs_dir: Path) -> "list[tuple[str, list[cnnmnist.Run]]]":
    """A run, or the finished runs of each setting of a sweep, and what they are called."""
    from cnnmnist.cli.sweep import describe
    from cnnmnist.runs.store import find_sweep
    from cnnmnist.runs.sweeps import sweep_results

    try:
        run = cnnmnist.load_run(name, runs_dir)
    except MissingRunError:
        if folder := find_sweep(name, runs_dir):
            return [(describe(row.settings) or name, row.runs) for row in sweep_results(folder) if row.runs]
        raise
    return [(run.directory.resolve().name, [run])]


def _titles(titled: "list[tuple[str, list[cnnmnist.Run]]]") -> list[str]:
    """The runs' own names and the settings of sweeps, or directories if two have the same name."""
    places: set[Path] = set()
    for title, runs in titled:
        own = {run.directory.resolve() for run in runs}
        if places & own:
            raise click.UsageError(f"{title!r} is the same run as an earlier one: name each run once.")
        places |= own
    names = [title for title, _ in titled]
    names = names if len(set(names)) == len(names) else [str(runs[0].directory) for _, runs in titled]
    return [printable(name) for name in names]


def _curve(runs: "list[cnnmnist.Run]", title: str, terminal: Terminal) -> "cnnmnist.LearningCurve":
    import numpy as np

    losses = accuracies = np.empty(0)
    try:
        metrics = [run.load_metrics() for run in runs]
        least = min(len(each.losses) for each in metrics)
        losses, accuracies = np.stack([(each.losses[:least], each.accuracies[:least]) for each in metrics], axis=1)
    except RunError as error:
        terminal.warn(f"{str(error).rstrip('.')}: the learning curve of {title} is left out.")
    short = title if len(title) <= LONGEST_NAME else f"…{title[1 - LONGEST_NAME :]}"
    ladder = [(rung.iteration, rung.accuracy) for run in runs for rung in run.metadata.ladder]
    return cnnmnist.LearningCurve(short, losses, accuracies, ladder)


def _ladders(groups: "list[list[cnnmnist.Run]]") -> dict[str, list[str]]:
    """Accuracies by iteration, of a sweep their mean over the seeds."""
    rungs = [[rung for run in group for rung in run.metadata.ladder] for group in groups]
    table = {}
    for iteration in sorted({rung.iteration for each in rungs for rung in each}):
        reached = [[rung.accuracy for rung in each if rung.iteration == iteration] for each in rungs]
        table[f"{iteration:,}"] = [f"{mean(each):.2%}" if each else "-" for each in reached]
    return table


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
