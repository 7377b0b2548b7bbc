"""Clusters: the list of workers in ``TF_CONFIG`` or from Slurm, checked, and the wait for all workers."""

import contextlib
import os
import socket
import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnmnist.errors import ClusterError, one_line, reason

PROBE_SECONDS = 1.0
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
        return [name for name, address in self._others() if not _answers(address)]

    def wait(self, seconds: float) -> None:
        """Wait until all other members accept a connection, and accept connections, too.

        Raises:
            ClusterError: another program uses this worker's port, or a member did not answer in time.
        """
        deadline = time.monotonic() + seconds
        missing = self._others()
        port = int(self.members[self.rank][1].rpartition(":")[2])
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
            while missing := [(name, address) for name, address in missing if not _answers(address)]:
                if time.monotonic() > deadline:
                    names = ", ".join(name for name, _ in missing)
                    raise ClusterError(
                        f"Gave up after {seconds:g} seconds of waiting for {names}: start all workers, check "
                        f"their addresses and ports, or wait longer with --cluster-timeout.{alone_hint()}"
                    )
                with contextlib.suppress(TimeoutError):
                    while True:
                        server.accept()[0].close()

    def _others(self) -> list[tuple[str, str]]:
        """Names and addresses of the other members."""
        named = zip(self.names, self.members, strict=True)
        return [(name, address) for name, (task, address) in named if task != self.task]


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


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True
