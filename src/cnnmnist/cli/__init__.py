"""The command line: the only place that parses arguments, prints and exits.

A command's module is imported when the command is asked for, and modules that are slow to import inside of its
functions, so that help is immediate.
"""

import importlib
from typing import Any, cast

import click

from cnnmnist import __version__
from cnnmnist.cli.command import EPILOG
from cnnmnist.cli.environment import prepare_environment

COMMANDS = {
    "train": "Train the network.",
    "sweep": "Train with several seeds and settings, and compare what they reach.",
    "evaluate": "Measure a trained network on a split of the data.",
    "visualize": "Look at filters, layer outputs and images.",
    "summary": "Show a network layer by layer.",
    "predict": "Read the digits in your own pictures.",
    "draw": "Write a page on which to draw a digit and watch the network read it.",
    "report": "Write a page that tells how a run went.",
    "export": "Write the network for other programs.",
    "runs": "List the runs.",
    "compare": "Compare runs: settings, accuracies, learning curves.",
    "recipes": "List the recipes, or explain one.",
    "data": "List, download and inspect data sets.",
}


class _Group(click.Group):
    """A group that lists its commands in their order, and imports the module of a command when it is asked for."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        prepare_environment()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return cast(click.Command, importlib.import_module(f"cnnmnist.cli.{name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Group,
    commands={name: click.Command(name) for name in COMMANDS},  # for click's "Did you mean"
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, message="cnnmnist %(version)s")
def main() -> None:
    """Train the classic convolutional network for handwritten digits, and look at what it learned.

    \b
    cnnmnist train
    cnnmnist evaluate --show-errors
    cnnmnist visualize --layer conv1 --image 13
    """
