"""The real command in a process of its own, forked from one where TensorFlow is imported, which takes seconds."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

# Windows starts each process anew, which takes longer.
FORKS = "forkserver" in multiprocessing.get_all_start_methods()
SERVER: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")
SERVER.set_forkserver_preload(["cnnmnist.runtime"])


def start(
    arguments: list[str], folder: Path, environment: dict[str, str], files: tuple[Path, Path]
) -> BaseProcess:
    """Start ``python -m cnnmnist``, whose output and errors go to the files."""
    process = SERVER.Process(target=_child, args=(arguments, folder, environment, files))
    process.start()
    return process


def call(arguments: list[str], folder: Path, environment: dict[str, str], files: tuple[Path, Path]) -> int:
    """The exit status of ``python -m cnnmnist``, whose output and errors go to the files."""
    process = start(arguments, folder, environment, files)
    process.join(timeout=280)
    if process.exitcode is None:
        process.kill()
        pytest.fail(f"{arguments} did not end")
    return process.exitcode


class Forked:
    """A command that runs in the background, to be treated as a ``subprocess.Popen``."""

    def __init__(self, folder: Path, *arguments: object, environment: dict[str, str] | None = None) -> None:
        self._written = tempfile.TemporaryDirectory()
        self._files = Path(self._written.name, "out"), Path(self._written.name, "err")
        for file in self._files:
            file.touch()
        self._process = start([*map(str, arguments)], folder, os.environ | (environment or {}), self._files)
        self.kill = self._process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid
        os.kill(self._process.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, ...]:
        self._process.join(timeout)
        return tuple(file.read_text() for file in self._files)


Process = subprocess.Popen[str] | Forked


def _child(arguments: list[str], folder: Path, environment: dict[str, str], files: tuple[Path, Path]) -> None:
    for stream, path in zip(("stdout", "stderr"), files, strict=True):
        getattr(sys, stream).flush()
        descriptor = os.open(path, os.O_WRONLY)
        os.dup2(descriptor, getattr(sys, f"__{stream}__").fileno())
        os.close(descriptor)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv[1:] = arguments
    runpy.run_module("cnnmnist", run_name="__main__", alter_sys=True)
