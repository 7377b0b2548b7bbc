"""The same network from one process, several devices and several workers: gradients, bits, weights, accuracy."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Result
from support.clusters import cluster, ended

# Trains the tutorial's recipe and prints, for each progress, a digest of the state of every replica here.
SCRIPT = """
import hashlib, json, sys
from pathlib import Path
import numpy as np
from cnnmnist.distributed.cluster import cluster_from_environment
from cnnmnist.recipes import load_recipe
from cnnmnist.data.loading import load_dataset
from cnnmnist.distributed.strategy import distribute
from cnnmnist.runtime import tf
from cnnmnist.training.evaluation import training_logits
from cnnmnist.training.step import Trainer

kind, devices, iterations, data_dir, out = sys.argv[1:]
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * int(devices))
if cluster := cluster_from_environment():
    cluster.wait(120)
distribution = distribute(kind, cluster, 120)
digits = load_dataset(data_dir=Path(data_dir))
trainer = Trainer(load_recipe(overrides={"training.iterations": int(iterations)}), digits, distribution.strategy)

def bits():
    strategy = trainer.strategy
    variables = [strategy.experimental_local_results(each) for _, each in trainer._state_variables()]
    replicas = [b"".join(each.numpy().tobytes() for each in replica) for replica in zip(*variables)]
    return [hashlib.sha256(replica).hexdigest() for replica in replicas]

digests = {}
for progress in trainer.iterate((1,)):
    digests[progress.iteration] = bits()
    if progress.iteration == 1:
        np.savez(out + "-1.npz", **trainer.state())
np.savez(out + ".npz", **trainer.state())
distribution.barrier()
predicted = training_logits(trainer.trained_model(), digits.test.images).argmax(axis=1)
found = float((predicted == digits.test.labels).mean())
print(json.dumps({"replicas": distribution.replicas, "digests": digests, "accuracy": found}))
"""
ITERATIONS = 300
MOST_DIFFERENCE = 5e-3  # of a weight, after 300 iterations
MOST_ACCURACY = 0.002


def command(kind: str, devices: int, data_dir: Path, out: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, kind, str(devices), str(ITERATIONS), str(data_dir), out]


def train(name: str, folder: Path, data_dir: Path) -> list[dict[str, Any]]:
    """What each process of the single, mirrored or multi-worker training printed."""
    kind, _, count = name.partition("-")
    own = folder / name
    own.mkdir()
    if kind == "workers":
        commands = [command("multi-worker", 1, data_dir, f"../{i}") for i in range(int(count))]
        with cluster(commands, own) as workers:
            results = [ended(worker) for worker in workers]
    else:
        done = subprocess.run(
            command(kind, int(count or 1), data_dir, "0"),
            cwd=own, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        results = [Result(done.returncode, done.stdout, done.stderr)]
    assert [each.status for each in results] == [0] * len(results), results
    return [json.loads(each.out) for each in results]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, mnist_dir: Path) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("alone")
    return folder, train("single", folder, mnist_dir)


@pytest.mark.long
@pytest.mark.full
@pytest.mark.xdist_group("clusters")
@pytest.mark.parametrize("name", ["mirrored-2", "mirrored-4", "workers-1", "workers-2", "workers-4"])
def test_after_300_iterations_on_mnist_it_is_the_network_of_a_single_process(
    name: str, alone: tuple[Path, list[dict[str, Any]]], mnist_dir: Path
) -> None:
    folder, single = alone
    processes = train(name, folder, mnist_dir)
    assert all(each["replicas"] == int(name[-1]) for each in processes)
    for process in processes:
        for iteration, digests in process["digests"].items():
            assert set(digests) == {processes[0]["digests"][iteration][0]}, "every replica has the same bits"
    expected = [np.load(folder / "single" / file) for file in ("0-1.npz", "0.npz")]
    found = [np.load(folder / name / file) for file in ("0-1.npz", "0.npz")]
    # After the first step from zero, Adam's mean is the gradient, scaled.
    means = [key for key in expected[0].files if key.startswith("adam_mean")]
    errors = {key: np.linalg.norm(expected[0][key] - found[0][key]) for key in means}
    norms = {key: np.linalg.norm(expected[0][key]) for key in means}
    gradient = np.linalg.norm(list(errors.values())) / np.linalg.norm(list(norms.values()))
    worst = max(errors[key] / norms[key] for key in means)
    weights = [key for key in expected[1].files if key.startswith("weight")]
    difference = max(np.abs(expected[1][key] - found[1][key]).max() for key in weights)
    points = abs(processes[0]["accuracy"] - single[0]["accuracy"])
    print(f"{name}: gradient {gradient:.2e} (array {worst:.2e}), weights {difference:.2e}, accuracy {points:.4f}")
    assert gradient <= 1e-6
    assert worst <= 3e-6, "an array of few small numbers, such as a bias, has less to average over"
    assert difference <= MOST_DIFFERENCE
    assert points <= MOST_ACCURACY
