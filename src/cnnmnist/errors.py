"""Errors that a user can fix: each message is one sentence that says what is wrong, where, and what to do."""

import contextlib
import difflib
import os
import re
import shlex
from collections.abc import Iterable, Iterator


class CnnMnistError(Exception):
    """An error that the user can fix; the command line prints its message, never a traceback."""

    exit_status = 1


class ClusterError(CnnMnistError):
    """The workers of a cluster are described wrongly, do not appear, disagree, or are lost."""


class DataError(CnnMnistError):
    """A data set is unknown, missing, damaged or not of the expected form."""


class DownloadError(DataError):
    """A data set could not be fetched from any of its mirrors."""


class MissingExtraError(CnnMnistError):
    """A package that only some commands need is not installed."""


class PictureError(CnnMnistError):
    """A picture file is missing, damaged, of an unknown kind, or shows no digit."""


class RecipeError(CnnMnistError):
    """A recipe, or an override of one of its fields, is not valid."""

    exit_status = 2


class RunError(CnnMnistError):
    """A run directory is missing, damaged, in use or not finished."""


class BusyRunError(RunError):
    """Another process is training the run."""


class MissingRunError(RunError):
    """There is no run of that name."""


class SelectionError(CnnMnistError):
    """A layer, image or channel that does not exist was asked for."""

    exit_status = 2


class TrainingError(CnnMnistError):
    """Training cannot go on, for example because the loss is no longer finite."""


class WriteError(CnnMnistError):
    """A file or folder cannot be written."""


def one_line(text: str) -> str:
    """A text on one line, without full stop or control characters, at most 200 characters."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split())[:200].rstrip(".")


def reason(error: BaseException) -> str:
    """The reason of an error, on one line."""
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)


@contextlib.contextmanager
def raised_as(kind: type[CnnMnistError], what: str, cause: type[Exception] = OSError) -> Iterator[None]:
    """Raise errors of the block as errors of a kind, whose message says what could not be done, and the cause."""
    try:
        yield
    except CnnMnistError:
        raise
    except cause as error:
        raise kind(f"{what}: {reason(error)}.") from error


def shell_quoted(text: object, system: str = os.name) -> str:
    """A text as one argument of a command that the user may type: for cmd.exe where the system is ``nt``."""
    if system != "nt":
        return shlex.quote(str(text))
    # Backslashes before a quotation mark would quote it.
    quoted = re.sub(r'(\\*)("|$)', lambda match: 2 * match[1] + match[2].replace('"', r"\""), str(text))
    return str(text) if re.fullmatch(r"[\w.:\\/~+-]+", str(text)) else f'"{quoted}"'


def suggestion(name: str, valid: Iterable[str]) -> str:
    """A hint such as ``: did you mean 'batch_size'?`` or, with nothing similar, an empty text."""
    close = difflib.get_close_matches(name, list(valid), 1)
    return f": did you mean {close[0]!r}?" if close else ""
