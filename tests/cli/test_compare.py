"""``cnnmnist compare`` as a user types it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from cnnmnist.data.loading import load_dataset
from cnnmnist.evaluation import evaluate
from cnnmnist.model import build_model
from cnnmnist.model_file import save_model
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.metrics import append_metrics
from cnnmnist.runs.store import create_run, load_run
from conftest import Cli
from support.datasets import small_arrays, write_folder

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


def tested(tmp_path: Path, *names: str) -> None:
    """Runs with networks of initial weights, each of its own seed."""
    for number, name in enumerate(names):
        run = create_run(tmp_path / "runs", name, load_recipe(overrides={"training.iterations": 0}), DATASET)
        save_model(build_model(run.metadata.recipe.model, seed=number), run.model_file)
        run.metadata.status = "finished"
        run.save()


def test_runs_on_the_same_images_are_tested_in_pairs(cli: Cli, tmp_path: Path) -> None:
    tested(tmp_path, "one", "two")
    shutil.copytree(tmp_path / "runs" / "one", tmp_path / "runs" / "copy")
    result = cli("compare", "one", "two", "copy", "--test", "--json")
    assert result.status == 0, result.err
    report = result.json
    names = [(Path(pair["first"]).name, Path(pair["second"]).name) for pair in report["pairs"]]
    assert names == [("one", "two"), ("one", "copy"), ("two", "copy")]
    rights = [
        evaluate(load_run(name, tmp_path / "runs").load_network(), DATASET.test).predicted == DATASET.test.labels
        for name in ("one", "two")
    ]
    only_one, only_two = int((rights[0] & ~rights[1]).sum()), int((rights[1] & ~rights[0]).sum())
    first, same, last = report["pairs"]
    assert (first["only_first"], first["only_second"]) == (only_one, only_two)
    assert (last["only_first"], last["only_second"]) == (only_two, only_one)
    assert first["difference"] == pytest.approx(rights[0].mean() - rights[1].mean())
    assert first["interval"][0] < first["difference"] < first["interval"][1]
    p_value = binomtest(only_one, only_one + only_two).pvalue
    assert first["p_value"] == last["p_value"] == pytest.approx(min(1, 3 * p_value)), "Holm's correction"
    assert (same["only_first"], same["only_second"], same["difference"], same["p_value"]) == (0, 0, 0, 1)
    assert "corrected for 3 pairs (Holm)" in result.err
    assert "A and C differ by no more than luck with the images can make." in result.err
    assert "Each recipe was trained once: with another seed" in result.err
    curves, figure = report["figures"]
    assert figure == curves.replace(".png", "-only-some-read.png")
    with Image.open(tmp_path / figure) as drawn:
        assert drawn.width > 500


def test_a_run_against_its_copy_has_no_image_that_only_one_reads(cli: Cli, tmp_path: Path) -> None:
    tested(tmp_path, "one")
    shutil.copytree(tmp_path / "runs" / "one", tmp_path / "runs" / "copy")
    report = cli("compare", "one", "copy", "--test", "--json").json
    (pair,) = report["pairs"]
    assert (pair["only_first"], pair["only_second"], pair["difference"], pair["p_value"]) == (0, 0, 0, 1)
    assert len(report["figures"]) == 1


@pytest.mark.parametrize("other", ["images", "labels", "classes"])
def test_other_images_labels_or_classes_are_refused_and_nothing_is_written(
    cli: Cli, tmp_path: Path, other: str
) -> None:
    arrays = small_arrays(side=28)
    tested_data = [load_dataset(data_dir=write_folder(tmp_path / "data", arrays))]
    if other == "classes":
        tested_data.append(load_dataset(data_dir=write_folder(tmp_path / "new", small_arrays(9, side=28))))
    else:
        number = 2 if other == "images" else 3
        arrays[number] = arrays[number].copy()
        arrays[number].flat[0] += 1
        tested_data.append(load_dataset(data_dir=write_folder(tmp_path / "new", arrays)))
    for name, data in zip(("one", "two"), tested_data, strict=True):
        create_run(tmp_path / "runs", name, load_recipe(), data)
    result = cli("compare", "one", "two", "--test", "--json")
    assert (result.status, result.out) == (1, "")
    what = "know other classes" if other == "classes" else "have other test images"
    assert f"one and two {what}" in result.err
    assert not list((tmp_path / "runs" / "one" / "figures").iterdir())
