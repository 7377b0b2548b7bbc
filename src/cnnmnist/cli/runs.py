"""``cnnmnist runs``."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import Command, Terminal, json_option, runs_dir_option

if TYPE_CHECKING:
    from cnnmnist.runs.store import DamagedRun, Run

LARGEST_FIRST = ("iterations", "accuracy", "seconds")
KEYS = ("started", "name", "recipe", "dataset", "status", *LARGEST_FIRST)


@click.command(cls=Command)
@click.option(
    "--sort",
    type=click.Choice(KEYS),
    default="started",
    show_default=True,
    help="By what: newest, largest or alphabetically first.",
)
@runs_dir_option
@json_option
def command(sort: str, runs_dir: Path, as_json: bool) -> None:
    """List the runs with what they were made of and what they reached.

    \b
    cnnmnist runs
    cnnmnist runs --sort accuracy
    """
    from cnnmnist.runs.store import list_runs

    terminal = Terminal(as_json)
    entries = [_entry(run) for run in list_runs(runs_dir)]
    if sort != "started":  # they come newest first
        # What a run does not have, such as an accuracy before its first evaluation, comes last.
        known = [entry for entry in entries if entry[sort] is not None]
        unknown = [entry for entry in entries if entry[sort] is None]
        entries = sorted(known, key=lambda entry: entry[sort], reverse=sort in LARGEST_FIRST) + unknown
    if entries:
        _show(entries, terminal)
    else:
        terminal.out.print(f"There is no run in {runs_dir}: train one with `cnnmnist train`.")
    terminal.result(entries)


def _entry(run: "Run | DamagedRun") -> dict[str, Any]:
    from cnnmnist.runs.store import Run

    entry: dict[str, Any] = dict.fromkeys(("run", *KEYS, "reason"))
    entry |= {"run": str(run.directory), "name": run.directory.name}
    if not isinstance(run, Run):
        return entry | {"status": "damaged", "reason": run.reason}
    record = run.record
    return entry | {
        "started": record.started,
        "recipe": record.recipe.name,
        "dataset": record.dataset.name,
        "status": record.status,
        "iterations": record.iteration,
        "accuracy": record.ladder[-1].accuracy if record.ladder else None,
        "seconds": round(record.seconds, 3),
    }


def _show(entries: list[dict[str, Any]], terminal: Terminal) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from cnnmnist.cli.terminal import printable

    table = Table(box=box.SIMPLE)
    for title in ("run", "recipe", "data"):
        table.add_column(title, overflow="fold")
    for title in ("iterations", "accuracy", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
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
        table.add_row(*(Text(printable(cell)) for cell in cells), style="red" if entry["reason"] else "")
    terminal.out.print(table, soft_wrap=False)
    for entry in entries:
        if entry["reason"]:
            terminal.warn(entry["reason"])
