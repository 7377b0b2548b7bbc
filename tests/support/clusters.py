"""Real clusters on loopback: one process per worker, all ended when the test is."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

from conftest import SMALL, Result
from support.addresses import free_addresses, tf_config
from support.processes import Forked, Process

PATIENCE = 480  # seconds for a cluster to start or end, also on a busy machine
# Long enough to be interrupted.
LONG = ["train", *SMALL, "--dataset", "mnist5k", "--iterations", "2000", "--checkpoint-every", "200"]
LONG += ["--evaluate-at", "1000"]


@contextlib.contextmanager
def started(
    commands: list[list[str]], folder: Path, environments: list[dict[str, str]] | None = None
) -> Iterator[list[Process]]:
    """Start command i in the folder ``worker-i``; no process is left when the block ends.

    The arguments of ``cnnmnist`` alone, such as ["train", ...], start in a process with TensorFlow. Only
    a command with a program does what Python does at its end, such as to tell others why it refuses.
    """
    workers: list[Process] = []
    try:
        for index, command in enumerate(commands):
            own = folder / f"worker-{index}"
            own.mkdir(exist_ok=True)
            environment = environments[index] if environments else {}
            if command[0] == "train":
                workers.append(Forked(own, *command, environment=environment))
                continue
            workers.append(
                subprocess.Popen(
                    command,
                    cwd=own,
                    env=os.environ | environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
        yield workers
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                if isinstance(worker, subprocess.Popen) and hasattr(os, "killpg"):
                    os.killpg(worker.pid, signal.SIGKILL)
                else:
                    worker.kill()
            worker.communicate()


@contextlib.contextmanager
def cluster(commands: list[list[str]], folder: Path) -> Iterator[list[Process]]:
    """Start commands as the workers of one ``TF_CONFIG``."""
    addresses = free_addresses(len(commands))
    environments = [{"TF_CONFIG": tf_config(addresses, index)} for index in range(len(commands))]
    with started(commands, folder, environments) as workers:
        yield workers


def ended(worker: Process) -> Result:
    out, err = worker.communicate(timeout=PATIENCE)
    assert "Traceback" not in err, err
    assert worker.returncode is not None
    return Result(worker.returncode, out, err)


def run_cluster(commands: list[list[str]], folder: Path) -> list[Result]:
    with cluster(commands, folder) as workers:
        return [ended(worker) for worker in workers]


def weights(run: Path) -> bytes:
    with ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


def status(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["status"])


def wait_for_iterations(folder: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if any(len(file.read_bytes().splitlines()) >= count for file in folder.glob("**/metrics.jsonl")):
            return
        time.sleep(0.02)
    raise AssertionError(f"{count} iterations were not reached")


def process_with(argument: object, variable: str) -> int:
    """The process of ``cnnmnist`` with this argument, and with this text in its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = (folder / "environ").read_bytes().decode(errors="replace")
            if str(argument) in command and command[1:3] == ["-m", "cnnmnist"] and variable in environment:
                found.append(int(folder.name))
    (process,) = found
    return process
