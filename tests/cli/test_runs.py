"""``cnnmnist runs`` as a user types it."""

from pathlib import Path

import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.store import create_run
from conftest import Cli

DATASET = load_dataset("mnist5k")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs, the second being the best and the last not evaluated yet, and a damaged directory."""
    folder = tmp_path / "runs"
    for number, (name, accuracy) in enumerate([("worse", 0.9), ("better", 0.95), ("started", None)]):
        run = create_run(folder, name, load_recipe(), DATASET)
        run.metadata.started = f"2026-01-0{number + 1}T00:00:00.000+00:00"
        run.metadata.iteration = 100 * (number + 1)
        run.metadata.seconds = 61.0
        if accuracy is not None:
            run.metadata.ladder.append(Rung(iteration=run.metadata.iteration, accuracy=accuracy))
            run.metadata.status = "finished"
        run.save()
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{")
    (folder / "something else").mkdir()
    return folder


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["broken", "started", "better", "worse"]),
        (["--sort", "accuracy"], ["better", "worse", "broken", "started"]),
        (["--sort", "iterations"], ["started", "better", "worse", "broken"]),
        (["--sort", "name"], ["better", "broken", "started", "worse"]),
    ],
)
def test_order(cli: Cli, runs: Path, options: list[str], names: list[str]) -> None:
    result = cli("runs", "--json", *options)
    assert result.status == 0, result.err
    assert [entry["name"] for entry in result.json] == names
    better = next(entry for entry in result.json if entry["name"] == "better")
    assert better == {
        "run": "runs/better", "name": "better", "started": "2026-01-02T00:00:00.000+00:00", "recipe": "tutorial",
        "dataset": "mnist5k", "status": "finished", "iterations": 200, "accuracy": 0.95, "seconds": 61.0,
        "reason": None,
    }  # fmt: skip


def test_table_and_damaged_runs(cli: Cli, runs: Path) -> None:
    result = cli("runs", COLUMNS="120")
    (better,) = [line.split() for line in result.out.splitlines() if "better" in line]
    assert better == ["better", "tutorial", "mnist5k", "200", "95.00%", "0:01:01", "finished"]
    (started,) = [line.split() for line in result.out.splitlines() if "started" in line]
    assert started[4] == "-"
    (broken,) = [line.split() for line in result.out.splitlines() if "broken" in line]
    assert broken[-1] == "damaged"
    assert "broken/run.json is damaged" in result.err


def test_no_runs(cli: Cli) -> None:
    result = cli("runs")
    assert result.status == 0
    assert "train one with `cnnmnist train`" in result.out
    assert cli("runs", "--json").json == []
