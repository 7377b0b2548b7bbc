"""``cnnmnist draw``, and what it shares with ``cnnmnist report``."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.completion import RUN
from cnnmnist.cli.options import CommonOptions, common_options, options, output_option
from cnnmnist.cli.terminal import Terminal, choose_run
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import DataError
from cnnmnist.files import replacing

page_options = options(
    click.argument("run_name", required=False, type=RUN, metavar="[RUN]"),
    output_option("File to write.  [default: in the run's directory]"),
    click.option("--open/--no-open", default=True, help="Open the page in a browser."),
    common_options,
)


@dataclass(frozen=True, kw_only=True)
class PageOptions(CommonOptions):
    """What was asked of ``cnnmnist draw`` or ``cnnmnist report``."""

    run_name: str | None
    output: Path | None
    open: bool


@click.command(cls=Command)
@page_options
def command(**given: Any) -> None:
    """Write a page that holds the network of RUN: draw a digit on it, and watch the network read it.

    The page is one HTML file, which works without a network and without this program. The default RUN is the
    latest or, if there is none, handwriting.

    \b
    cnnmnist draw
    cnnmnist draw pretrained --output draw.html --no-open
    """
    from cnnmnist.pages.page import draw_page

    write_page("draw.html", draw_page, PageOptions(**given))


def write_page(name: str, make: Callable[["cnnmnist.Run", Any], str], options: PageOptions) -> None:
    """Make a page from a run and its test images, write it, say where it is, and open it."""
    terminal = Terminal(options.as_json)
    run = choose_run(options.run_name, options.runs_dir, terminal)
    page = make(run, _load_tests(run, options, terminal))
    terminal.warn_about(run)
    path = options.output or run.figures.parent / name
    with replacing(path, make_folder=True) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    terminal.out.print(f"Page: {path}")
    if options.open and (not _has_display() or click.launch(str(path))):
        terminal.message(
            "No browser could be opened here: copy the file to a machine with one, or serve its folder with "
            "`python -m http.server --bind 127.0.0.1`."
        )
    terminal.result({"run": str(run.directory), "file": str(path)})


def _load_tests(run: "cnnmnist.Run", options: PageOptions, terminal: Terminal) -> "cnnmnist.Dataset | None":
    """The data whose test images the page shows: the run's own, if this machine has them."""
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
    """Whether a browser could have a window: one in the terminal would take it from the user."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
