"""``cnnmnist evaluate`` as a user types it."""

import csv
import json
import re
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from scipy.stats import binomtest

from cnnmnist.cli.evaluate import _pair
from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run, load_run
from conftest import Cli, Result, only_run, run_cli
from support.datasets import small_arrays, write_folder

pytestmark = pytest.mark.xdist_group("trained")  # all on the worker that trains that run


def test_the_three_commands_work_in_that_order_with_no_option_naming_the_run(
    trained: tuple[Path, Result],
) -> None:
    folder, training = trained
    assert training.status == 0
    errors = run_cli("evaluate", "--show-errors", cwd=folder)
    assert errors.status == 0, errors.err
    accuracy = re.search(r"Accuracy on Test-Set: (\d+\.\d)% \((\d+) / 1000\), 95 % interval", errors.out)
    assert accuracy, errors.out
    wrong = 1_000 - int(accuracy[2])
    assert f"{wrong} of 1,000 images are misclassified; the first 9 of them:" in errors.out
    assert len(re.findall(r"image +\d+: True: \d, Pred: \d", errors.out)) == 9
    (path,) = re.findall(r"Figure: (.*)", errors.out)
    assert (folder / path).read_bytes().startswith(b"\x89PNG")
    outputs = run_cli("visualize", "--layer", "conv1", "--image", 13, cwd=folder)
    assert outputs.status == 0, outputs.err
    (path,) = re.findall(r"Figure: (.*)", outputs.out)
    assert (folder / path).read_bytes().startswith(b"\x89PNG")


def test_json_agrees_with_itself(trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    result = run_cli(
        "evaluate",
        "--json",
        "--confusion-matrix",
        "--figures",
        "pictures",
        "--split",
        "validation",
        "--calibration",
        "--sort",
        "loss",
        "--predictions",
        "answers.csv",
        cwd=folder,
    )
    report = result.json
    assert report.keys() == {
        "run", "dataset", "split", "accuracy", "interval", "correct", "total", "seen_in_training",
        "confusion_matrix", "errors",
        "undisputed_errors", "figures", "cross_entropy", "brier_score", "calibration_error", "temperature",
    }  # fmt: skip
    matrix = np.array(report["confusion_matrix"])
    assert matrix.sum() == report["total"] == 500
    assert (matrix.sum(axis=1) == 50).all()
    assert np.trace(matrix) == report["correct"] == round(report["accuracy"] * 500)
    assert len(report["errors"]) == 500 - report["correct"]
    counted = np.zeros_like(matrix)
    for error in report["errors"]:
        counted[error["label"], error["predicted"]] += 1
    np.testing.assert_array_equal(counted, matrix - np.diag(np.diag(matrix)))
    assert report["figures"] == [
        f"pictures/validation-{name}.png" for name in ("errors-by-loss", "confusion-matrix", "calibration")
    ]
    assert all((folder / path).stat().st_size > 5_000 for path in report["figures"])
    interval = binomtest(report["correct"], 500).proportion_ci(method="wilson")
    assert report["interval"] == pytest.approx([interval.low, interval.high])
    low, high = (f"{100 * end:.1f}" for end in report["interval"])
    assert f" ({report['correct']} / 500), 95 % interval {low} to {high} %" in result.err
    losses = [error["loss"] for error in report["errors"]]
    assert losses == sorted(losses, reverse=True)
    assert min(losses) > np.log(2), "a wrong answer is more probable than the right one"
    assert report["temperature"] == load_run(only_run(folder)).metadata.temperature != 1
    rows = list(csv.DictReader((folder / "answers.csv").read_text().splitlines()))
    assert np.mean([float(row["loss"]) for row in rows]) == pytest.approx(report["cross_entropy"])
    assert sum(row["correct"] == "True" for row in rows) == report["correct"]
    assert report["calibration_error"] < 0.05, "the temperature was fitted on these images"
    assert "Accuracy on Validation-Set" in result.err


def test_confused_classes_alone(trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    everything = run_cli("evaluate", "--json", cwd=folder).json
    matrix = np.array(everything["confusion_matrix"])
    np.fill_diagonal(matrix, 0)
    true, predicted = np.unravel_index(matrix.argmax(), matrix.shape)
    chosen = run_cli("evaluate", "--json", "--confused", f"{true},{predicted}", cwd=folder)
    found = chosen.json["errors"]
    assert found == [e for e in everything["errors"] if (e["label"], e["predicted"]) == (true, predicted)]
    assert len(found) == matrix.max()
    assert f"{len(found)} of 1,000 images of class {true} are read as {predicted}" in chosen.err
    assert chosen.json["figures"][0].endswith(f"test-errors-{true}-{predicted}.png")


@pytest.mark.parametrize(
    ("text", "pair"),
    [("a,b", (0, 2)), ("b, 1", (2, 1)), ("x, y,b", (3, 2)), ("a,x, y", (0, 3)), ("0,1", (1, 1)), ("0,2", (1, 2))],
)
def test_classes_are_named_by_name_before_number(text: str, pair: tuple[int, int]) -> None:
    names = ("a", "0", "b", "x, y")
    if pair[0] == pair[1]:
        with pytest.raises(click.UsageError, match=r"two different classes, as a,x, y, not '0,1'"):
            _pair(text, names)
    else:
        assert _pair(text, names) == pair


def test_robustness_of_a_folder_of_few_images_is_a_table_a_figure_and_numbers(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", small_arrays(side=28, test=3))
    result = run_cli("evaluate", "pretrained", "--data-dir", "data", "--robustness", "--json", cwd=tmp_path)
    assert result.status == 0, result.err
    curves = result.json["robustness"]
    assert len(curves) == 12
    for curve in curves:
        assert curve.keys() == {"name", "unit", "amounts", "images", "accuracies"}
        assert curve["accuracies"][0] == result.json["accuracy"]
        assert curve["images"] == result.json["total"] == 3
        assert curve["name"].split()[0] in result.err
    (figure,) = result.json["figures"]
    assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing"], 1, "There is no run 'nothing'"),
        (["../runs"], 1, "There is no run '../runs'"),
        (["--confused", "4"], 2, "--confused takes two different classes, as 0,9, not '4'"),
        (["--confused", "4,x"], 2, "the classes are 0, 1, 2"),
        (["--predictions", "/dev/null/a.csv"], 1, "Cannot write /dev/null/a.csv"),
        (["--split", "tset"], 2, "is not one of 'test', 'validation', 'train'"),
        (["--data-dir", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(
    trained: tuple[Path, Result], arguments: list[str], status: int, message: str
) -> None:
    folder, _ = trained
    result = run_cli("evaluate", *arguments, cwd=folder)
    assert result.status == status
    assert message in result.err
    assert result.out == ""


def test_no_run_yet(cli: Cli) -> None:
    result = cli("evaluate")
    assert result.status == 1
    assert "train one with `cnnmnist train`" in result.err


def test_a_run_that_is_unfinished_or_of_other_versions_is_evaluated_with_a_warning(
    trained: tuple[Path, Result], tmp_path: Path
) -> None:
    (run,) = (trained[0] / "runs").iterdir()
    shutil.copytree(run, tmp_path / "runs" / "mine")
    path = tmp_path / "runs" / "mine" / "run.json"
    record = json.loads(path.read_text())
    record["versions"]["keras"] = "3.0.0"
    record["status"] = "interrupted"
    record["recipe"]["training"]["iterations"] = 500
    path.write_text(json.dumps(record))
    result = run_cli("evaluate", "--json", cwd=tmp_path)
    assert result.status == 0
    assert result.json["total"] == 1_000
    assert "Warning: the run mine is interrupted, 120 of 500 iterations" in result.err
    assert "Warning: the run mine was made with keras 3.0.0 (now " in result.err
    assert "Warning" not in run_cli("evaluate", cwd=trained[0]).err


def test_the_latest_run_without_a_network_says_how_to_get_one(cli: Cli, tmp_path: Path) -> None:
    create_run(tmp_path / "runs", "mine", load_recipe(), load_dataset("mnist5k"))
    result = cli("evaluate")
    assert result.status == 1
    assert "has no trained network yet (status: running)" in result.err
    assert "`cnnmnist train --resume runs/mine`" in result.err
