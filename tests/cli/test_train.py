"""``cnnmnist train`` as a user types it."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.idx import write_idx
from cnnmnist.data.sources import load_dataset
from conftest import Cli, Result, command, run_cli

SMALL = ["--set", "model.convolutions=[{filters: 4}]", "--set", "model.dense=[16]", "--batch-size", "16"]


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def test_without_a_network_it_trains_on_the_embedded_digits_and_says_so(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    assert result.status == 0
    assert result.err.count("Training on the embedded digits") == 1
    assert "5,000 of MNIST's 70,000" in " ".join(result.err.replace("│", " ").split())
    for line in (
        r"Training set:\s+3,500 images",
        r"Validation set:\s+500 images",
        r"Test set:\s+1,000 images",
        r"Time usage: 0:0\d:\d\d",
    ):
        assert re.search(line, result.out), line
    assert "Optimization Iteration:      1, Training Accuracy:" in result.err
    assert "Optimization Iteration:    101, Training Accuracy:" in result.err
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
    assert [row[0] for row in rows] == ["0", "1", "100", "120"]
    assert [row[2] for row in rows] == ["10.4%", "10.9%", "66.3%", "-"]
    record = json.loads((only_run(folder) / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["dataset"]["name"] == "mnist5k"
    assert "tensorflow" not in result.err.lower().replace("starting tensorflow", "")


def test_json_is_one_document_and_every_option_reaches_the_recipe(cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "train", *SMALL, "--iterations", 5, "--learning-rate", "1e-3", "--seed", 7, "--evaluate-at", "2,0",
        "--dataset", "mnist5k", "--precision", "mixed_bfloat16", "--name", "mine", "--json",
        "--set", "training.beta_2=0.99", "--runs-dir", "elsewhere",
    )  # fmt: skip
    assert result.status == 0, result.err
    report = result.json
    assert report.keys() == {"run", "dataset", "precision", "iterations", "seconds", "accuracy", "ladder"}
    assert (report["run"], report["dataset"]) == ("elsewhere/mine", "mnist5k")
    assert (report["precision"], report["iterations"]) == ("mixed_bfloat16", 5)
    assert [rung["iteration"] for rung in report["ladder"]] == [0, 2, 5]
    assert report["accuracy"] == report["ladder"][-1]["accuracy"]
    training = json.loads((tmp_path / "elsewhere/mine/run.json").read_text())["recipe"]["training"]
    assert (training["learning_rate"], training["seed"], training["beta_2"]) == (1e-3, 7, 0.99)
    assert "Size" not in result.out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--config", "tutoriall"], 2, "did you mean 'tutorial'"),
        (["--set", "training.lerning_rate=1"], 2, "did you mean 'training.learning_rate'"),
        (["--set", "training.batch_size"], 2, "write it as KEY=VALUE"),
        (["--set", "training.learning_rate=fast"], 2, "should be a valid number, not 'fast'"),
        (
            ["--iterations", "-5"],
            2,
            "training.iterations: input should be greater than or equal to 0, not -5",
        ),
        (["--iterations", "many"], 2, "'many' is not a valid integer"),
        (["--evaluate-at", "1;2"], 2, "is not a list of iterations"),
        (["--dataset", "mnits"], 2, "did you mean 'mnist'"),
        (["--dataset", "mnist"], 1, "--data-dir"),
        (["--data-dir", "nowhere"], 1, "nowhere"),
        (["--dataset", "mnist5k", "--name", "../x"], 1, "cannot name a run"),
        (["--dataset", "mnist5k", "--name", "\x1b[31m"], 1, "cannot name a run"),
        (["--dataset", "mnist5k", "--runs-dir", "/proc/here"], 1, "/proc/here"),
        (["--resume", "nothing"], 1, "There is no run 'nothing'"),
        (["--resume", "latest"], 1, "There is no run in runs"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(
    cli: Cli, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    result = cli("train", *arguments)
    assert result.status == status
    assert message in result.err
    assert result.out == ""
    assert len([line for line in result.err.splitlines() if line.startswith("Error:")]) == 1
    assert "\x1b" not in result.err
    assert list(tmp_path.iterdir()) == []


def data_folder(folder: Path, **replaced: np.ndarray) -> Path:
    digits = load_dataset("mnist5k")
    arrays = {
        "train-images-idx3-ubyte.gz": digits.train.images[:120],
        "train-labels-idx1-ubyte.gz": digits.train.labels[:120],
        "t10k-images-idx3-ubyte": digits.test.images[:50],
        "t10k-labels-idx1-ubyte": digits.test.labels[:50],
    }
    folder.mkdir()
    for name, array in (arrays | replaced).items():
        write_idx(folder / name, array)
    return folder


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: (f / "t10k-labels-idx1-ubyte").unlink(), "t10k-labels-idx1-ubyte"),
        (lambda f: os.truncate(f / "t10k-images-idx3-ubyte", 5_000), "t10k-images-idx3-ubyte"),
        (lambda f: os.truncate(f / "train-images-idx3-ubyte.gz", 5_000), "train-images-idx3-ubyte.gz"),
        (lambda f: write_idx(f / "t10k-labels-idx1-ubyte", np.zeros(49, np.uint8)), "t10k-labels-idx1-ubyte"),
        (lambda f: write_idx(f / "t10k-labels-idx1-ubyte", np.zeros((50, 28, 28), np.uint8)), "t10k-labels"),
        (lambda f: write_idx(f / "t10k-images-idx3-ubyte", np.zeros((50, 9, 9), np.uint8)), "t10k-images"),
        (lambda f: (f / "t10k-images-idx3-ubyte").write_bytes(b"nonsense"), "t10k-images-idx3-ubyte"),
        (
            lambda f: (f / "t10k-images-idx3-ubyte").rename(f / "x").rename(f / "t10k-labels-idx1-ubyte"),
            "t10k-images-idx3-ubyte",
        ),
    ],
)
def test_damaged_data_is_refused_by_file(cli: Cli, tmp_path: Path, damage: object, named: str) -> None:
    folder = data_folder(tmp_path / "data")
    damage(folder)  # type: ignore[operator]
    result = cli("train", "--data-dir", folder)
    assert result.status == 1
    assert named in result.err
    assert not (tmp_path / "runs").exists()


def test_a_run_on_a_folder_of_data_is_evaluated_on_it(cli: Cli, tmp_path: Path) -> None:
    folder = data_folder(tmp_path / "data")
    assert cli("train", *SMALL, "--iterations", 3, CNNMNIST_DATA_DIR="data").status == 0
    found = cli("evaluate", "--json")
    assert found.json["total"] == 50
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros((50, 28, 28), np.uint8))
    changed = cli("evaluate")
    assert changed.status == 1
    assert "are not those that the run" in changed.err


def weights(run: Path) -> bytes:
    from zipfile import ZipFile

    with ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


LONG_RUN = ["train", *SMALL, "--dataset", "mnist5k", "--iterations", 3_000, "--evaluate-at", "100"]


def started(folder: Path, *arguments: object, iterations: int) -> subprocess.Popen[str]:
    """A training in the background that has done some iterations."""
    process = subprocess.Popen(
        command(*arguments), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        files = list(folder.glob("runs/*/metrics.jsonl"))
        if files and files[0].read_bytes().count(b"\n") >= iterations:
            return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError(process.communicate())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_cli(*LONG_RUN, cwd=folder).status == 0
    return only_run(folder)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_reached_and_says_how_to_go_on(
    tmp_path: Path, cli: Cli, undisturbed: Path, number: int, status: int
) -> None:
    process = started(tmp_path, *LONG_RUN, iterations=300)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    run = only_run(tmp_path)
    assert f"cnnmnist train --resume {run.name}" in err
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert cli("train", "--resume", "latest", "--seed", 5).status == 2
    assert cli("train", "--resume", run.name).status == 0
    assert weights(run) == weights(undisturbed)


def killed_and_resumed(folder: Path, kills: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    arguments: list[object] = [*LONG_RUN, "--checkpoint-every", 50]
    for _ in range(kills):
        done = 0
        for file in folder.glob("runs/*/metrics.jsonl"):
            done = file.read_bytes().count(b"\n")
        process = started(folder, *arguments, iterations=min(done + 1, 2_900))
        time.sleep(random.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        arguments = ["train", "--resume", "latest", "--checkpoint-every", 50]
    assert run_cli(*arguments, cwd=folder).status == 0
    return only_run(folder)


def check_kills(folder: Path, undisturbed: Path, kills: int) -> None:
    run = killed_and_resumed(folder, kills, seed=kills)
    assert weights(run) == weights(undisturbed)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, 3_001))
    assert not list(run.rglob("*.tmp*")) or kills


def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    check_kills(tmp_path, undisturbed, kills=2)


@pytest.mark.long
def test_killed_25_times_it_ends_with_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    check_kills(tmp_path, undisturbed, kills=25)


@pytest.mark.full
def test_a_thousand_iterations_on_mnist_reach_the_tutorials_rung(cli: Cli, mnist_dir: Path) -> None:
    result = cli("train", "--data-dir", mnist_dir, "--iterations", 1_000, "--json")
    assert result.status == 0, result.err
    ladder = {rung["iteration"]: rung["accuracy"] for rung in result.json["ladder"]}
    assert result.json["dataset"] == "mnist"
    assert ladder[0] < 0.25
    assert 0.5 < ladder[100] < 0.85
    assert 0.91 < ladder[1_000] < 0.95


@pytest.mark.long
@pytest.mark.full
def test_the_tutorials_ladder(cli: Cli, mnist_dir: Path) -> None:
    result = cli("train", "--data-dir", mnist_dir, "--json")
    ladder = {rung["iteration"]: rung["accuracy"] for rung in result.json["ladder"]}
    assert 0.91 < ladder[1_000] < 0.95
    assert 0.983 < ladder[10_000] < 0.99
