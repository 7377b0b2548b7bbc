"""Files: opened with care, written whole or not at all. Folders: locked against other processes."""

import contextlib
import csv
import errno
import io
import os
import re
import secrets
import shutil
import stat
import struct
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from cnnmnist.errors import BusyRunError, RunError, WriteError, raised_as, reason

# A temporary file or folder, and the lock beside it. Nobody can guess such a name, and so put a link there. The
# suffix is last, because Keras and matplotlib choose the format by it.
TEMPORARY_NAME = re.compile(r"\.(?:([0-9a-f]{16})\.lock|.*\.([0-9a-f]{16})\.tmp(?:\.[^.]*)?)", re.DOTALL)
RUN_LOCK = ".lock"  # in the folder that it locks
NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
NOT_FOLLOWING = getattr(os, "O_NOFOLLOW", 0)
# On Windows, nobody can rename a file that another program has open, such as a scanner for viruses, for a moment.
RENAMES = (
    [0.01 * 2**attempt for attempt in range(8)] if os.name == "nt" else []
)  # seconds before each next attempt
MAX_MEMBERS = 1_000  # of a zip archive
MAX_DIRECTORY_BYTES = 1_000_000  # of the list of its members
# The end of an archive without a comment; where it has a zip64 record, the first field is that record's signature:
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.15 and 4.3.16.
END_OF_ZIP = struct.Struct("<4s16x4s6xHL6x")


def open_file(path: Path) -> io.BufferedReader:
    """Open a file that anybody may have written: a regular file, never a pipe or a device that would have to wait.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    try:
        return os.fdopen(_open(path, os.O_RDONLY), "rb")
    except ValueError as error:  # a NUL in the name, or a letter that no name of a file can have
        raise OSError(errno.EINVAL, "its name is not valid", str(path)) from error


def read_file(path: Path, limit: int) -> bytes:
    """Read a file that anybody may have written.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than ``limit`` bytes.
    """
    with open_file(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content


@contextlib.contextmanager
def open_zip(path: Path, limit: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive that anybody may have written; reading n bytes of a member takes memory for n bytes only.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it has more than ``limit`` bytes, too many members, two of one name, or an unusual compression.
        Exception: any that zipfile raises for a damaged archive.
    """
    with open_file(path) as file:
        size = file.seek(0, io.SEEK_END)
        if size > limit:
            raise ValueError(f"it has {size:,} bytes, more than {limit:,}")
        # zipfile reads the whole list of the members at once, so the end of the archive must announce a short one.
        file.seek(max(0, size - END_OF_ZIP.size))
        larger, signature, members, directory = END_OF_ZIP.unpack(file.read().rjust(END_OF_ZIP.size, b"\0"))
        if signature != b"PK\x05\x06":
            raise ValueError("it is not a zip archive")
        if larger == b"PK\x06\x07" or members > MAX_MEMBERS or directory > MAX_DIRECTORY_BYTES:
            raise ValueError("it has too many members")
        with zipfile.ZipFile(file) as archive:
            found = archive.infolist()
            if len({member.filename for member in found}) < len(found):
                raise ValueError("it has two members of one name")
            if any(each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for each in found):
                raise ValueError("it is compressed in an unusual way")
            yield archive


@contextlib.contextmanager
def replacing(path: Path, *, folder: bool = False, make_folder: bool = False) -> Iterator[Path]:
    """Yield a new, empty, locked file or folder, which replaces ``path`` when the block ends without an error.

    Args:
        path: the file or folder.
        folder: whether ``path`` is a folder, and a folder is yielded.
        make_folder: whether to make the folder of ``path``, and the folders above, if they are missing.

    Raises:
        WriteError: the file or folder cannot be written; ``path`` is unchanged.
    """
    path = path.resolve() if folder else path
    with raised_as(WriteError, f"Cannot write {path}"):
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with temporary(path, folder=folder) as new:
            yield new
            for written in [new, *new.rglob("*")]:
                if written.is_file():
                    _flush(written)
            if folder:
                _replace_folder(new, path)
            else:
                _rename(new, path)


def _replace_folder(new: Path, path: Path) -> None:
    old = _temporary(path, secrets.token_hex(8))
    with contextlib.suppress(FileNotFoundError):
        _rename(path, old)
    try:
        _rename(new, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file with headings; its folder is made, and a file of that name is replaced.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path, make_folder=True) as new, new.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


@contextlib.contextmanager
def temporary(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield a new, locked file or folder beside ``path``; the block may rename it, otherwise it is removed.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        while True:
            token = secrets.token_hex(8)
            with contextlib.suppress(BlockingIOError):  # a recovery has found it before it was locked
                stack.enter_context(_locked(path.with_name(f".{token}.lock")))
                break
        new = _temporary(path, token)
        if folder:
            new.mkdir()
        else:
            new.touch(exist_ok=False)
        try:
            yield new
        finally:
            with contextlib.suppress(OSError):
                _remove(new)


def remove_leftovers(*folders: Path) -> None:
    """Remove the temporary files and folders that killed processes left in folders, and nothing else.

    Those that another process is writing stay.
    """
    for folder in folders:
        for path in list(folder.glob(".*")):
            match = TEMPORARY_NAME.fullmatch(path.name)
            if match and not path.is_symlink() and (path.is_file() or path.is_dir()):
                with contextlib.suppress(OSError), _locked(lock := folder / f".{match[1] or match[2]}.lock"):
                    if path != lock:
                        _remove(path)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder during the block; the system unlocks it, too, when this process ends.

    On file systems without locks, the block runs without a lock.

    Raises:
        BusyRunError: another process has locked the folder.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_locked(folder / RUN_LOCK))
        except BlockingIOError as error:
            raise BusyRunError(f"Another process is training {folder}: wait for its end, or stop it.") from error
        except OSError as error:
            raise RunError(f"Cannot lock {folder / RUN_LOCK}: {reason(error)}.") from error
        yield


def _open(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | NOT_WAITING, 0o666)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "it is not a regular file"
        raise OSError(errno.EINVAL, kind, str(path))
    return descriptor


def _flush(path: Path) -> None:
    """Flush a file to the disk; Windows demands that it is open for writing."""
    with path.open("r+b") as written:
        os.fsync(written.fileno())


def _rename(path: Path, target: Path) -> None:
    """Rename a file or folder; a file replaces one that has the name already."""
    for delay in (*RENAMES, None):
        try:
            path.replace(target)
            return
        except PermissionError as error:
            if delay is None:
                more = ", perhaps because another program has it open" if RENAMES else ""
                raise PermissionError(error.errno, f"{error.strerror}{more}") from error
            time.sleep(delay)


def _temporary(path: Path, token: str) -> Path:
    return path.with_name(f".{path.stem[:50]}.{token}.tmp{path.suffix}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file during the block, where the file system has locks, and remove it afterwards.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be made, or is a link or no regular file.
    """
    from filelock import lock_descriptor  # takes 0.04 s, and most commands write nothing

    while True:
        descriptor, free = _open(path, os.O_RDWR | os.O_CREAT | NOT_FOLLOWING), True
        with contextlib.suppress(OSError):  # a file system without locks
            free = lock_descriptor(descriptor, blocking=False)
        with contextlib.suppress(FileNotFoundError):  # the process that held it has removed it meanwhile
            if free and os.path.samestat(os.fstat(descriptor), path.stat()):
                break
        os.close(descriptor)
        if not free:
            raise BlockingIOError(errno.EAGAIN, "another process holds it", str(path))
    try:
        yield
    finally:
        # Windows removes no open file; elsewhere, another process may hold the file as soon as it is closed.
        steps: list[Callable[[], None]] = [path.unlink, lambda: os.close(descriptor)]
        for step in reversed(steps) if os.name == "nt" else steps:
            with contextlib.suppress(OSError):
                step()
