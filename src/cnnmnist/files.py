"""Writing files so that they are either whole or not there, and folders that one process has for itself."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cnnmnist.errors import RunError, WriteError, reason


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to, renamed to ``path`` when the block ends without an error.

    Raises:
        WriteError: the file cannot be written; ``path`` is as it was before.
    """
    # The suffix stays last, because Keras and matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WriteError(f"Cannot write {path}: {reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """The same for a folder: a name to make a new one under, which takes the place of ``folder`` at the end.

    Raises:
        WriteError: it cannot be written; what was there is there still.
    """
    folder = folder.resolve()
    temporary, old = (folder.with_name(f".{folder.name}-{os.getpid()}.{kind}.tmp") for kind in ("new", "old"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        for written in temporary.rglob("*"):
            if written.is_file():
                with written.open("rb") as file:
                    os.fsync(file.fileno())
        if folder.exists():
            folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise WriteError(f"Cannot write {folder}: {reason(error)}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


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
        raise RunError(f"Cannot open {folder}: {reason(error)}.") from error
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(f"Another process is training {folder}: wait for its end, or stop it.") from error
        yield
    finally:
        os.close(descriptor)
