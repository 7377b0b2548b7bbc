"""``cnnmnist sweep``."""

import re
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.live import Live
from rich.table import Table

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.completion import SETTING, SWEEP
from cnnmnist.cli.options import json_option
from cnnmnist.cli.tables import make_table, value_text
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train import load_training_data
from cnnmnist.cli.train_options import TrainOptions, recipe_options
from cnnmnist.errors import BusyRunError, TrainingError, shell_quoted
from cnnmnist.files import write_csv

if TYPE_CHECKING:
    from cnnmnist.runs.sweeps import PlannedRun, Row

MOST_SEEDS = 10_000  # of a range


def _seeds(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    seeds: list[int] = []
    for part in value.split(","):
        digits = re.fullmatch(r"\s*(\d{1,10})(?:\s*-\s*(\d{1,10}))?\s*", part)
        first, last = map(int, (digits[1], digits[2] or digits[1])) if digits else (1, 0)
        if not first <= last < min(first + MOST_SEEDS, 2**31):
            raise click.BadParameter(f"{value!r} is not a list of seeds such as 0-4 or 0,3,7.")
        seeds += range(first, last + 1)
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
    among the processes. The same NAME with other seeds and settings adds their runs; the table shows all.

    \b
    cnnmnist sweep seeds --config fast
    cnnmnist sweep rates --vary training.learning_rate=1e-4,3e-4,1e-3 --vary model.dropout=0,0.3
    cnnmnist sweep recipes --vary config=tutorial,fast,best --seeds 0-4
    """
    from cnnmnist.runs.store import check_new_name
    from cnnmnist.runs.sweeps import plan_sweep, read_runs, sweep_results

    options = TrainOptions.parse(**given)
    terminal = Terminal(options.as_json)
    check_new_name(options.runs_dir, name)
    folder = options.runs_dir / name
    fixed = options.overrides | ({"config": options.config} if options.config else {})
    varied = _varied(vary, fixed)
    runs = read_runs(folder)
    planned = plan_sweep(folder, runs, {"config": "tutorial", **fixed}, {"training.seed": seeds, **varied})
    dataset = load_training_data(planned[0].recipe, options, terminal)
    for run in runs:
        run.check_same(dataset)
    finished = {run.directory for run in runs if run.metadata.status == "finished"}
    try:
        failures = _train(planned, finished, dataset, terminal)
    except KeyboardInterrupt:
        terminal.err.print(
            f"Interrupted. Continue with the same command: cnnmnist {' '.join(map(shell_quoted, sys.argv[1:]))}"
        )
        sys.exit(130)
    rows = sweep_results(folder, varied)
    _show(rows, folder, terminal)
    if csv_file:
        lines = (
            [*row.settings.values(), seed, run.directory, run.metadata.iteration, accuracy, run.metadata.seconds]
            for row in rows
            for seed, run, accuracy in zip(row.seeds, row.runs, row.accuracies, strict=True)
        )
        write_csv(csv_file, [*rows[0].settings, "seed", "run", "iterations", "accuracy", "seconds"], lines)
    documents = [vars(row) | {"runs": [str(run.directory) for run in row.runs]} for row in rows]
    terminal.result({"sweep": name, "runs_dir": str(options.runs_dir), "rows": documents})
    if failures:
        raise TrainingError(f"{len(failures)} of the runs failed; the first: {failures[0]}")


def _varied(vary: tuple[str, ...], fixed: dict[str, Any]) -> dict[str, list[Any]]:
    """The values of --vary by field; the recipes check them."""
    from cnnmnist.recipes import parse_yaml

    parts = [[part.strip() for part in each.partition("=")[::2]] for each in vary]
    fields = [field for field, _ in parts]
    if "dataset" in fields or "training.seed" in [*fields, *fixed]:
        raise click.UsageError(
            "A sweep has several seeds: choose the seeds with --seeds, and the data set, one for all runs, with "
            "--dataset."
        )
    varied: dict[str, list[Any]] = {}
    for field, values in parts:
        if not values:
            raise click.UsageError(f"--vary {field}: write it as KEY=VALUE,VALUE,...")
        if field in varied or field in fixed:
            raise click.UsageError(f"{field} is given twice: vary it or set it.")
        varied[field] = parse_yaml(f"[{values}]", f"--vary {field}")
    return varied


def _train(
    planned: "list[PlannedRun]", finished: set[Path], dataset: "cnnmnist.Dataset", terminal: Terminal
) -> list[TrainingError]:
    """Train what is not finished, and return the errors of the runs that failed.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the run is saved.
    """
    left = [(number, each) for number, each in enumerate(planned, 1) if each.directory not in finished]
    if not left:
        return []
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    with terminal.waiting("Starting TensorFlow"):
        # It takes seconds: after a look at a run, another process could finish that run meanwhile.
        resume = cnnmnist.resume
    failures: dict[Path, TrainingError] = {}
    with Live(console=terminal.err, transient=True) if terminal.shows_progress else nullcontext() as live:
        # The second time, for the runs that other processes have left unfinished.
        for number, each in 2 * left:
            run = each.begin(dataset)
            if run.metadata.status == "finished" or each.directory in failures:
                continue
            title = f"run {number} of {len(planned)} ({describe(each.settings)})"
            try:
                resume(run, dataset, progress=_watch(run, title, live) if live else None)
            except BusyRunError:
                continue  # another process trains it
            except TrainingError as error:  # other settings may be better
                terminal.warn(f"{title}: {error}")
                failures[each.directory] = error
            else:
                terminal.message(f"{title}: {run.metadata.ladder[-1].accuracy:.2%}")
    return list(failures.values())


def _watch(run: "cnnmnist.Run", title: str, live: Live) -> Callable[[Any], None]:
    """Show what the sweep has reached, and below it what the returned function hears of a training."""
    from cnnmnist.runs.sweeps import sweep_results

    table = _table(sweep_results(run.directory.parent))
    live.update(table)

    def hear(event: Any) -> None:
        if isinstance(event, cnnmnist.Progress):
            table.caption = f"{title}: iteration {event.iteration:,}, loss {event.losses.mean():.3f}"

    return hear


def describe(settings: dict[str, Any]) -> str:
    """Settings in words, such as ``learning_rate 0.001, dropout 0.3``."""
    return ", ".join(f"{_short_name(field)} {value_text(value)}" for field, value in settings.items())


def _short_name(field: str) -> str:
    return "recipe" if field == "config" else field.partition(".")[2] or field


def _table(rows: "list[Row]", title: str = "") -> Table:
    """A row for each setting, the best first."""
    cells = []
    for row in rows:
        done, left = len(row.runs), len(row.unfinished)
        seeds = f"{done} of {done + left}" if left else str(done)
        mean = "-" if row.mean is None else f"{row.mean:.2%}"
        deviation = "-" if row.standard_deviation is None else f"{100 * row.standard_deviation:.2f}"
        spread = f"{100 * min(row.accuracies):.2f} to {max(row.accuracies):.2%}" if row.runs else "-"
        p_value = "" if row.p_value is None else f"{row.p_value:.3f}"
        cells.append([*map(value_text, row.settings.values()), seeds, mean, deviation, spread, p_value])
    columns = [*map(_short_name, rows[0].settings), "seeds", "mean", "deviation", "range", "p"]
    return make_table(columns, cells, title=title, left=0, compact=True)


def _show(rows: "list[Row]", folder: Path, terminal: Terminal) -> None:
    """The table, and what may be concluded from it."""
    from cnnmnist.runs.sweeps import clearly_worse
    from cnnmnist.statistics import LEVEL, smallest_p_value

    out, tested = terminal.out, [row for row in rows if row.p_value is not None]
    out.print(_table(rows, f"Accuracy on Test-Set, sweep {folder.name}"))
    if tested:
        counts = len(rows[0].seeds), max(len(row.seeds) for row in tested)
        smallest = smallest_p_value(*counts)
        out.print(
            "p: how often the seeds alone make a difference from the first row as large as this one (exact "
            f"permutation test; with {counts[0]} against {counts[1]} seeds, the smallest p is {smallest:.2g})."
        )
        level = f"at 5 % in all {len(tested)} comparisons, by Holm's method"
        worse = "; ".join(describe(row.settings) for row in clearly_worse(rows))
        if not worse and smallest > LEVEL / len(tested):
            out.print(f"So few seeds cannot show a difference ({level}): give more --seeds.")
        else:
            out.print(f"Below the first row by more than the seeds differ ({level}): {worse or 'none'}.")
    if unfinished := sum(len(row.unfinished) for row in rows):
        asked = unfinished + sum(len(row.runs) for row in rows)
        out.print(
            f"Not finished: {unfinished} of {asked} runs, which other processes train, or nobody; "
            "the same command continues those that nobody trains."
        )
    out.print(f"Runs: {folder}")
