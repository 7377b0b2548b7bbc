"""``cnnmnist sweep``."""

import contextlib
import csv
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.live import Live
from rich.table import Table

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.completion import SETTING, SWEEP
from cnnmnist.cli.options import json_option
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train import load_training_data
from cnnmnist.cli.train_options import TrainOptions, recipe_options
from cnnmnist.errors import BusyRunError, TrainingError, shell_quoted

if TYPE_CHECKING:
    from cnnmnist.runs.sweep_results import Row
    from cnnmnist.runs.sweeps import Sweep, SweepDefinition

INSTEAD = "choose the seeds with --seeds, and the data set, one for all runs, with --dataset."


def _seeds(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    seeds: list[int] = []
    try:
        for part in value.split(","):
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            seeds += {True: numbers}[0 < len(numbers) <= 10_000 and numbers[-1] < 2**31]
    except (ValueError, LookupError, OverflowError):
        raise click.BadParameter(f"{value!r} is not a list of seeds such as 0-4 or 0,3,7.") from None
    return seeds


@click.command(cls=Command)
@click.argument("name", type=SWEEP)
@click.option("--seeds", callback=_seeds, default="0-4", metavar="N-N|N,N,...", help="Seeds of each setting.")
@click.option(
    "--vary",
    type=SETTING,
    metavar="KEY=VALUE,VALUE,...",
    multiple=True,
    help="Values of a field of the recipe, such as training.learning_rate=1e-4,1e-3, or, with the key config, "
    "recipes; may be given several times, for every combination.",
)
@recipe_options
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a line for each run."
)
@json_option
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
    from cnnmnist.runs.sweeps import Sweep, open_sweep

    options = TrainOptions.parse(**given)
    terminal = Terminal(options.as_json)
    folder, definition = options.runs_dir / name, _definition(seeds, vary, options)
    recipe = Sweep(folder, definition).planned()[0].recipe
    dataset = load_training_data(recipe, options, terminal)
    sweep = open_sweep(folder, definition.model_copy(update={"dataset": dataset.name, "digest": dataset.digest}))
    try:
        failures = _train(sweep, dataset, terminal)
    except KeyboardInterrupt:
        terminal.err.print(
            f"Interrupted. Continue with the same command: cnnmnist {' '.join(map(shell_quoted, sys.argv[1:]))}"
        )
        sys.exit(130)
    rows = sweep_results(sweep)
    _show(sweep, rows, terminal)
    if csv_file:
        _write_csv(rows, csv_file)
    documents = [vars(row) | {"runs": [str(run.directory) for run in row.runs]} for row in rows]
    terminal.result({"sweep": name, "runs_dir": str(options.runs_dir), "rows": documents})
    if failures:
        raise TrainingError(f"{len(failures)} of the runs failed; the first: {failures[0]}")


def _definition(seeds: list[int], vary: tuple[str, ...], options: TrainOptions) -> "SweepDefinition":
    from cnnmnist.recipes import parse_yaml
    from cnnmnist.runs.sweeps import SweepDefinition, union

    varied: dict[str, list[Any]] = {}
    for each in vary:
        field, _, values = (part.strip() for part in each.partition("="))
        if not values:
            raise click.UsageError(f"--vary {each}: write it as KEY=VALUE,VALUE,...")
        if field in ("training.seed", "dataset"):
            raise click.UsageError(f"--vary {field}: {INSTEAD}")
        if field in varied or field in options.overrides or (field == "config" and options.config):
            raise click.UsageError(f"{field} is given twice: vary it or set it.")
        varied[field] = union([], parse_yaml(f"[{values}]", f"--vary {field}"))
    if "training.seed" in options.overrides:
        raise click.UsageError(f"--set training.seed: {INSTEAD}")
    config = None if "config" in varied else options.config or "tutorial"
    fields: dict[str, Any] = {"config": config, "overrides": options.overrides, "vary": varied}
    return SweepDefinition.model_construct(**fields, seeds=union([], seeds))  # the recipes check the values


def _train(sweep: "Sweep", dataset: "cnnmnist.Dataset", terminal: Terminal) -> list[TrainingError]:
    """Train what is left, and return the errors of the runs that failed.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the run is saved.
    """
    from cnnmnist.runs.sweep_results import sweep_results
    from cnnmnist.runs.sweeps import describe

    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    failures: list[TrainingError] = []
    left, planned = sweep.planned(), sweep.definition.size
    with (
        Live(console=terminal.err, transient=True) if terminal.shows_progress else contextlib.nullcontext() as live
    ):
        while left:
            before, held = len(left), []
            for each in left:
                run = each.begin(dataset)
                if run.metadata.status == "finished":
                    continue
                title = describe(each.settings | {"seed": each.recipe.training.seed})
                table = _table(sweep_results(sweep), sweep.directory.name) if live else Table()
                if live:
                    live.update(table)

                def show(event: Any, title: str = title, table: Table = table) -> None:
                    if isinstance(event, cnnmnist.Progress):
                        loss = f"iteration {event.iteration:,}, loss {event.losses.mean():.3f}"
                        table.caption = f"{title}: {loss}"

                try:
                    cnnmnist.resume(run, dataset, progress=show)
                except BusyRunError:  # another process trains it; should that one end, this one takes over
                    held.append(each)
                except TrainingError as error:  # other settings may be better
                    terminal.warn(f"{title}: {error}")
                    failures.append(error)
                else:
                    terminal.message(f"{title}: {run.metadata.ladder[-1].accuracy:.2%} (of {planned} runs)")
            left = held if len(held) < before else []
    return failures


def _table(rows: "list[Row]", title: str) -> Table:
    """A row for each setting, the best first."""
    from cnnmnist.runs.sweeps import short_name

    fields = [*map(short_name, rows[0].settings)]
    cells = []
    for row in rows:
        asked = len(row.seeds) + len(row.unfinished)
        numbers = ["-"] * 3
        if row.runs:
            spread = "-" if row.standard_deviation is None else f"{100 * row.standard_deviation:.2f}"
            numbers = [f"{row.mean:.2%}", spread, f"{row.minimum:.2%} to {row.maximum:.2%}".replace("% to", " to")]
        seeds = f"{len(row.seeds)} of {asked}" if row.unfinished else str(asked)
        p_value = "" if row.p_value is None else f"{row.p_value:.3f}"
        cells.append([*map(str, row.settings.values()), seeds, *numbers, p_value])
    columns = [*fields, "seeds", "mean", "deviation", "range", "p"]
    return make_table(columns, cells, title=title, left=0, compact=True)


def _show(sweep: "Sweep", rows: "list[Row]", terminal: Terminal) -> None:
    """The table, and what may be concluded from it."""
    from cnnmnist.runs.sweep_results import SIGNIFICANT, clearly_worse
    from cnnmnist.runs.sweeps import describe
    from cnnmnist.statistics import smallest_p_value

    out, tested = terminal.out, [row for row in rows if row.p_value is not None]
    out.print(_table(rows, f"Accuracy on Test-Set, sweep {sweep.directory.name}"))
    if tested:
        counts = len(rows[0].seeds), len(tested[0].seeds)
        smallest = smallest_p_value(*counts)
        out.print(
            "p: how often the seeds alone make a difference from the first row as large as this one (exact "
            f"permutation test; with {counts[0]} against {counts[1]} seeds, the smallest p is {smallest:.2g})."
        )
        level = f"at 5 % in all {len(tested)} comparisons, by Holm's method"
        worse = "; ".join(describe(row.settings) for row in clearly_worse(rows))
        if not worse and smallest > SIGNIFICANT / len(tested):
            out.print(f"So few seeds cannot show a difference ({level}): give more --seeds.")
        else:
            out.print(f"Below the first row by more than the seeds differ ({level}): {worse or 'none'}.")
    if unfinished := sum(len(row.unfinished) for row in rows):
        out.print(
            f"Not finished: {unfinished} of {sweep.definition.size} runs, which other processes train, or nobody; "
            "the same command continues those that nobody trains."
        )
    out.print(f"Runs: {sweep.directory}")


def _write_csv(rows: "list[Row]", path: Path) -> None:
    from cnnmnist.files import replacing

    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*rows[0].settings, "seed", "run", "iterations", "accuracy", "seconds"])
        for row in rows:
            for seed, run, accuracy in zip(row.seeds, row.runs, row.accuracies, strict=True):
                facts = [seed, run.directory, run.metadata.iteration, accuracy, run.metadata.seconds]
                writer.writerow([*row.settings.values(), *facts])
