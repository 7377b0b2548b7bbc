"""``cnnmnist compare`` as a user types it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.metrics import append_metrics
from cnnmnist.runs.store import create_run
from conftest import Cli

DATASET = load_dataset("mnist5k")


def make_run(folder: Path, name: str, iterations: int, rate: float) -> None:
    fields = {"training.learning_rate": rate, "training.iterations": iterations}
    recipe = load_recipe(overrides=fields | {"training.record_at": list(range(0, 1_000 - iterations, 10))})
    run = create_run(folder, name, recipe, DATASET)
    done = np.arange(1, iterations + 1)
    append_metrics(run.metrics_file, iterations, np.exp(-done * rate), 1 - np.exp(-done * rate), 100.0)
    run.metadata.ladder = [Rung(iteration=0, accuracy=0.1), Rung(iteration=iterations, accuracy=0.9 + rate)]
    run.metadata.iteration, run.metadata.status, run.metadata.precision = iterations, "finished", "float32"
    run.save()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_run(tmp_path / "runs", "slow", 2_000, 0.001)
    make_run(tmp_path / "runs", "fast", 500, 0.01)
    return tmp_path / "runs"


def test_what_differs_the_ladders_and_the_figure(cli: Cli, runs: Path) -> None:
    result = cli("compare", "slow", "fast", COLUMNS="100")
    assert result.status == 0, result.err
    assert result.err == ""
    rows = [line.split() for line in result.out.splitlines()]
    assert ["field", "slow", "fast"] in rows
    assert ["training.learning_rate", "0.001", "0.01"] in rows
    assert ["training.iterations", "2000", "500"] in rows
    assert ["training.record_at", "[]", "50", "from", "0", "to", "490"] in rows
    assert ["0", "10.00%", "10.00%"] in rows
    assert ["500", "-", "91.00%"] in rows
    assert ["2,000", "90.10%", "-"] in rows
    assert "batch_size" not in result.out
    assert "versions" not in result.out
    (path,) = re.findall(r"Figure: (.*)", result.out)
    assert path == "runs/slow/figures/compared-with-fast.png"
    pixels = np.asarray(Image.open(runs.parent / path).convert("RGB"))
    colors = {tuple(color) for color in pixels.reshape(-1, 3)[::7]}
    assert {(31, 119, 180), (255, 127, 14)} <= colors  # a line for each


def test_json_and_other_versions_layers_and_names(cli: Cli, runs: Path) -> None:
    shutil.copytree(runs / "slow", runs.parent / "elsewhere" / "slow")
    record = runs.parent / "elsewhere" / "slow" / "run.json"
    text = record.read_text().replace('"filters": 36', '"filters": 40')
    record.write_text(re.sub(r'"keras": "[^"]*"', '"keras": "3.0.0"', text))
    result = cli("compare", "slow", "elsewhere/slow", "--output", "new/curves.svg", "--json")
    assert result.status == 0, result.err
    report = result.json
    assert report["runs"] == ["runs/slow", "elsewhere/slow"]
    assert report["differences"].keys() == {"model.convolutions[1].filters", "versions.keras"}
    assert report["differences"]["model.convolutions[1].filters"] == [36, 40]
    assert report["ladders"][1][1] == {"iteration": 2000, "accuracy": 0.901}
    assert report["figures"] == ["new/curves.svg"]
    assert "elsewhere/slow" in result.err, "two runs of one name go by their directories"
    assert (runs.parent / "new" / "curves.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_gets_a_list(cli: Cli, runs: Path, columns: int) -> None:
    result = cli("compare", "slow", "fast", COLUMNS=str(columns))
    assert result.status == 0, result.err
    assert "  field training.learning_rate\n    slow: 0.001\n    fast: 0.01\n" in result.out


def test_metrics_that_cannot_be_read_cost_a_curve_and_nothing_else(cli: Cli, runs: Path) -> None:
    lines = (runs / "fast" / "metrics.jsonl").read_text().splitlines()
    shutil.copytree(runs / "fast", runs / "_killed")
    (runs / "_killed" / "metrics.jsonl").write_text("\n".join([*lines[:100], lines[100][:20]]))
    (runs / "fast" / "metrics.jsonl").write_text("\n".join([*lines[:3], lines[7], ""]))
    result = cli("compare", "fast", "_killed", "pretrained")
    assert result.status == 0, result.err
    warnings = [line for line in result.err.splitlines() if line]
    assert len(warnings) == 2, "a last line that was cut off is no damage"
    assert "fast/metrics.jsonl is damaged in line 4: the learning curve of fast is left out." in warnings[0]
    assert "the learning curve of pretrained is left out" in warnings[1]
    assert "compared-with-_killed-and-1-more.png" in result.out


def test_runs_that_are_the_same(cli: Cli, runs: Path) -> None:
    for name in ("fast", "slow"):
        (runs / name / "metrics.jsonl").unlink()
    shutil.copytree(runs / "slow", runs / "again")
    result = cli("compare", "slow", "again")
    assert result.status == 0
    assert "The runs have the same recipe, data and versions." in result.out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["slow"], 2, "name two runs or more"),
        ([], 2, "Missing argument"),
        (["slow", "runs/slow"], 2, "'slow' is the same run as an earlier one"),
        (["slow", "nothing"], 1, "There is no run 'nothing'"),
        (["slow", "fast", "--output", "curves.bmp"], 2, ".png, .svg or .pdf"),
        (["slow", "fast", "--output", "/dev/null/curves.png"], 1, "Cannot write /dev/null/curves.png"),
    ],
)
def test_what_cannot_be_done(cli: Cli, runs: Path, arguments: list[str], status: int, message: str) -> None:
    result = cli("compare", *arguments)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
