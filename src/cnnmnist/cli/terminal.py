"""What the commands share: consoles, errors as one sentence, and the options that several of them have."""

import contextlib
import errno
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.errors import CnnMnistError, in_one_sentence

if TYPE_CHECKING:
    from cnnmnist.runs.store import Run
    from cnnmnist.visualization.grids import ImageGrid


class Command(click.Command):
    """A command that turns an error of ours into a sentence and an exit status, unless ``--debug`` is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--debug"], is_flag=True, help="Show the traceback of an error instead of a sentence.")
        )

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments."""
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        debug = ctx.params.pop("debug")
        try:
            with _printable_errors():
                return super().invoke(ctx)
        except CnnMnistError as error:
            if debug:
                raise
            click.ClickException(printable(str(error))).show()
            ctx.exit(error.exit_status)
        except OSError as error:
            if debug or error.errno == errno.EPIPE:  # click ends quietly when nobody reads any more
                raise
            name = f" ({error.filename})" if error.filename else ""
            click.ClickException(printable(f"Cannot go on: {in_one_sentence(error)}{name}.")).show()
            with contextlib.suppress(OSError):
                sys.stdout.close()  # otherwise Python would try again at its end, and complain
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


@contextlib.contextmanager
def _printable_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.message = printable(error.message)  # type: ignore[misc]  # it quotes what was typed
        raise


def printable(text: str) -> str:
    """Show control characters, and bytes of file names that are not UTF-8, as escapes: none reaches a terminal."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


class Terminal:
    """Where a command's words go.

    Results go to standard output and progress to standard error; with ``--json`` everything for people goes
    to standard error, and standard output holds one JSON document.
    """

    def __init__(self, as_json: bool = False) -> None:
        from rich.console import Console

        class PrintableConsole(Console):
            def print(self, *objects: Any, **options: Any) -> None:
                super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)

        self.as_json = as_json
        self.err = PrintableConsole(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.out = self.err
        if not as_json:
            self.out = PrintableConsole(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def result(self, document: dict[str, Any] | list[Any]) -> None:
        """Print the JSON document, if that was asked for."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))

    def warn(self, message: str) -> None:
        """A sentence on standard error that should not be missed."""
        self.err.print(f"Warning: {message}", style="yellow")

    def warn_about(self, run: "Run") -> None:
        """Say what a figure or an accuracy of the run hides: that it is unfinished, or of other versions."""
        record = run.record
        if record.status != "finished":
            done = f"{record.iteration:,} of {record.recipe.training.iterations:,} iterations"
            self.warn(f"the run {run.name} is {record.status}, {done}: this is the network that it last kept.")
        self.warn_of_versions(run, "the results may differ slightly from those of then")

    def warn_of_versions(self, run: "Run", consequence: str) -> None:
        """Say what has changed since the run was made, if anything has."""
        if changes := run.version_changes():
            self.warn(f"the run {run.name} was made with {changes}: {consequence}.")

    def waiting(self, reason: str) -> AbstractContextManager[Any]:
        """Say on a terminal what is being waited for."""
        return self.err.status(reason) if self.err.is_terminal else contextlib.nullcontext()

    def notice(self, title: str, message: str) -> None:
        """A framed paragraph on standard error that cannot be missed."""
        from rich.panel import Panel
        from rich.text import Text

        self.err.print(Panel(Text(message), title=title, border_style="bold yellow"), soft_wrap=False)

    def preview(self, grid: "ImageGrid") -> None:
        """Draw a figure in the terminal; nothing elsewhere."""
        if self.out.is_terminal:
            from cnnmnist.cli.preview import preview

            self.out.print(preview(grid, self.out.width, self.draws_in_color), soft_wrap=False)

    @property
    def draws_in_color(self) -> bool:
        """Whether images can be drawn as coloured half blocks."""
        out = self.out
        return out.color_system is not None and not out.no_color and not out.options.ascii_only


def choose_run(name: str | None, runs_dir: Path, terminal: Terminal) -> "Run":
    """The run of that name or, without one, the latest; the pretrained one if there is none, and say which it is.

    Raises:
        RunError: there is no such run, or its record is damaged.
    """
    from cnnmnist.runs.store import load_run, run_directories

    found = load_run(name or ("latest" if run_directories(runs_dir) else "pretrained"), runs_dir)
    if name is None:
        terminal.err.print(f"Using the run {found.name}.")
    return found


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


DIRECTORY = click.Path(file_okay=False, path_type=Path)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document; words for people go to standard error."
)
runs_dir_option = click.option(
    "--runs-dir",
    type=DIRECTORY,
    default="runs",
    envvar="CNNMNIST_RUNS_DIR",
    show_default=True,
    show_envvar=True,
    help="Where runs are kept.",
)
run_option = click.option(
    "--run", metavar="RUN", help="Whose network.  [default: latest or, if there is none, pretrained]"
)
run_argument = click.argument("run", default="latest")
split_option = click.option(
    "--split",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="Which images.",
)
data_dir_option = click.option(
    "--data-dir",
    type=DIRECTORY,
    help="Folder with the four IDX files, gzip'd or not, or with pictures in train/CLASS/ and test/CLASS/.  "
    "[default for mnist: $CNNMNIST_DATA_DIR]",
)
data_options = options(
    click.option(
        "--dataset",
        metavar="NAME",
        help="Which data: mnist, mnist5k (the 5,000 digits embedded here), fashion-mnist or kmnist.",
    ),
    data_dir_option,
)
