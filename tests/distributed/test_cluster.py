"""TF_CONFIG as others write it, and as nobody should."""

import json

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
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        own = f"127.0.0.1:{taken.getsockname()[1]}"
        cluster = read(monkeypatch, tf_config([own, *free_addresses(1)], 0))
        assert cluster
        with pytest.raises(ClusterError, match="Cannot listen on port"):
            cluster.wait(1.0)
