"""Commands in processes of their own, with little memory and time; forked from one that has imported the program.

The process has not imported TensorFlow. It reads one JSON document a line: folder, arguments and files of a
command; and answers with the exit status, negative for a signal, and the largest memory of the process in bytes.
"""

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

MEMORY, SECONDS = 1_000_000_000, 20  # bytes, and seconds of the processor
WAITING = 60  # seconds in all, on a machine that does other things, too


class Confined:
    """A context that runs commands one by one."""

    def __enter__(self) -> "Confined":
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._server = subprocess.Popen([sys.executable, __file__], **pipes)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.communicate()

    def run(self, arguments: list[str], folder: Path, files: tuple[Path, Path]) -> tuple[int, int]:
        """The exit status of a command, and the largest memory of its process in bytes."""
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps([arguments, str(folder), *map(str, files)]), file=self._server.stdin, flush=True)
        status, size = json.loads(self._server.stdout.readline())
        return status, size


def _serve() -> None:
    import h5py  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import scipy.ndimage  # noqa: F401

    import cnnmnist.cli.progress
    import cnnmnist.runs.store  # noqa: F401

    for line in sys.stdin:
        arguments, folder, out, err = json.loads(line)
        child = os.fork()
        if child == 0:
            _command(arguments, folder, out, err)
        _, status, usage = os.wait4(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), 1024 * usage.ru_maxrss]), flush=True)


def _command(arguments: list[str], folder: str, out: str, err: str) -> None:
    import resource  # Windows has none

    status = 70
    try:
        for number, path in ((0, os.devnull), (1, out), (2, err)):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, number)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(WAITING)
        sys.argv[:] = ["cnnmnist", *arguments]
        runpy.run_module("cnnmnist", run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
