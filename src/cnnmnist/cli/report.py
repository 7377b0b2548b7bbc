"""``cnnmnist report``."""

from typing import Any

import click

from cnnmnist.cli.command import Command
from cnnmnist.cli.draw import PageOptions, finish, load_tests, page_options
from cnnmnist.cli.terminal import Terminal, choose_run
from cnnmnist.errors import DataError


@click.command(cls=Command)
@page_options
def command(**given: Any) -> None:
    """Write a page that tells how RUN went: accuracy, errors, filters, recipe, and the page of draw.

    The page is one HTML file, which works without a network and can be printed. The default RUN is the latest or,
    if there is none, handwriting.

    \b
    cnnmnist report
    cnnmnist report 20260723-120000-tutorial --output report.html --no-open
    """
    options = PageOptions(**given)
    terminal = Terminal(options.as_json)
    run = choose_run(options.run_name, options.runs_dir, terminal)
    dataset = load_tests(run, options, terminal)
    if dataset is None:
        raise DataError(f"The report of {run.name} needs the test images of its data: name them with --data-dir.")

    from cnnmnist.pages.report import report_page

    finish(report_page(run, dataset), "report.html", run, options, terminal)
