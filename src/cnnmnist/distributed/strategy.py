"""Distribution: the replicas of a training, and the messages of their processes besides gradients.

It uses TensorFlow's strategies. Importing this module imports TensorFlow, and :func:`distribute` must be called
before TensorFlow has computed anything.
"""

import contextlib
import ctypes
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cnnmnist.distributed.cluster import Cluster, Task, alone_hint
from cnnmnist.errors import ClusterError, one_line
from cnnmnist.runtime import tf

Kind = Literal["single", "mirrored", "multi-worker"]
State = dict[str, np.ndarray]
CHECK_SECONDS, CHECKS = 10, 2  # between checks of the other workers, and for their answers; number of retries
ANSWER_SECONDS = 3  # for the answer of each worker, after an error
WORD = 8  # bytes of an int64, which every transport of TensorFlow takes
MALLOPT = {-1: 2**30, -2: 2**25, -3: 2**25}  # glibc's M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, in bytes


@dataclass(frozen=True)
class Distribution:
    """The replicas of a training, and the messages between its processes, if there are several."""

    kind: Kind = "single"
    strategy: Any = None
    """TensorFlow's ``tf.distribute.Strategy``; None for the default device of this process."""
    cluster: Cluster | None = None

    @property
    def replicas(self) -> int:
        """Number of copies of the network in all processes together."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    def check_same(self, facts: dict[str, Any]) -> None:
        """Check that all processes have the same facts, a JSON document.

        Raises:
            ClusterError: they differ; the message, the same in every process, names the first difference.
        """
        if not self.cluster:
            return
        chief, *others = [json.loads(each) for each in self._all_gather(json.dumps(facts).encode())]
        chief_name, *names = self.cluster.names
        for name, worker in zip(names, others, strict=True):
            for key in chief | worker:
                if worker.get(key) != chief.get(key):
                    raise ClusterError(
                        f"The workers differ in {key}: {worker.get(key)} on {name}, but {chief.get(key)} on "
                        f"{chief_name}; start all of them with the same command, program and data."
                    )

    def broadcast(self, message: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send the chief's message, a JSON document, to all workers and return it; only the chief passes it."""
        return json.loads(self._all_gather(json.dumps(message).encode())[0])  # type: ignore[no-any-return]

    def broadcast_arrays(self, state: State | None) -> State | None:
        """Send the chief's arrays to all workers and return them; the other workers need no files."""
        if not self.cluster:
            return state
        buffer = io.BytesIO()
        if state and self.cluster.is_chief:
            np.savez(buffer, **state)  # type: ignore[arg-type]  # the stub confuses them with allow_pickle
        received = self._all_gather(buffer.getvalue())[0]
        if not received:
            return None
        with np.load(io.BytesIO(received), allow_pickle=False) as arrays:
            return dict(arrays)

    def barrier(self) -> None:
        """Wait for all processes, so that none ends while another process needs it."""
        if self.cluster:
            self._all_gather(b"")

    @contextlib.contextmanager
    def lost_workers_named(self) -> Iterator[None]:
        """Replace TensorFlow's error for a lost worker.

        Raises:
            ClusterError: another worker is lost; the message has its name.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if not self.cluster:
                raise
            raise ClusterError(
                f"Lost {self._lost(error)}: the training stopped, its last checkpoint is intact; when all workers "
                "can run again, start each with --resume."
            ) from error

    def _lost(self, error: Exception) -> str:
        """Name the workers that do not answer or, if all answer, the workers that TensorFlow names."""
        assert self.cluster
        tasks = [_task_name(task) for task, _ in self.cluster.members]
        names = dict(zip(tasks, self.cluster.names, strict=True))
        named = {name for task, name in names.items() if re.search(rf"{task}\b", str(error))}
        lost = [name for task, name in names.items() if not _is_healthy(task)] or sorted(named)
        return ", ".join(lost) or f"a worker ({_last_line(error)})"

    def _all_gather(self, payload: bytes) -> list[bytes]:
        """Gather the payloads of all processes, the chief's first; they may differ in length."""
        with self.lost_workers_named():
            payloads = self._gather(payload)
        # No process may end before all have the payloads.
        with contextlib.suppress(tf.errors.OpError):
            self._gather(b"")
        return payloads

    def _gather(self, payload: bytes) -> list[bytes]:
        assert self.cluster
        padded = payload.ljust(-(-len(payload) // WORD) * WORD, b"\0")
        words = np.concatenate([np.array([len(payload)]), np.frombuffer(padded, np.int64)])
        values = self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(words))
        gathered = self.strategy.gather(values, axis=0).numpy()
        payloads = []
        while len(gathered):
            size, end = int(gathered[0]), 1 + -(-int(gathered[0]) // WORD)
            payloads.append(gathered[1:end].tobytes()[:size])
            gathered = gathered[end:]
        return payloads[:: self.replicas // len(self.cluster.members)]


def distribute(kind: str, cluster: Cluster | None = None, timeout: float = 300.0) -> Distribution:
    """Choose TensorFlow's strategy, and connect the workers, which must have met (:meth:`Cluster.wait`).

    Args:
        kind: ``auto``, ``single``, ``mirrored`` or ``multi-worker``. auto is multi-worker with a cluster, else
            mirrored with several GPUs, else single.
        cluster: the workers; multi-worker needs them.
        timeout: seconds to wait for the other workers.

    Raises:
        ClusterError: a worker cannot be reached.
    """
    if kind == "auto":
        several = not cluster and len(tf.config.list_logical_devices("GPU")) > 1
        kind = "multi-worker" if cluster else "mirrored" if several else "single"
    if kind == "mirrored":
        os.environ.pop("TF_CONFIG", None)  # TensorFlow would read it, but there are no other workers
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Distribution("mirrored", tf.distribute.MirroredStrategy([each.name for each in devices]))
    if kind == "multi-worker":
        assert cluster
        try:
            return Distribution("multi-worker", _multi_worker_strategy(cluster, timeout), cluster)
        except (tf.errors.OpError, RuntimeError) as error:
            lost = ", ".join(cluster.silent()) or "the other workers"
            raise ClusterError(f"Cannot join {lost}: {_last_line(error)}.{alone_hint()}") from error
    return Distribution()


def _task_name(task: Task) -> str:
    """TensorFlow's name of a worker."""
    return f"/job:{task.type}/replica:0/task:{task.index}"


def _is_healthy(task: str) -> bool:
    """Whether TensorFlow answers in a worker; a frozen process still accepts connections."""
    from tensorflow.python.eager import context

    try:
        context.context().check_collective_ops_peer_health(task, timeout_in_ms=1_000 * ANSWER_SECONDS)
    except tf.errors.OpError:
        return False
    return True


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that TensorFlow frees after each message to another worker.

    By default glibc returns it to the system, which has to find and clear memory for the next message: a tenth of
    an iteration (docs/distributed.md). With another C library, nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        for option, value in MALLOPT.items():
            library.mallopt(option, value)


def _multi_worker_strategy(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    _keep_freed_memory()
    # TensorFlow would wait for an hour, and ignore signals; it has no public function to change this.
    from tensorflow.python.eager import context

    jobs = tf.compat.v1.ConfigProto().experimental.coordination_config.coordinated_job_list
    for job, addresses in cluster.cluster.items():
        jobs.add(name=job, num_tasks=len(addresses))
    context.context().configure_coordination_service(
        "standalone",
        service_leader=_task_name(cluster.members[0][0]),
        cluster_register_timeout_in_ms=int(1000 * timeout),
        coordinated_jobs=list(jobs),
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(dict(cluster.cluster)),
        task_type=cluster.task.type,
        task_id=cluster.task.index,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    # Messages through an HTTP proxy would not arrive.
    hosts = [address.rpartition(":")[0] for _, address in cluster.members]
    os.environ["no_grpc_proxy"] = ",".join(hosts)  # noqa: SIM112 - gRPC's spelling
    tf.get_logger().setLevel("CRITICAL")  # lost_workers_named() reports the errors
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    # A killed process closes its connections, but a lost or frozen machine does not. TensorFlow would wait for it
    # for ever, because its health check is off by default.
    extended = strategy.extended
    extended._check_health_interval = extended._check_health_timeout = CHECK_SECONDS
    extended._check_health_retry_limit = CHECKS
    extended._check_health_initial_timeout = max(1, int(timeout))
    extended._start_check_health_thread()
    return strategy


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line and not line.startswith((":", " ", "Additional"))]
    return one_line(lines[-1] if lines else type(error).__name__)
