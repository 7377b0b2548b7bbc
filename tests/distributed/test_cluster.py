"""TF_CONFIG as others write it, and as nobody should."""

import json
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cnnmnist.distributed.cluster import Cluster, cluster_from_environment
from cnnmnist.errors import ClusterError
from support.addresses import free_addresses, tf_config

TWO = ["10.0.0.1:5000", "10.0.0.2:5000"]


def read(monkeypatch: pytest.MonkeyPatch, config: object) -> Cluster | None:
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    return cluster_from_environment()


def test_what_others_write_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, "") is None
    assert read(monkeypatch, {}) is None
    kubeflow = read(
        monkeypatch,
        {
            "cluster": {"chief": ["a-chief-0.ns.svc:2222"], "worker": ["a-worker-0.ns.svc:2222"]},
            "task": {"type": "worker", "index": 0},
            "environment": "cloud",
        },
    )
    assert kubeflow
    assert kubeflow.names == ["chief 0 (a-chief-0.ns.svc:2222)", "worker 0 (a-worker-0.ns.svc:2222)"]
    assert (kubeflow.rank, kubeflow.is_chief) == (1, False)
    ray = read(monkeypatch, tf_config(TWO, 0))
    assert ray
    assert (ray.rank, ray.is_chief) == (0, True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("workers", "TF_CONFIG: Invalid JSON"),
        ("[]", "TF_CONFIG: "),
        ({"task": {"type": "worker", "index": 0}}, "TF_CONFIG: cluster: Field required"),
        ({"cluster": {"worker": TWO}}, "TF_CONFIG: task: Field required"),
        ({"cluster": {"ps": TWO}, "task": {"type": "ps", "index": 0}}, "TF_CONFIG: cluster.ps"),
        ({"cluster": {"worker": TWO}, "task": {"type": "evaluator", "index": 0}}, "TF_CONFIG: task.type: "),
        ({"cluster": {"worker": TWO}, "task": {"type": "worker", "index": -1}}, "TF_CONFIG: task.index: "),
        ({"cluster": {"worker": TWO}, "task": {"type": "worker", "index": 2}}, "the cluster has no worker 2"),
        ({"cluster": {"worker": TWO}, "task": {"type": "chief", "index": 0}}, "the cluster has no chief 0"),
        ({"cluster": {"worker": TWO[:1] * 2}, "task": {"type": "worker", "index": 0}}, "5000 occurs twice"),
        ({"cluster": {"chief": TWO, "worker": []}, "task": {"type": "chief", "index": 0}}, "only one chief"),
        (tf_config(["localhost"], 0), "TF_CONFIG: cluster.worker.0: "),
        (tf_config(["\x1b[31m:1"], 0), "TF_CONFIG: cluster.worker.0: "),
        (tf_config(["localhost:99999"], 0), "localhost:99999 has a port above 65535"),
    ],
)
def test_what_nobody_should_write_is_refused_by_field(
    monkeypatch: pytest.MonkeyPatch, config: object, message: str
) -> None:
    with pytest.raises(ClusterError) as refused:
        read(monkeypatch, config)
    assert message in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_port_that_is_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        own = f"127.0.0.1:{taken.getsockname()[1]}"
        cluster = read(monkeypatch, tf_config([own, *free_addresses(1)], 0))
        assert cluster
        with pytest.raises(ClusterError, match="Cannot listen on port"):
            cluster.wait(1.0)


def members(addresses: list[str]) -> list[Cluster]:
    return [Cluster.model_validate_json(tf_config(addresses, index)) for index in range(len(addresses))]


def outcome(waiting: Future[None]) -> str:
    """The error of a worker, or an empty text."""
    try:
        waiting.result(timeout=60)
    except ClusterError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("size", [2, 5])
def test_workers_that_come_one_after_the_other_meet(size: int) -> None:
    with ThreadPoolExecutor(size) as pool:
        waiting = []
        for each in members(free_addresses(size)):
            waiting.append(pool.submit(each.wait, 60))
            time.sleep(0.1)
        assert [outcome(each) for each in waiting] == [""] * size


@pytest.mark.parametrize("refusing", [[0], [2], [0, 1, 2]])
def test_what_one_worker_refuses_all_know_at_once(refusing: list[int]) -> None:
    why = "the file “ä” is damaged: " + "x" * 20_000
    start = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        waiting = [
            pool.submit(each.wait, 60, why if each.rank in refusing else "") for each in members(free_addresses(3))
        ]
        messages = [outcome(each) for each in waiting]
    assert time.monotonic() - start < 30
    for rank, message in enumerate(messages):
        if rank in refusing:
            assert message == ""
        else:
            assert message.startswith(f"worker {refusing[0]} (127.0.0.1:")
            assert "refused to start: the file “ä” is damaged: xxx" in message


def test_a_worker_that_is_started_again_meets_those_that_wait() -> None:
    first, second, third = members(free_addresses(3))
    with ThreadPoolExecutor(3) as pool:
        waiting = pool.submit(first.wait, 60)
        assert "Gave up" in outcome(pool.submit(second.wait, 1))
        again = [pool.submit(each.wait, 60) for each in (second, third)]
        assert [outcome(each) for each in (waiting, *again)] == ["", "", ""]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"9 ", b"-1 no", b"\xff" * 20_000])
def test_a_stranger_at_a_workers_port_is_no_worker(answer: bytes) -> None:
    own, strange = free_addresses(2)
    stop = threading.Event()

    def speak(server: socket.socket) -> None:
        while not stop.is_set():
            try:
                with server.accept()[0] as connection:
                    connection.sendall(answer)
                with socket.create_connection((own.partition(":")[0], int(own.partition(":")[2]))) as connection:
                    connection.sendall(answer)
            except OSError:
                continue

    host, _, port = strange.partition(":")
    with socket.create_server((host, int(port))) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(0.1)
        pool.submit(speak, server)
        try:
            with pytest.raises(ClusterError, match=rf"after 1 seconds of waiting for worker 1 \({strange}\)"):
                members([own, strange])[0].wait(1)
        finally:
            stop.set()
