"""Commands whose errors are one sentence and an exit status, and whose help says where the documentation is."""

import contextlib
import errno
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import click

from cnnmnist.errors import CnnMnistError, MissingExtraError, reason

DOCUMENTATION = "https://github.com/cnnmnist/cnnmnist/tree/main/docs"
EPILOG = f"Documentation: {DOCUMENTATION}"
QUIET = "cnnmnist.quiet"  # the key of a context's metadata


class Command(click.Command):
    """A command that turns an error into a sentence and an exit status, unless ``--debug`` is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"epilog": EPILOG})
        self.params += [
            click.Option(["-q", "--quiet"], is_flag=True, help="Print results, warnings and errors only."),
            click.Option(["--debug"], is_flag=True, help="Show the traceback of an error instead of a sentence."),
        ]

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments."""
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        debug, ctx.meta[QUIET] = ctx.params.pop("debug"), ctx.params.pop("quiet")
        try:
            with _printable_errors():
                return super().invoke(ctx)
        except CnnMnistError as error:
            if debug:
                raise
            show_error(error)
            ctx.exit(error.exit_status)
        except (OSError, MemoryError) as error:
            if debug or getattr(error, "errno", None) == errno.EPIPE:  # click ends quietly without a reader
                raise
            file = getattr(error, "filename", None)
            name = f" ({file})" if file else ""
            show_error(f"Cannot go on: {reason(error)}{name}.")
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
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def show_error(message: object) -> None:
    """Print an error on standard error."""
    click.ClickException(printable(str(message))).show()


def require_extra(extra: str, purpose: str, *modules: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: its name in pyproject.toml.
        purpose: what needs it, as the start of a sentence.
        modules: top-level modules.

    Raises:
        MissingExtraError: a module is missing.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"{purpose} needs {' and '.join(missing)}, not installed here: pip install 'cnnmnist[{extra}]'"
        )
