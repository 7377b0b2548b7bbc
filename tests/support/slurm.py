"""Slurm of its own on this machine: one node, whose daemons the user who asks starts and ends.

Everything, also the key of munge, is in a temporary folder. ``python tests/support/slurm.py COMMAND...`` runs a
command in such a Slurm.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "scontrol", "squeue", "sinfo")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where Debian puts daemons
PATIENCE = 60  # seconds for a daemon to start or end
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
# Slurm starts a requeued job only after the credentials of its first start have expired.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MpiParams=ports={reserved}-{last_reserved}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """The programs of Slurm and munge that are not installed."""
    return [program for program in PROGRAMS if not shutil.which(program, path=PATH)]


@contextlib.contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Start Slurm, and yield the environment in which its commands work; no daemon is left when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # pytest's folders have names too long for a socket
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: object) -> None:
        with (folder / "daemons.log").open("ab") as log:
            path = str(shutil.which(str(command[0]), path=PATH))
            process = subprocess.Popen(
                [path, *map(str, command[1:])], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)

    # srun would take over the options of a job in which the tests themselves run.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}
    try:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        ports = _free_ports(12)
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                folder=folder,
                user=getpass.getuser(),
                controller=ports,
                node=ports + 1,
                reserved=ports + 2,
                last_reserved=ports + 11,
            )
        )
        own = [f"--{name}={folder}/munge.{name}" for name in ("socket", "seed")]
        own += [f"--key-file={key}", f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log"]
        start("munged", "--foreground", "--force", *own)  # --force: the folder is closed to other users
        _wait_for((folder / "munge.socket").exists, "munged", folder)
        start("slurmctld", "-D", "-i")
        start("slurmd", "-D")
        _wait_for(lambda: "idle" in run(["sinfo", "--noheader"], environment).stdout, "Slurm", folder)
        yield environment
    finally:
        with contextlib.suppress(FileNotFoundError):
            run(["scancel", "--full", "--user", getpass.getuser()], environment)
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(started):
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder)


def run(
    command: list[str], environment: dict[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def _free_ports(count: int) -> int:
    """The first of several free ports in a row, below those that the system gives away by itself."""
    for first in range(20_000 + os.getpid() % 5_000, 32_000, count):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("", port)))
            return first
    raise RuntimeError("no free ports")


def _wait_for(condition: Callable[[], bool], name: str, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            logs = "".join(f"\n{path.name}:\n{path.read_text()}" for path in folder.glob("*.log"))
            raise RuntimeError(f"{name} did not start: {logs}")
        time.sleep(0.2)


if __name__ == "__main__":
    with slurm() as environment:
        raise SystemExit(subprocess.call(sys.argv[1:], env=environment))
