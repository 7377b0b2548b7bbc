"""Clusters: the list of workers in ``TF_CONFIG`` or from Slurm, checked, and the meeting of all workers."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnmnist.errors import ClusterError, one_line, reason

PROBE_SECONDS = 1.0
REFUSAL_SECONDS = 30.0  # for the others to hear it: some may still be starting
MAX_MESSAGE_BYTES = 10_000
BACKLOG = 1_024  # connections of other workers that wait to be accepted
SLURM_PORT = 8888  # port of the first worker on a node; TensorFlow's default
Job = Literal["chief", "worker"]
HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]\x00-\x1f\x7f-\x9f]+)"  # a name, an IPv4 address or an [IPv6 address]
Address = Annotated[str, Field(pattern=rf"^{HOST}:[1-9]\d{{0,4}}$", max_length=300)]


class Task(BaseModel):
    """One member of a cluster: the chief or another worker."""

    model_config = ConfigDict(frozen=True)

    type: Job
    index: Annotated[int, Field(ge=0)]


class Cluster(BaseModel):
    """The workers of a cluster, and the task of this process, in the form of ``TF_CONFIG``."""

    # Unknown fields are allowed, as in TensorFlow: Kubeflow adds "environment".
    model_config = ConfigDict(frozen=True)

    cluster: dict[Job, list[Address]]
    task: Task

    @model_validator(mode="after")
    def _is_consistent(self) -> "Cluster":
        addresses = [address for _, address in self.members]
        repeated = {address for address in addresses if addresses.count(address) > 1}
        if repeated:
            raise ValueError(f"cluster: the address {min(repeated)} occurs twice")
        if len(self.cluster.get("chief", [])) > 1:
            raise ValueError("cluster.chief: there can be only one chief")
        if self.task.index >= len(self.cluster.get(self.task.type, [])):
            raise ValueError(f"task: the cluster has no {self.task.type} {self.task.index}")
        for address in addresses:
            if int(address.rpartition(":")[2]) > 65_535:
                raise ValueError(f"cluster: {address} has a port above 65535")
        return self

    @property
    def members(self) -> list[tuple[Task, str]]:
        """All tasks with their addresses, the chief first."""
        return [
            (Task(type=job, index=index), address)
            for job in ("chief", "worker")
            for index, address in enumerate(self.cluster.get(job, []))
        ]

    @property
    def names(self) -> list[str]:
        """Names of all tasks, such as ``worker 1 (10.0.0.2:5000)``, the chief first."""
        return [f"{task.type} {task.index} ({address})" for task, address in self.members]

    @property
    def rank(self) -> int:
        """Position of this process among the members; the chief has 0."""
        return [task for task, _ in self.members].index(self.task)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, the only worker that writes."""
        return self.rank == 0

    def silent(self) -> list[str]:
        """List the names of the other members that do not accept a connection."""
        named = enumerate(zip(self.names, self.members, strict=True))
        return [name for rank, (name, (_, address)) in named if rank != self.rank and not _sent(address, b"")]

    def wait(self, seconds: float, refusal: str = "") -> None:
        """Wait until this worker has told all others that it is ready, and they have told the same.

        With ``refusal``, the reason why this worker cannot train, it only waits until all others know the reason.

        Raises:
            ClusterError: another program uses this worker's port, a member did not answer in time, or one refused.
        """
        deadline = time.monotonic() + seconds
        message = f"{self.rank} {refusal}".encode(errors="replace")
        addresses = [address for _, address in self.members]
        untold = set(range(len(addresses))) - {self.rank}
        unheard = set() if refusal else set(untold)
        port = int(addresses[self.rank].rpartition(":")[2])
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            server = socket.create_server(("", port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
        except OSError as error:
            raise ClusterError(
                f"Cannot listen on port {port} of this worker: {error.strerror or error}; end the program that "
                "uses the port, or choose another port."
            ) from error
        with server:
            server.settimeout(0.2)
            while untold or unheard:
                untold -= {rank for rank in untold if _sent(addresses[rank], message)}
                for rank, refused in _messages(server, range(len(addresses))):
                    if refused and not refusal:
                        raise ClusterError(f"{self.names[rank]} refused to start: {refused}")
                    if refused:
                        untold.discard(rank)  # it may be gone
                    elif not refusal and rank not in unheard:
                        untold.add(rank)  # it was started again
                    unheard.discard(rank)
                if (missing := untold | unheard) and time.monotonic() > deadline:
                    names = ", ".join(self.names[rank] for rank in sorted(missing))
                    raise ClusterError(
                        f"Gave up after {seconds:g} seconds of waiting for {names}: start all workers, check "
                        f"their addresses and ports, or wait longer with --cluster-timeout.{alone_hint()}"
                    )

    def refuse(self, reason: str) -> None:
        """Tell all others why this worker cannot train, to those that are starting as soon as they listen."""
        with contextlib.suppress(ClusterError, KeyboardInterrupt):
            self.wait(REFUSAL_SECONDS, reason)


def alone_hint() -> str:
    """What to do where ``TF_CONFIG`` is left from something else, as a sentence after others."""
    return " To train in this process alone, unset TF_CONFIG." if os.environ.get("TF_CONFIG") else ""


def cluster_from_environment() -> Cluster | None:
    """Read the cluster in ``TF_CONFIG``; return None if the variable is not set or names no workers.

    Raises:
        ClusterError: the variable is not JSON, or a field is missing or not valid.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if text in ("", "{}"):
        return None
    try:
        return Cluster.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = one_line(first["msg"].removeprefix("Value error, "))
        raise ClusterError(f"TF_CONFIG: {field + ': ' if field else ''}{message}.{alone_hint()}") from error


def cluster_from_slurm() -> Cluster:
    """Read the cluster from Slurm's variables: its workers are the tasks of the job step of this process.

    The ports begin with the first port that Slurm reserved for the step (``srun --resv-ports``), or with 8888.
    Slurm decides which GPUs a task sees.

    Raises:
        ClusterError: this process is not in a Slurm job step.
    """
    from cnnmnist.runtime import tf

    try:
        first_port = int(os.environ.get("SLURM_STEP_RESV_PORTS", str(SLURM_PORT)).split("-")[0])
        # These arguments keep TensorFlow from assigning GPUs, which fails on nodes that have none.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=first_port, gpus_per_node=1_000_000, gpus_per_task=1, auto_set_gpu=False
        )
        addresses = resolver.cluster_spec().as_dict()
        job, index = resolver.get_task_info()
        return Cluster.model_validate({"cluster": addresses, "task": {"type": job, "index": index}})
    except (RuntimeError, ValueError) as error:
        raise ClusterError(
            f"--cluster slurm: {reason(error)}: start the command with srun, inside of a job."
        ) from error


def _sent(address: str, message: bytes) -> bool:
    """Send a message, and return whether the member accepted the connection."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS) as connection:
            connection.sendall(message)
    except OSError:
        return False
    return True


def _messages(server: socket.socket, ranks: range) -> Iterator[tuple[int, str]]:
    """The messages that have arrived: the rank of a member and, if it refuses to train, the reason."""
    while True:
        try:
            connection = server.accept()[0]
        except TimeoutError:
            return
        with connection, connection.makefile("rb") as file, contextlib.suppress(OSError, ValueError):
            connection.settimeout(PROBE_SECONDS)
            rank, _, refusal = file.read(MAX_MESSAGE_BYTES).decode(errors="replace").partition(" ")
            if int(rank) in ranks:
                yield int(rank), refusal
