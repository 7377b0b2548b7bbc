"""Real clusters on loopback: one process per worker, all ended when the test is."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conftest import Result
from support.addresses import free_addresses, tf_config

PATIENCE = 240  # seconds for a cluster to end


@contextlib.contextmanager
def started(
    commands: list[list[str]], folder: Path, environments: list[dict[str, str]] | None = None
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start command i in the folder ``worker-i``; no process is left when the block ends."""
    workers = []
    try:
        for index, command in enumerate(commands):
            own = folder / f"worker-{index}"
            own.mkdir(exist_ok=True)
            workers.append(
                subprocess.Popen(
                    command,
                    cwd=own,
                    env=os.environ | (environments[index] if environments else {}),
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
                os.killpg(worker.pid, signal.SIGKILL) if hasattr(os, "killpg") else worker.kill()
            worker.communicate()


@contextlib.contextmanager
def cluster(commands: list[list[str]], folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Start commands as the workers of one ``TF_CONFIG``."""
    addresses = free_addresses(len(commands))
    environments = [{"TF_CONFIG": tf_config(addresses, index)} for index in range(len(commands))]
    with started(commands, folder, environments) as workers:
        yield workers


def ended(worker: subprocess.Popen[str]) -> Result:
    out, err = worker.communicate(timeout=PATIENCE)
    assert "Traceback" not in err, err
    return Result(worker.returncode, out, err)


def run_cluster(commands: list[list[str]], folder: Path) -> list[Result]:
    with cluster(commands, folder) as workers:
        return [ended(worker) for worker in workers]
