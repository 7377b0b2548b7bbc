"""``cnnmnist train --find-learning-rate``: a sentence, a figure and numbers, and no run."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from cnnmnist.cli.find_learning_rate import find_rate
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train_options import TrainOptions
from cnnmnist.data.loading import load_dataset

SMALL = ("model.convolutions=[{filters: 4}]", "model.dense=[16]", "training.batch_size=16")
DIGITS = load_dataset("mnist5k")


def asked(*settings: str, **given: Any) -> TrainOptions:
    common = {"config": None, "dataset": None, "data_dir": None, "skip_damaged": False}
    return TrainOptions.parse(settings, runs_dir=Path("runs"), as_json=True, **common | given)


def test_the_sentence_the_figure_and_the_document_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cnnmnist.training.learning_rate.ITERATIONS", 60)
    monkeypatch.setattr("cnnmnist.training.learning_rate.FALLEN", 1.0)
    find_rate(asked(*SMALL), DIGITS, Terminal(as_json=True))
    out, said = capsys.readouterr()
    report = json.loads(out)
    assert (report["recipe"], report["dataset"]) == ("tutorial", "mnist5k")
    assert f"steepest at {report['steepest']:.1e}, least at {report['least']:.1e}, and " in said
    assert ("diverged" in report) == ("did not diverge" not in said)
    assert f"Try --learning-rate {report['try']:.1e}, a tenth of the rate of the least loss" in said
    assert "The recipe tutorial has 1.0e-04." in said
    assert report["curve"][0]["rate"] == pytest.approx(1e-6)
    assert min(point["loss"] for point in report["curve"]) < report["curve"][0]["loss"]
    assert report["figures"] == ["learning-rate-tutorial.png"]
    assert (tmp_path / "learning-rate-tutorial.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == report["figures"], "it leaves no run"


@pytest.mark.parametrize("option", [{"name": "mine"}, {"record": True}, {"tensorboard": True}, {"resume": "mine"}])
def test_options_for_a_run_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(click.UsageError, match="makes no run: leave out the options for a run"):
        find_rate(asked(**option), DIGITS, Terminal())
