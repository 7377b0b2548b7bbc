"""``cnnmnist train`` as the workers of a cluster: one writer, failures by name, and going on after a kill."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.loading import EMBEDDED, load_dataset
from cnnmnist.distributed.cluster import Cluster
from cnnmnist.runs.store import SHIPPED, load_run
from cnnmnist.training.step import Trainer
from conftest import SMALL, Cli, command, only_run
from support.addresses import free_addresses, tf_config
from support.clusters import LONG, cluster, ended, run_cluster, started, wait_for_iterations, weights

pytest.importorskip("fcntl", reason="Windows has no signals for other processes")
pytestmark = pytest.mark.xdist_group("clusters")
TRAIN = ["train", *SMALL, "--dataset", "mnist5k"]
PRETRAINED = SHIPPED["pretrained"]
WITHIN = 60  # seconds until every worker knows that another one is gone


def metrics(run: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [[line[key] for key in ("iteration", "loss", "accuracy")] for line in lines]


def test_two_workers_train_the_run_of_one_process_and_the_chief_alone_writes(tmp_path: Path) -> None:
    arguments = ["--iterations", 150, "--record-at", "7,150", "--precision", "float32", "--json"]
    chief, other = run_cluster([[*TRAIN, *arguments]] * 2, tmp_path)
    assert (chief.status, other.status) == (0, 0), (chief, other)
    assert "Strategy multi-worker: 2 x 8 images per iteration" in chief.err
    assert "Optimization Iteration:    101" in chief.err
    assert [rung["iteration"] for rung in chief.json["ladder"]] == [0, 1, 100, 150]
    assert other.json == {"worker": 1, "iterations": 150}
    assert other.err == "Waiting for all of 2 workers that TF_CONFIG names\n"
    assert list((tmp_path / "worker-1").iterdir()) == []
    run = only_run(tmp_path / "worker-0")
    record = json.loads((run / "run.json").read_text())
    assert [record[key] for key in ("strategy", "replicas", "batch_per_replica", "status")] == [
        "multi-worker", 2, 8, "finished",
    ]  # fmt: skip
    assert [line[0] for line in metrics(run)] == list(range(1, 151))
    assert sorted(path.name for path in (run / "recording").iterdir()) == ["000000007.npz", "000000150.npz"]
    alone = Trainer(load_run(str(run), tmp_path).metadata.recipe, load_dataset("mnist5k"))
    losses = np.concatenate([progress.losses for progress in alone.iterate([150])])
    np.testing.assert_allclose(np.array(metrics(run))[:, 1], losses, rtol=1e-4)


@pytest.mark.parametrize(
    ("chiefs", "others", "message"),
    [
        pytest.param(
            [], ["--seed", 3], "The workers differ in training.seed: 3 on worker 1 (", marks=pytest.mark.long
        ),
        ([], ["--data-dir", "{data}", "--set", "dataset=mnist5k"], "workers differ in the data set's digest: "),
        pytest.param(
            [],
            ["--set", "model.convolutions=[{{filters: 4}}, {{filters: 8}}]"],
            "The workers differ in model.convolutions[1].filters: 8 on worker 1 (",
            marks=pytest.mark.long,
        ),
    ],
)
def test_workers_that_would_train_something_else_all_stop_before_the_first_iteration(
    tmp_path: Path, chiefs: list[object], others: list[object], message: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for part in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"):
        for stem in ("train", "t10k"):
            shutil.copy(EMBEDDED / f"t10k-{part}", data / f"{stem}-{part}")
    commands = [[*TRAIN, *(str(each).format(data=data) for each in arguments)] for arguments in (chiefs, others)]
    results = run_cluster(commands, tmp_path)
    for number, result in enumerate(results):
        assert result.status == 1
        assert message in result.err
        assert result.err.count("Error: ") == 1
        assert list((tmp_path / f"worker-{number}").iterdir()) == []
    assert "Error: worker 1 (127.0.0.1:" in results[1].err


REFUSED_BY_ALL = [
    (["--set", "training.momentum=1"], 2, "momentum"),
    (["--resume", "latest", "--dataset", "mnist5k"], 2, "--dataset cannot be given with --resume"),
    (["--dataset", "mnits"], 1, "There is no data set 'mnits'"),
    (["--data-dir", "nowhere"], 1, "nowhere"),
    (["--config", "nothing"], 2, "nothing"),
    (["--resume", "latest", "--name", "mine"], 2, "--name cannot be given with --resume"),
    (["--resume", "latest", "--config", "tutorial"], 2, "--config cannot be given with --resume"),
    (["--record", "--record-at", "3"], 2, "leave out --record-at"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [*REFUSED_BY_ALL[:3], *(pytest.param(*each, marks=pytest.mark.long) for each in REFUSED_BY_ALL[3:])],
)
def test_what_the_options_alone_forbid_all_workers_refuse_without_waiting(
    tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    before = time.monotonic()
    for result in run_cluster([command("train", *arguments)] * 2, tmp_path):
        assert result.status == status
        assert message in result.err
        assert result.err.count("Error: ") == 1
    assert time.monotonic() - before < 60
    assert not list(tmp_path.glob("worker-*/*"))


REFUSED_BY_ONE = [
    (0, ["--resume", "{pretrained}", "--learning-rate", "0.5"], "--learning-rate contradicts the recipe"),
    (1, ["--dataset", "mnist", "--data-dir", "{data}"], "/data-1"),
    (0, ["--resume", "latest"], "There is no run in runs"),
    (0, ["--resume", "{pretrained}", "--iterations", "1"], "so that --iterations cannot be changed"),
    (0, ["--resume", "{pretrained}", "--set", "model.dense=[9]"], "--set model.dense contradicts"),
    (0, ["--resume", "{damaged}"], "run.json is damaged"),
    (0, ["--dataset", "mnist5k", "--name", "latest"], "'latest' cannot name a run"),
]


@pytest.mark.parametrize(
    ("refusing", "arguments", "message"),
    [*REFUSED_BY_ONE[:1], *(pytest.param(*each, marks=pytest.mark.long) for each in REFUSED_BY_ONE[1:])],
)
def test_what_one_worker_alone_sees_all_workers_refuse(
    tmp_path: Path, refusing: int, arguments: list[str], message: str
) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    places = {"pretrained": PRETRAINED, "damaged": tmp_path / "damaged"}
    commands = []
    for rank in range(2):  # the data folder of one worker is empty
        data = tmp_path / f"data-{rank}"
        data.mkdir()
        if rank != refusing:
            shutil.copytree(EMBEDDED, data, dirs_exist_ok=True)
        commands.append(command("train", *(each.format(data=data, **places) for each in arguments)))
    before = time.monotonic()
    results = run_cluster(commands, tmp_path)
    assert time.monotonic() - before < 120
    for rank, result in enumerate(results):
        assert result.status == (results[refusing].status if rank == refusing else 1)
        assert message in result.err
        assert result.err.count("Error: ") == 1
    assert f"worker {refusing} (127.0.0.1:" in results[1 - refusing].err
    assert "refused to start: " in results[1 - refusing].err


@pytest.mark.parametrize("joining", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_worker_that_is_ready_and_never_joins_is_not_waited_for(tmp_path: Path, joining: int) -> None:
    addresses = free_addresses(2)
    arguments = command(*TRAIN, "--cluster-timeout", 5)
    with started([arguments], tmp_path, [{"TF_CONFIG": tf_config(addresses, joining)}]) as (worker,):
        Cluster.model_validate_json(tf_config(addresses, 1 - joining)).wait(120)
        before = time.monotonic()
        result = ended(worker)
    assert time.monotonic() - before < 60
    assert result.status == 1
    waiting, error = result.err.splitlines()
    assert waiting == "Waiting for all of 2 workers that TF_CONFIG names"
    assert error.startswith(f"Error: worker {joining} ({addresses[joining]}): ")
    assert f"worker {1 - joining} ({addresses[1 - joining]})" in error
    assert not list(tmp_path.glob("worker-*/*"))


def test_a_worker_that_never_appears_is_named(tmp_path: Path, cli: Cli) -> None:
    present, absent = free_addresses(2)
    before = time.monotonic()
    result = cli(*TRAIN, "--cluster-timeout", 2, TF_CONFIG=tf_config([absent, present], 1))
    assert time.monotonic() - before < 60
    assert result.status == 1
    assert result.err.splitlines() == [
        "Waiting for all of 2 workers that TF_CONFIG names",
        f"Error: worker 1 ({present}): Gave up after 2 seconds of waiting for worker 0 ({absent}): start all "
        "workers, check their addresses and ports, or wait longer with --cluster-timeout. To train in this "
        "process alone, unset TF_CONFIG.",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_that_does(tmp_path: Path) -> None:
    for result in run_cluster([command(*TRAIN, "--batch-size", 33)] * 2, tmp_path):
        assert result.status == 2
        assert "A batch of 33 images cannot be divided among 2 replicas: the nearest batch size" in result.err
    assert not list(tmp_path.glob("worker-*/*"))


@pytest.mark.parametrize(
    ("arguments", "config", "status", "message"),
    [
        ([], "{", 1, "TF_CONFIG: invalid JSON"),
        ([], tf_config(["a:1", "b:2"], 2), 1, "TF_CONFIG: task: the cluster has no worker 2."),
        ([], tf_config(["a:1", "a:1"], 0), 1, "TF_CONFIG: cluster: the address a:1 occurs twice."),
        (["--strategy", "multi-worker"], "", 2, "set TF_CONFIG"),
        (["--strategy", "mirrored", "--cluster", "slurm"], "", 2, "--cluster slurm cannot be given"),
        (["--cluster", "slurm"], "", 1, "SLURM_PROCID not found in environment"),
        (["--cluster-timeout", "0"], "", 2, "--cluster-timeout"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, cli: Cli, arguments: list[str], config: str, status: int, message: str
) -> None:
    result = cli("train", *arguments, TF_CONFIG=config)
    assert result.status == status
    assert message.lower() in result.err.lower()
    assert len([line for line in result.err.splitlines() if line.startswith("Error:")]) == 1
    assert list(tmp_path.iterdir()) == []


def slurm_environment(port: int, index: int) -> dict[str, str]:
    return {
        "SLURM_PROCID": str(index),
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_STEP_RESV_PORTS": f"{port}-{port + 1}",
    }


@pytest.mark.long
def test_slurms_variables_make_a_cluster(tmp_path: Path) -> None:
    port = int(free_addresses(1)[0].rpartition(":")[2])
    commands = [command(*TRAIN, "--cluster", "slurm", "--iterations", 20)] * 2
    with started(commands, tmp_path, [slurm_environment(port, index) for index in range(2)]) as workers:
        results = [ended(worker) for worker in workers]
    assert [each.status for each in results] == [0, 0], results
    assert "Strategy multi-worker: 2 x 8 images per iteration" in results[0].out


@pytest.mark.long
def test_one_process_trains_on_mirrored_devices_by_name(tmp_path: Path, cli: Cli) -> None:
    result = cli(*TRAIN, "--strategy", "mirrored", "--iterations", 5, TF_CONFIG="{")
    assert result.status == 0, result.err
    assert "Strategy mirrored: 1 x 16 images per iteration" in result.out


@pytest.fixture(scope="module", params=[2, 4])
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert [each.status for each in run_cluster([command(*LONG)] * request.param, folder)] == [0] * request.param
    return request.param, only_run(folder / "worker-0")


@pytest.mark.long
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_one_worker_all_others_end_and_go_on_later_to_the_same_bits(
    tmp_path: Path, undisturbed: tuple[int, Path], victim: int, number: int
) -> None:
    size, reference = undisturbed
    with cluster([command(*LONG)] * size, tmp_path) as workers:
        wait_for_iterations(tmp_path, 500)
        workers[victim].send_signal(number)
        struck = time.monotonic()
        survivors = [each for each in workers if each is not workers[victim]]
        results = [ended(each) for each in survivors]
        seconds = time.monotonic() - struck
    print(f"{size} workers, {signal.Signals(number).name} to worker {victim}: {seconds:.1f} s", *results, sep="\n")
    assert seconds < WITHIN
    for result in results:
        assert result.status == 1
        (error,) = (line for line in result.err.splitlines() if line.startswith("Error: "))
        assert "Lost " in error
        assert f"worker {victim} (127.0.0.1:" in error
    run = only_run(tmp_path / "worker-0")
    assert list((run / "checkpoints").glob("*.npz"))
    again = run_cluster([command("train", "--resume", "latest", "--checkpoint-every", 200)] * size, tmp_path)
    assert [each.status for each in again] == [0] * size, again
    assert weights(run) == weights(reference)
    assert metrics(run) == metrics(reference)


@pytest.mark.long
def test_ctrl_c_on_the_chief_keeps_what_was_reached_and_one_process_goes_on(tmp_path: Path) -> None:
    with cluster([command(*LONG)] * 2, tmp_path) as (chief, other):
        wait_for_iterations(tmp_path, 300)
        chief.send_signal(signal.SIGINT)
        stopped, lost = ended(chief), ended(other)
    assert stopped.status == 130
    assert "Continue with: cnnmnist train --resume" in stopped.err
    assert lost.status == 1
    assert "Lost worker 0" in lost.err
    run = only_run(tmp_path / "worker-0")
    shutil.move(run, tmp_path / "moved")
    done = subprocess.run(
        command("train", "--resume", "moved", "--iterations", 2_000),
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    assert "was trained with 2 replicas until here" in done.stderr
    assert [line[0] for line in metrics(tmp_path / "moved")] == list(range(1, 2_001))
