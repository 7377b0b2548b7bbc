"""Write docs/cli.md from the output of the program; a test fails if the page differs from it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cnnmnist.cli import main

PATH = Path(__file__).parents[1] / "docs" / "cli.md"
TITLE = "# Command-line reference\n\nWritten by `scripts/build_cli_reference.py` from the commands' own help.\n"
# The program under the name that it has after an installation. Help is never wider than 80 columns.
PROGRAM = "import sys; from cnnmnist.cli import main; sys.argv[0] = 'cnnmnist'; main()"
ENVIRONMENT = os.environ | {"COLUMNS": "80"}


def reference() -> str:
    """The help of every command, as Markdown."""
    return "\n".join([TITLE, *(_section(names) for names in _commands(main, []))])


def _commands(command: click.Command, names: list[str]) -> Iterator[list[str]]:
    """The words that name a command, then the words of each command under it."""
    yield names
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from _commands(inner, [*names, name])


def _section(names: list[str]) -> str:
    arguments = [sys.executable, "-c", PROGRAM, *names, "--help"]
    done = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return f"## {' '.join(['cnnmnist', *names])}\n\n```text\n{done.stdout}```\n"


if __name__ == "__main__":
    PATH.write_text(reference(), "utf-8")
