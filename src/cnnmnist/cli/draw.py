"""``cnnmnist draw``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnmnist.cli.terminal import Command, Terminal, choose_run, data_options, run_option, runs_dir_option

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset
    from cnnmnist.runs.store import Run

PORT = 2828


@click.command(cls=Command)
@run_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="Where the page is; 0 for any port that is free.",
)
@click.option("--open/--no-open", "opens", default=True, show_default=True, help="Open the page in a browser.")
@data_options
@runs_dir_option
def command(
    run: str | None, port: int, opens: bool, dataset: str | None, data_dir: Path | None, runs_dir: Path
) -> None:
    """Draw a digit with mouse, pen or finger on a page, and watch the network read it; Ctrl-C ends it.

    The page is on this machine's own address, 127.0.0.1, which no other machine reaches.

    \b
    cnnmnist draw
    cnnmnist draw --run pretrained --port 8080 --no-open
    """
    from cnnmnist.cli.extras import require

    require("draw", "cnnmnist draw", "starlette", "uvicorn")

    from cnnmnist.drawing.server import ADDRESS, listen, serve

    terminal = Terminal()
    found = choose_run(run, runs_dir, terminal)
    with listen(port) as listener:
        tests = _tests(found, dataset, data_dir, terminal)

        from cnnmnist.drawing.app import build_app
        from cnnmnist.drawing.reader import Reader

        app = build_app(Reader(found), tests)
        terminal.warn_about(found)
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
        terminal.out.print(f"Draw at {address} (Ctrl-C ends it)")
        if opens and (not _has_display() or click.launch(address)):
            terminal.err.print("No browser could be opened here: open that address in one.")
        serve(app, listener)


def _tests(run: "Run", name: str | None, data_dir: Path | None, terminal: Terminal) -> "Dataset | None":
    """Whose test images the page offers: the run's own if they are on this machine, for nothing is downloaded."""
    from cnnmnist.data.loading import locate
    from cnnmnist.data.registry import DATASETS
    from cnnmnist.errors import DataError

    if name or data_dir:
        return run.load_dataset(name, data_dir)
    recorded = run.record.dataset
    reason = f"they are not on this machine: cnnmnist data fetch {recorded.name}"
    try:
        if recorded.data_dir or (recorded.name in DATASETS and locate(recorded.name)):
            return run.load_dataset()
    except DataError as error:
        reason = str(error)
    if recorded.name == "mnist":
        return run.load_dataset("mnist5k")
    terminal.warn(f"the page has no test images of {recorded.name}; {reason}")
    return None


def _has_display() -> bool:
    """Whether a browser could have a window: one in the terminal would take it from the server."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
