"""``cnnmnist draw``."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import Command, require_extra
from cnnmnist.cli.options import data_options, run_option, runs_dir_option
from cnnmnist.cli.terminal import Terminal, choose_run
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import DataError

PORT = 2828


@dataclass(frozen=True)
class DrawOptions:
    """What was asked of ``cnnmnist draw``."""

    run_name: str | None
    port: int
    open: bool
    dataset: str | None
    data_dir: Path | None
    runs_dir: Path


@click.command(cls=Command)
@run_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    metavar="N",
    help="Port of the page; 0 for any free port.",
)
@click.option("--open/--no-open", default=True, help="Open the page in a browser.")
@data_options
@runs_dir_option
def command(**given: Any) -> None:
    """Draw a digit with mouse, pen, finger or keys on a page, and watch the network read it.

    The page is at the address 127.0.0.1: only this machine can open it. Ctrl-C ends the command.

    \b
    cnnmnist draw
    cnnmnist draw --run pretrained --port 8080 --no-open
    """
    draw(DrawOptions(**given))


def draw(options: DrawOptions) -> None:
    """Serve the page until Ctrl-C."""
    require_extra("draw", "cnnmnist draw", "starlette", "uvicorn")

    from cnnmnist.drawing.server import ADDRESS, listen, serve

    terminal = Terminal()
    run = choose_run(options.run_name, options.runs_dir, terminal)
    with listen(options.port) as listener:
        tests = _load_tests(run, options, terminal)

        from cnnmnist.drawing.app import build_app
        from cnnmnist.drawing.reader import Reader

        app = build_app(Reader(run), tests)
        terminal.warn_about(run)
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
        terminal.out.print(f"Draw at {address} (Ctrl-C ends it)")
        if options.open and (not _has_display() or click.launch(address)):
            terminal.message("No browser could be opened here: open that address in one.")
        serve(app, listener)


def _load_tests(run: "cnnmnist.Run", options: DrawOptions, terminal: Terminal) -> "cnnmnist.Dataset | None":
    """The data whose test images the page offers: the run's own, if this machine has them."""
    from cnnmnist.data.loading import locate

    if options.dataset or options.data_dir:
        return run.load_dataset(options.dataset, options.data_dir)
    own = run.metadata.dataset
    why = f"they are not on this machine: cnnmnist data fetch {own.name}"
    try:
        if own.data_dir or (own.name in DATASETS and locate(own.name)):
            return run.load_dataset()
    except DataError as error:
        why = str(error)
    if own.name == "mnist":
        return run.load_dataset("mnist5k")
    terminal.warn(f"the page has no test images of {own.name}; {why}")
    return None


def _has_display() -> bool:
    """Whether a browser could have a window: one in the terminal would take it from the server."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
