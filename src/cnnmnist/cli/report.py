"""``cnnmnist report``."""

from typing import Any

import click

from cnnmnist.cli.command import Command
from cnnmnist.cli.draw import PageOptions, page_options, write_page


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
    from cnnmnist.pages.report import report_page

    write_page("report.html", report_page, PageOptions(**given))
