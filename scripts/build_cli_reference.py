"""Write docs/cli.md from the help of the commands; a test fails if the page differs from their help."""

from collections.abc import Iterator
from pathlib import Path

import click

from cnnmnist.cli import main

PATH = Path(__file__).parents[1] / "docs" / "cli.md"


def reference() -> str:
    """The help of every command, as Markdown."""
    parts = [
        "# Command-line reference\n\nWritten by `scripts/build_cli_reference.py` from the commands' own help.\n"
    ]
    context = click.Context(main, info_name="cnnmnist", terminal_width=100, max_content_width=100)
    return "\n".join([*parts, *_sections(context)])


def _sections(context: click.Context) -> Iterator[str]:
    """The help of a command, then the help of its subcommands."""
    command = context.command
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from _sections(click.Context(inner, parent=context, info_name=name))


if __name__ == "__main__":
    PATH.write_text(reference(), "utf-8")
