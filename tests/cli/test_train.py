"""``cnnmnist train`` as a user types it."""

import json
import os
import re
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from build_mnist5k import write_idx

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe, recipe_names
from cnnmnist.runs.store import create_run, load_run
from conftest import SMALL, Cli, Result, only_run
from support.systems import needs_linux


@pytest.mark.xdist_group("trained")
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
    rows = re.findall(r"^ +([\d,]+) +\S+% +(\S+) *$", result.out, re.MULTILINE)
    assert [row[0] for row in rows] == ["0", "1", "100", "120"]
    assert [row[1] for row in rows] == ["10.4%", "10.9%", "66.3%", "-"]
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
        (["--batch-size", "70000"], 2, "Error: --batch-size: training.batch_size: input should be less than"),
        (["--set", "training.beta_1=7"], 2, "Error: --set training.beta_1: training.beta_1: input should"),
        (["--set", "model.convolutions=[{filters: -4}]"], 2, "Error: --set model.convolutions: model.conv"),
        (["--iterations", "many"], 2, "'many' is not a valid integer"),
        (["--evaluate-at", "1;2"], 2, "is not a list of iterations"),
        (["--record-at", "1;2"], 2, "is not a list of iterations"),
        (["--record", "--record-at", "1,2"], 2, "--record chooses the iterations itself: leave out --record-at."),
        (["--dataset", "mnits"], 1, "did you mean 'mnist'"),
        (["--dataset", "mnist"], 1, "--data-dir"),
        (["--data-dir", "nowhere"], 1, "nowhere"),
        (["--dataset", "mnist5k", "--name", "../x"], 1, "cannot name a run"),
        (["--dataset", "mnist5k", "--name", "\x1b[31m"], 1, "cannot name a run"),
        pytest.param(["--dataset", "mnist5k", "--runs-dir", "/proc/here"], 1, "/proc/here", marks=needs_linux),
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


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--seed", "5"], 2, "--seed contradicts the recipe of the run mine, in which it is 0"),
        (["--set", "training.seed=5"], 2, "--seed contradicts"),
        (["--set", "training.beta_1=0.5"], 2, "--set training.beta_1 contradicts"),
        (["--batch-size", "8"], 2, "--batch-size contradicts the recipe of the run mine, in which it is 16"),
        (["--evaluate-at", "5"], 2, "--evaluate-at contradicts"),
        (["--record-at", "5"], 2, "--record-at contradicts the recipe of the run mine, in which it is []"),
        (["--record"], 2, "--record contradicts the recipe of the run mine, which keeps no snapshots"),
        (["--set", "name=other"], 2, "--set name contradicts"),
        (["--set", "name.x=1"], 2, "A recipe has no field 'name.x'"),
        (["--set", "training.lerning_rate=1"], 2, "did you mean 'training.learning_rate'"),
        (["--iterations", "-5"], 2, "greater than or equal to 0, not -5"),
        (["--set", "training.iterations=many"], 2, "should be a valid integer, not 'many'"),
        (["--iterations", "5"], 2, "has 10 iterations already"),
        (["--config", "fast"], 2, "--config cannot be given with --resume"),
        (["--name", "other"], 2, "--name cannot be given with --resume"),
        (["--dataset", "mnist"], 2, "--dataset cannot be given with --resume"),
        (["--data-dir", "data"], 1, "The run mine was trained on other data than"),
    ],
)
def test_what_contradicts_the_resumed_run_is_refused_by_name(
    cli: Cli, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    recipe = load_recipe(overrides={"training.batch_size": 16, "training.iterations": 20})
    run = create_run(tmp_path / "runs", "mine", recipe, load_dataset("mnist5k"))
    run.metadata.iteration = 10
    run.save()
    if "--data-dir" in arguments:
        data_folder(tmp_path / "data")
    result = cli("train", "--resume", "mine", *arguments)
    assert result.status == status
    assert message in result.err
    assert "tensorflow" not in result.err.lower()


@pytest.mark.parametrize(
    ("kept", "arguments", "recorded"),
    [([0, 1, 2, 3, 4], ["--record"], [0, 1, 2, 3, 4, 5, 6]), ([2, 4], ["--record-at", "4,2"], [2, 4])],
)
def test_a_run_recorded_to_its_end_is_recorded_to_the_new_one_unless_its_iterations_are_chosen(
    cli: Cli, tmp_path: Path, kept: list[int], arguments: list[str], recorded: list[int]
) -> None:
    fields = {"model.convolutions": [{"filters": 2}], "model.dense": [], "training.evaluate_at": []}
    recipe = load_recipe(overrides=fields | {"training.iterations": 4, "training.record_at": kept})
    run = create_run(tmp_path / "runs", "mine", recipe, load_dataset("mnist5k"))
    result = cli("train", "--resume", "mine", *arguments, "--iterations", 6)
    assert result.status == 0, result.err
    assert sorted(int(path.stem) for path in run.snapshots.iterdir()) == recorded
    assert load_run("mine", tmp_path / "runs").metadata.recipe.training.record_at == recorded
    assert "Show how it learned: cnnmnist visualize runs/mine --movie" in result.out


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"\\u001b[31m": 1}'])
@pytest.mark.parametrize("command", [["train", "--resume"], ["evaluate"], ["visualize", "--layer", "conv1"]])
def test_a_damaged_record_is_refused_by_every_command(
    cli: Cli, tmp_path: Path, command: list[str], content: bytes
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "run.json").write_bytes(content)
    for name in ("mine", "latest"):
        result = cli(*command, name)
        assert result.status == 1
        assert "run.json is damaged" in result.err
        assert "\x1b" not in result.err
        assert result.out == ""


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


@pytest.mark.long
def test_a_run_on_a_folder_of_data_is_evaluated_on_it(cli: Cli, tmp_path: Path) -> None:
    folder = data_folder(tmp_path / "data")
    assert cli("train", *SMALL, "--iterations", 3, CNNMNIST_DATA_DIR="data").status == 0
    found = cli("evaluate", "--json")
    assert found.json["total"] == 50
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros((50, 28, 28), np.uint8))
    changed = cli("evaluate")
    assert changed.status == 1
    assert "was trained on other data" in changed.err


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


@pytest.mark.long
@pytest.mark.parametrize("recipe", recipe_names())
def test_the_same_seed_gives_the_same_bits_in_every_process(cli: Cli, tmp_path: Path, recipe: str) -> None:
    weights = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        arguments = ["--config", recipe, "--dataset", "mnist5k", "--iterations", 20, "--evaluate-at", "0"]
        assert cli("train", *arguments, "--seed", seed, "--name", name).status == 0
        with ZipFile(tmp_path / "runs" / name / "model.keras") as archive:
            weights.append(archive.read("model.weights.h5"))
    assert weights[0] == weights[1] != weights[2]
