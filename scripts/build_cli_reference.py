"""Write docs/cli.md from the commands themselves; a test fails when it is not what this would write."""

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
    for name in ["", *main.list_commands(context)]:
        command = main.get_command(context, name) if name else main
        assert command
        inner = click.Context(command, parent=context, info_name=name) if name else context
        title = f"cnnmnist {name}".strip()
        parts.append(f"## {title}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.write_text(reference(), "utf-8")
