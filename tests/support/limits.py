"""Limits of memory and time for a block of a test."""

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def limited(megabytes: int = 200, seconds: float = 20.0) -> Iterator[None]:
    """Let the block take so much more memory, and so much time; more is a MemoryError or a TimeoutError."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {seconds} seconds")

    if not Path("/proc/self/status").exists():  # macOS and Windows limit no memory of one process
        yield
        return
    import resource

    match = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    before = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(match[1]) + 1_000_000 * megabytes, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, limits)


SPECIAL_FILES = ("pipe", "link to a pipe", "device", "folder", "socket")


def make_special(path: Path, kind: str) -> None:
    """Make a file that no reader may wait for, or read without end."""
    if os.name == "nt" and kind != "folder":
        pytest.skip("Windows has no such file in a folder")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            path.with_name(f"{path.name}.pipe").unlink(missing_ok=True)
            os.mkfifo(path.with_name(f"{path.name}.pipe"))
            path.symlink_to(f"{path.name}.pipe")
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "socket":
            before = Path.cwd()
            os.chdir(path.parent)  # the name of a socket is short
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
            os.chdir(before)


def make_sparse(path: Path, size: int, start: bytes = b"") -> None:
    """Make a file of any size that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
