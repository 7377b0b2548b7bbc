"""The command line: the only place that parses arguments, prints and exits.

A command's module is imported when the command is asked for, and what is slow to import inside of its
function, so that help is immediate.
"""

import importlib
from typing import Any

import click

from cnnmnist import __version__

COMMANDS = {
    "train": "Train the network.",
    "evaluate": "Measure a trained network on a split of the digits.",
    "visualize": "Look at filters, layer outputs and images.",
    "summary": "See a network layer by layer.",
    "predict": "Read the digits in pictures of your own.",
    "draw": "Draw on a page, and watch the network read.",
    "export": "Write the network for other programs.",
    "runs": "List the runs.",
    "compare": "See in what runs differ, and how they went.",
    "data": "List, download and inspect data sets.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: Any = importlib.import_module(f"cnnmnist.cli.{name}").command
        return command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="cnnmnist %(version)s")
def main() -> None:
    """The classic convolutional network for handwritten digits.

    \b
    cnnmnist train
    cnnmnist evaluate --show-errors
    cnnmnist visualize --layer conv1 --image 13
    """
