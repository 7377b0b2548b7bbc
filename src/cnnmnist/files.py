"""Files: written whole or not at all. Folders: locked against other processes."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cnnmnist.errors import RunError, WriteError, reason


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to ``path`` when the block ends without an error.

    Raises:
        WriteError: the file cannot be written; ``path`` is unchanged.
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
    """Yield a path for a new folder, which replaces ``folder`` when the block ends without an error.

    Raises:
        WriteError: the folder cannot be written; ``folder`` is unchanged.
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
    """Lock a folder during the block; the system unlocks it, too, when this process ends.

    On Windows and on file systems without locks, the block runs without a lock.

    Raises:
        RunError: another process has locked the folder.
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
