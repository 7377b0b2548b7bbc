"""``cnnmnist runs``."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.options import json_option, runs_dir_option
from cnnmnist.cli.tables import make_table, styled
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import MissingRunError

if TYPE_CHECKING:
    from cnnmnist.runs.store import DamagedRun

LARGEST_FIRST = ("iterations", "accuracy", "seconds")
KEYS = ("started", "name", "recipe", "dataset", "status", *LARGEST_FIRST)


@click.command(cls=Command)
@click.argument("sweep", required=False)
@click.option(
    "--sort",
    type=click.Choice(KEYS),
    default="started",
    help="Column to sort by: the newest, the largest or the first in the alphabet comes first.",
)
@runs_dir_option
@json_option
def command(sweep: str | None, sort: str, runs_dir: Path, as_json: bool) -> None:
    """List the runs with their recipe, data, accuracy and time, or those of a sweep.

    A sweep is one line, with all its iterations and time, and the accuracy of its best run.

    \b
    cnnmnist runs
    cnnmnist runs --sort accuracy
    cnnmnist runs rates
    """
    from cnnmnist.runs.store import find_sweep, list_runs, list_sweeps

    terminal = Terminal(as_json)
    if sweep:
        folder = find_sweep(sweep, runs_dir)
        if folder is None:
            raise MissingRunError(f"There is no sweep {sweep!r} in {runs_dir}: `cnnmnist runs` lists all.")
        runs_dir = folder
    entries = [_entry(run) for run in list_runs(runs_dir)]
    sweeps = [_sweep_entry(each, [_entry(run) for run in list_runs(each)]) for each in list_sweeps(runs_dir)]
    entries = sorted([*entries, *sweeps], key=lambda entry: entry["started"] or "", reverse=True)
    if sort != "started":  # they come newest first
        # A run without the value, such as an accuracy before its first evaluation, comes last.
        known = [entry for entry in entries if entry[sort] is not None]
        unknown = [entry for entry in entries if entry[sort] is None]
        entries = sorted(known, key=lambda entry: entry[sort], reverse=sort in LARGEST_FIRST) + unknown
    if entries:
        _show(entries, terminal)
    else:
        terminal.out.print(f"There is no run in {runs_dir}: train one with `cnnmnist train`.")
    terminal.result(entries)


def _blank_entry(directory: Path) -> dict[str, Any]:
    return dict.fromkeys(("run", *KEYS, "reason")) | {"run": str(directory), "name": directory.name}


def _entry(run: "cnnmnist.Run | DamagedRun") -> dict[str, Any]:
    entry = _blank_entry(run.directory)
    if not isinstance(run, cnnmnist.Run):
        return entry | {"status": "damaged", "reason": run.reason, "started": run.started or None}
    metadata = run.metadata
    return entry | {
        "started": metadata.started,
        "recipe": metadata.recipe.name,
        "dataset": metadata.dataset.name,
        "status": metadata.status,
        "iterations": metadata.iteration,
        "accuracy": metadata.ladder[-1].accuracy if metadata.ladder else None,
        "seconds": round(metadata.seconds, 3),
    }


def _sweep_entry(directory: Path, entries: list[dict[str, Any]]) -> dict[str, Any]:
    total = _blank_entry(directory)
    joins: dict[str, Any] = dict.fromkeys(("recipe", "dataset"), lambda names: " ".join(sorted({*names})))
    for key, join in (joins | {"started": max, "iterations": sum, "accuracy": max, "seconds": sum}).items():
        if values := [entry[key] for entry in entries if entry[key] is not None]:
            total[key] = join(values)
    size = len(entries)
    finished = sum(entry["status"] == "finished" for entry in entries)
    return total | {"status": f"{finished:,} of {size:,}" if finished < size else "finished", "runs": size}


def _show(entries: list[dict[str, Any]], terminal: Terminal) -> None:
    rows = []
    for entry in entries:
        accuracy, seconds, iterations = entry["accuracy"], entry["seconds"], entry["iterations"]
        cells = (
            entry["name"],
            entry["recipe"] or "-",
            entry["dataset"] or "-",
            "-" if iterations is None else f"{iterations:,}",
            "-" if accuracy is None else f"{accuracy:.2%}",
            "-" if seconds is None else str(timedelta(seconds=round(seconds))),
            entry["status"],
        )
        rows.append([styled(cell, "red" if entry["reason"] else "") for cell in cells])
    columns = ["run", "recipe", "data", "iterations", "accuracy", "time", "status"]
    terminal.out.print(make_table(columns, rows, left=3, compact=True))
    for entry in entries:
        if entry["reason"]:
            terminal.warn(entry["reason"])
