"""``cnnmnist evaluate`` as a user types it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run
from conftest import Cli, Result, run_cli
from support.datasets import small_arrays, write_folder

pytestmark = pytest.mark.xdist_group("trained")  # all on the worker that trains that run


def test_the_three_commands_work_in_that_order_with_no_option_naming_the_run(
    trained: tuple[Path, Result],
) -> None:
    folder, training = trained
    assert training.status == 0
    errors = run_cli("evaluate", "--show-errors", cwd=folder)
    assert errors.status == 0, errors.err
    accuracy = re.search(r"Accuracy on Test-Set: (\d+\.\d)% \((\d+) / 1000\)", errors.out)
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
        cwd=folder,
    )
    report = result.json
    assert report.keys() == {
        "run", "dataset", "split", "accuracy", "correct", "total", "seen_in_training", "confusion_matrix",
        "errors",
        "undisputed_errors", "figures",
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
    assert report["figures"] == ["pictures/validation-confusion-matrix.png"]
    assert (folder / report["figures"][0]).stat().st_size > 5_000
    assert "Accuracy on Validation-Set" in result.err


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
