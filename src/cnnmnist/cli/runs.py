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

if TYPE_CHECKING:
    from cnnmnist.runs.store import DamagedRun

LARGEST_FIRST = ("iterations", "accuracy", "seconds")
KEYS = ("started", "name", "recipe", "dataset", "status", *LARGEST_FIRST)


@click.command(cls=Command)
@click.option(
    "--sort",
    type=click.Choice(KEYS),
    default="started",
    help="Column to sort by: the newest, the largest or the first in the alphabet comes first.",
)
@runs_dir_option
@json_option
def command(sort: str, runs_dir: Path, as_json: bool) -> None:
    """List the runs with their recipe, data, accuracy and time.

    \b
    cnnmnist runs
    cnnmnist runs --sort accuracy
    """
    from cnnmnist.runs.store import list_runs

    terminal = Terminal(as_json)
    entries = [_entry(run) for run in list_runs(runs_dir)]
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


def _entry(run: "cnnmnist.Run | DamagedRun") -> dict[str, Any]:
    entry: dict[str, Any] = dict.fromkeys(("run", *KEYS, "reason"))
    entry |= {"run": str(run.directory), "name": run.directory.name}
    if not isinstance(run, cnnmnist.Run):
        return entry | {"status": "damaged", "reason": run.reason}
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
    terminal.out.print(make_table(columns, rows, left=3))
    for entry in entries:
        if entry["reason"]:
            terminal.warn(entry["reason"])
