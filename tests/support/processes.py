"""The real command in a process of its own, forked from one where TensorFlow is imported, which takes seconds."""

import multiprocessing
import os
import runpy
import sys
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
