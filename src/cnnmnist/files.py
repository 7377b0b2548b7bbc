"""Writing files so that they are either whole or not there, and folders that one process has for itself."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from cnnmnist.errors import RunError, in_one_sentence


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to, renamed to ``path`` when the block ends without an error.

    Raises:
        RunError: the file cannot be written; ``path`` is as it was before.
    """
    # The suffix stays last, because Keras and matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"Cannot write {path}: {in_one_sentence(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder; the system frees it when this process ends.

    Where the system or the file system knows no such locks, nothing is kept out.

    Raises:
        RunError: another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"Cannot open {folder}: {in_one_sentence(error)}.") from error
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(f"Another process is training {folder}: wait for its end, or stop it.") from error
        yield
    finally:
        os.close(descriptor)
