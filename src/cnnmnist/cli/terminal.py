"""The terminal: results go to standard output, messages to standard error, and nothing unprintable to either."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.panel import Panel
from rich.segment import Segment
from rich.text import Text

import cnnmnist
from cnnmnist.cli.command import QUIET, printable
from cnnmnist.errors import MissingRunError


class _PrintableConsole(Console):
    """A console that shows what is not printable as escapes, wherever it stands: in a text, a table or a frame."""

    def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)


class Terminal:
    """The two streams of a command.

    With ``--json``, results go to standard error like messages, and standard output holds one JSON document. With
    ``--quiet``, messages are left out.
    """

    def __init__(self, as_json: bool = False) -> None:
        context = click.get_current_context(silent=True)
        self.quiet = bool(context and context.meta.get(QUIET))
        self.as_json = as_json
        plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}
        self.err = _PrintableConsole(stderr=True, **plain)
        self.out = self.err
        if not as_json or self.quiet:
            self.out = _PrintableConsole(quiet=as_json, **plain)

    def result(self, document: dict[str, Any] | list[Any]) -> None:
        """Print the JSON document, if that was asked for."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))

    def message(self, text: str) -> None:
        """Print a message on standard error."""
        if not self.quiet:
            self.err.print(text)

    def warn(self, text: str) -> None:
        """Print a warning on standard error, also with ``--quiet``."""
        self.err.print(f"Warning: {text}", style="yellow")

    def warn_about(self, run: "cnnmnist.Run") -> None:
        """Warn where a run is unfinished, or other versions made it."""
        metadata = run.metadata
        if metadata.status != "finished":
            done = f"{metadata.iteration:,} of {metadata.recipe.training.iterations:,} iterations"
            self.warn(f"the run {run.name} is {metadata.status}, {done}: this is the last network that it saved.")
        self.warn_of_versions(run, "the results may differ slightly from the earlier ones")

    def warn_of_versions(self, run: "cnnmnist.Run", consequence: str) -> None:
        """Warn where versions have changed since the run was made."""
        if changes := run.version_changes():
            self.warn(f"the run {run.name} was made with {changes}: {consequence}.")

    def warn_of_data(self, dataset: "cnnmnist.Dataset") -> None:
        """Warn of files that were passed over, and of splits that the program chose itself."""
        for note in dataset.notes:
            self.warn(note)

    def with_drawable_names(self, dataset: "cnnmnist.Dataset") -> "cnnmnist.Dataset":
        """The data set as figures show it: without fonts for the names of its classes, with their numbers."""
        from cnnmnist.visualization.fonts import can_draw  # imports matplotlib

        if can_draw(dataset.class_names):
            return dataset
        self.warn("no font here has all letters of the class names, so that figures show the classes by number.")
        return replace(dataset, class_names=tuple(map(str, range(len(dataset.class_names)))))

    @property
    def shows_progress(self) -> bool:
        """Whether standard error can show a live display; with FORCE_COLOR, rich sees terminals everywhere."""
        return self.err.file.isatty() and self.err.is_interactive and not self.quiet

    def waiting(self, reason: str) -> AbstractContextManager[Any]:
        """Show on a terminal what the program is waiting for."""
        spinner = "line" if self.err.options.ascii_only else "dots"
        return self.err.status(reason, spinner=spinner) if self.shows_progress else contextlib.nullcontext()

    def notice(self, title: str, message: str) -> None:
        """Print a framed paragraph on standard error, also with ``--quiet``."""
        self.err.print(Panel(Text(message), title=title, border_style="bold yellow"), soft_wrap=False)

    def preview(self, grid: "cnnmnist.ImageGrid") -> None:
        """Draw a figure in the terminal; print nothing in a pipe or a file."""
        if self.shows_images:
            # matplotlib, whose colours it uses, takes half a second to import.
            from cnnmnist.cli.preview import preview

            self.out.print(preview(grid, self.out.width, self.draws_in_color), soft_wrap=False)

    @property
    def shows_images(self) -> bool:
        """Whether images can be drawn on standard output."""
        return self.out.file.isatty()

    @property
    def draws_in_color(self) -> bool:
        """Whether images can be drawn as coloured half blocks."""
        out = self.out
        return out.color_system is not None and not out.no_color and not out.options.ascii_only


def choose_run(name: str | None, runs_dir: Path, terminal: Terminal) -> "cnnmnist.Run":
    """Load the run of that name; without a name the latest run or, if there is none, ``handwriting``.

    Raises:
        RunError: there is no such run, or its metadata are damaged.
    """
    if name is not None:
        return cnnmnist.load_run(name, runs_dir)
    try:
        run = cnnmnist.load_run("latest", runs_dir)
    except MissingRunError:
        run = cnnmnist.load_run("handwriting", runs_dir)
    terminal.message(f"Using the run {run.name}.")
    return run
