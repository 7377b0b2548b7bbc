"""``cnnmnist sweep``."""

import contextlib
import csv
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.options import json_option, options
from cnnmnist.cli.progress import progress_bar
from cnnmnist.cli.tables import make_table, styled
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train import load_training_data, train_run
from cnnmnist.cli.train_options import TrainOptions, checkpoint_option, recipe_options
from cnnmnist.errors import TrainingError

if TYPE_CHECKING:
    from cnnmnist.runs.sweep_results import Setting
    from cnnmnist.runs.sweeps import PlannedRun, Sweep, SweepDefinition

MAX_SEEDS = 10_000


def _seeds(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    seeds: list[int] = []
    try:
        for part in value.split(","):
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            if not numbers or len(seeds) + len(numbers) > MAX_SEEDS or numbers[-1] >= 2**31:
                raise ValueError
            seeds += numbers
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a list of seeds such as 0-4 or 0,3,7 (at most {MAX_SEEDS:,}, below 2,147,483,648)."
        ) from None
    return list(dict.fromkeys(seeds))


def _without_seed(decorate: Any) -> Any:
    """The recipe options of ``train``, but --seed."""

    def decorated(function: Any) -> Any:
        function = decorate(function)
        parameters = function.__click_params__
        parameters[:] = [each for each in parameters if each.name != "seed"]
        return function

    return decorated


csv_option = click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a line for each run, too.",
)


@click.command(cls=Command)
@options(
    click.argument("name"),
    click.option(
        "--seeds", callback=_seeds, default="0-4", metavar="N-N|N,N,...", help="Seeds to train each setting with."
    ),
    click.option(
        "--vary",
        metavar="KEY=VALUE,VALUE,...",
        multiple=True,
        help="Values of a field of the recipe, such as training.learning_rate=1e-4,1e-3, or, with the key config, "
        "recipes; may be given several times, for every combination.",
    ),
    _without_seed(recipe_options),
    checkpoint_option,
    csv_option,
    json_option,
)
def command(name: str, seeds: list[int], vary: tuple[str, ...], csv_file: Path | None, **given: Any) -> None:
    """Train with several seeds and settings, one run after the other, and compare what they reach.

    The runs are in RUNS_DIR/NAME/. The same command again skips finished runs, and continues interrupted ones to
    the same bits. Started several times at once, also on other machines that share the folder, it divides the runs
    among the processes. More seeds, and more values of the same settings, may be added later.

    \b
    cnnmnist sweep seeds --config fast
    cnnmnist sweep rates --vary training.learning_rate=1e-4,3e-4,1e-3 --vary model.dropout=0,0.3
    cnnmnist sweep recipes --vary config=tutorial,fast,best --seeds 0-4
    """
    from cnnmnist.runs.sweep_results import sweep_results
    from cnnmnist.runs.sweeps import Sweep

    train_options = TrainOptions.parse(**given)
    terminal = Terminal(train_options.as_json)
    definition = _definition(seeds, vary, train_options).canonical()
    planned = list(definition.planned())
    dataset = load_training_data(planned[0].recipe, train_options, terminal)
    definition = definition.model_copy(update={"dataset": dataset.name, "digest": dataset.digest})
    sweep = Sweep.open(train_options.runs_dir, name, definition)
    hint = f"The same command continues the sweep: {shlex.join(['cnnmnist', *sys.argv[1:]])}"
    try:
        failures = _work(sweep, planned, dataset, train_options, terminal, hint)
    except KeyboardInterrupt:
        terminal.err.print(f"Interrupted. {hint}")
        os._exit(130)
    results = sweep_results(sweep)
    if csv_file:
        _write_csv(results, csv_file)
        terminal.message(f"Wrote {csv_file}")
    _show(sweep, results, terminal)
    unfinished = [
        {"run": str(sweep.directory / each.name), "status": run.metadata.status if run else "not begun"}
        for setting in results
        for each, run in setting.runs
        if not run or run.metadata.status != "finished"
    ]
    rows = [setting.row() for setting in results]
    terminal.result(
        {"sweep": name, "runs_dir": str(train_options.runs_dir), "rows": rows, "unfinished": unfinished}
    )
    if failures:
        raise TrainingError(f"{len(failures)} of the runs failed; the first: {failures[0]}")


def _definition(seeds: list[int], vary: tuple[str, ...], train_options: TrainOptions) -> "SweepDefinition":
    from cnnmnist.recipes import parse_yaml
    from cnnmnist.runs.sweeps import SweepDefinition

    varied: dict[str, list[Any]] = {}
    for each in vary:
        field, equals, values = (part.strip() for part in each.partition("="))
        if not equals or not values:
            raise click.UsageError(f"--vary {each}: write it as KEY=VALUE,VALUE,...")
        if field in ("training.seed", "dataset"):
            raise click.UsageError(f"--vary {field}: {_INSTEAD[field]}")
        if field in varied or field in train_options.overrides or (field == "config" and train_options.config):
            raise click.UsageError(f"{field} is given twice: vary it, or set it, once.")
        varied[field] = parse_yaml(f"[{values}]", f"--vary {field}")
    if "training.seed" in train_options.overrides:
        raise click.UsageError(f"--set training.seed: {_INSTEAD['training.seed']}")
    config = None if "config" in varied else train_options.config or "tutorial"
    return SweepDefinition(config=config, overrides=train_options.overrides, vary=varied, seeds=seeds)


_INSTEAD = {
    "training.seed": "choose the seeds with --seeds.",
    "dataset": "a sweep has one data set; choose it with --dataset.",
}


def _work(
    sweep: "Sweep",
    planned: "list[PlannedRun]",
    dataset: "cnnmnist.Dataset",
    train_options: TrainOptions,
    terminal: Terminal,
    hint: str,
) -> list[TrainingError]:
    """Train what is left, and return the errors of the runs that failed."""
    from cnnmnist.runs.sweeps import describe

    left = list(enumerate(planned, 1))
    failures: list[TrainingError] = []
    while left:
        before, held = len(left), []
        for number, each in left:
            title = f"Run {number} of {len(planned)}, {describe(each.settings | {'seed': each.seed})}"
            with sweep.claimed(each, dataset) as run:
                if run is None:
                    if (found := sweep.find(each)) and found.metadata.status != "finished":
                        held.append((number, each))
                    continue
                try:
                    stopped_by = _train(run, dataset, train_options, terminal, title, sweep, hint)
                except TrainingError as error:  # the other settings may be better
                    terminal.warn(f"{title}: {error}")
                    failures.append(error)
                    continue
            if stopped_by:
                terminal.err.print(
                    f"Interrupted after {run.metadata.iteration:,} iterations of {run.name}. {hint}"
                )
                os._exit(128 + stopped_by)
            terminal.message(f"{title}: {run.metadata.ladder[-1].accuracy:.2%}")
        # What another process held may be abandoned since.
        left = held if len(held) < before else []
    return failures


def _train(
    run: "cnnmnist.Run",
    dataset: "cnnmnist.Dataset",
    train_options: TrainOptions,
    terminal: Terminal,
    title: str,
    sweep: "Sweep",
    hint: str,
) -> int:
    from cnnmnist.runs.sweep_results import sweep_results

    recipe = run.metadata.recipe
    updating: Any = contextlib.nullcontext(lambda progress: None)
    if terminal.shows_progress:
        updating = progress_bar(recipe, terminal, title, _table(sweep_results(sweep), sweep.name, terminal.err))
    else:
        terminal.message(title)
    return train_run(run, dataset, None, train_options, terminal, updating, hint)


def _table(results: "list[Setting]", title: str, console: Console) -> Table:
    """A row for each setting, the best first; on a narrow terminal, some columns are left out."""
    from cnnmnist.runs.sweeps import short_name

    columns: dict[str, list[Any]] = {
        short_name(field): [str(setting.settings[field]) for setting in results] for field in results[0].settings
    }
    rows, formats = [setting.row() for setting in results], _FORMATS
    columns["seeds"] = [_count(len(row["seeds"]), len(each.runs)) for row, each in zip(rows, results, strict=True)]
    for name, (form, keys) in formats.items():
        values = [[row[key] for key in keys] for row in rows]
        columns[name] = ["-" if None in each else form.format(*each).replace("% to", " to") for each in values]
    columns["mean"] = [styled(cell, "bold") for cell in columns["mean"]]
    for name in ("time", "iterations", "range", ""):
        cells = zip(*columns.values(), strict=True)
        table = make_table([*columns], cells, title=title, left=0, compact=True)
        if (
            not name
            or Measurement.get(console, console.options.update(width=10_000), table).maximum <= console.width
        ):
            break
        del columns[name]
    return table


_FORMATS = {
    "iterations": ("{:,}", ("iterations",)),
    "mean": ("{:.2%}", ("mean",)),
    "deviation": ("{:.2%}", ("standard_deviation",)),
    "range": ("{:.2%} to {:.2%}", ("minimum", "maximum")),
    "time": ("{:.0f} s", ("seconds",)),
    "p": ("{:.3f}", ("p_value",)),
}


def _count(done: int, asked: int) -> str:
    return str(done) if done == asked else f"{done} of {asked}"


def _show(sweep: "Sweep", results: "list[Setting]", terminal: Terminal) -> None:
    """The table, and what may be concluded from it."""
    from cnnmnist.runs.sweep_results import SIGNIFICANT, clearly_worse, smallest_p_value
    from cnnmnist.runs.sweeps import describe

    out = terminal.out
    out.print(_table(results, f"Accuracy on Test-Set, sweep {sweep.name}", out), soft_wrap=False)
    tested = [each for each in results if each.p_value is not None]
    if tested:
        counts = len(results[0].accuracies), len(tested[0].accuracies)
        smallest = smallest_p_value(*counts)
        out.print(
            "p: how often the seeds alone make a difference from the first row as large as this one (exact "
            f"permutation test; with {counts[0]} against {counts[1]} seeds, the smallest p is {smallest:.2g})."
        )
        level = f"at 5 % in all, by Holm's method for {len(tested)} comparison{'s' if len(tested) > 1 else ''}"
        if worse := [describe(each.settings) for each in clearly_worse(results)]:
            out.print(f"Below the first row by more than the seeds differ ({level}): {'; '.join(worse)}.")
        elif smallest > SIGNIFICANT / len(tested):
            out.print(f"So few seeds cannot show a difference ({level}): give more --seeds.")
        else:
            out.print(f"No row is below the first one by more than the seeds differ ({level}).")
    if unfinished := sum(len(each.runs) - len(each.finished) for each in results):
        out.print(
            f"Not finished: {unfinished} runs. Other processes train them, or nobody does; the same command "
            "trains those that nobody trains, and shows the table again."
        )
    out.print(f"Runs: {sweep.directory}")


def _write_csv(results: "list[Setting]", path: Path) -> None:
    from cnnmnist.files import replacing

    columns = ["seed", "run", "status", "iterations", "accuracy", "seconds"]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*results[0].settings, *columns])
        for setting in results:
            for planned, run in setting.runs:
                cells: list[Any] = [*setting.settings.values(), planned.seed]
                if run:
                    metadata = run.metadata
                    accuracy = metadata.ladder[-1].accuracy if metadata.ladder else None
                    cells += [run.directory, metadata.status, metadata.iteration, accuracy, metadata.seconds]
                writer.writerow(cells)
