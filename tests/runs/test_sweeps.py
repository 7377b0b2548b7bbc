"""Sweeps: what they plan, what their folder holds, and what the runs in it reached."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cnnmnist.cli.sweep import command
from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import MissingRunError, RecipeError, RunError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.run import Run
from cnnmnist.runs.store import create_run, find_sweep, list_sweeps, load_run
from cnnmnist.runs.sweeps import PlannedRun, Row, clearly_worse, plan_sweep, read_runs, sweep_results
from support.datasets import small_arrays, write_folder

DATASET = load_dataset("mnist5k")
RATES = {"training.learning_rate": [0.001, 0.01]}


def plan(
    folder: Path, vary: dict[str, Any] = RATES, seeds: tuple[int, ...] = (0, 3), **fixed: Any
) -> list[PlannedRun]:
    fixed = {"config": "tutorial", **fixed}
    return plan_sweep(folder, read_runs(folder), fixed, {"training.seed": seeds, **vary})


def finish(run: Run, accuracy: float) -> Run:
    run.metadata.ladder = [Rung(iteration=0, accuracy=0.1), Rung(iteration=9, accuracy=accuracy)]
    run.metadata.status = "finished"
    run.save()
    return run


def finished(folder: Path, name: str, recipe: Recipe, accuracy: float = 0.9) -> Run:
    return finish(create_run(folder, name, recipe, DATASET), accuracy)


def test_every_combination_with_every_seed_and_each_run_has_its_own_folder(tmp_path: Path) -> None:
    planned = plan(tmp_path, RATES | {"model.dropout": [0, 0.3], "model.dense": [[128], [64, 32]]})
    found = {
        (
            run.recipe.training.learning_rate,
            run.recipe.model.dropout,
            *run.recipe.model.dense,
            run.recipe.training.seed,
        )
        for run in planned
    }
    assert len(found) == len(planned) == len({run.directory for run in planned}) == 16
    assert all(run.directory.name.isascii() and len(run.directory.name) <= 64 for run in planned)
    assert [run.recipe.training.seed for run in planned] == [0] * 8 + [3] * 8


@pytest.mark.parametrize(
    ("vary", "name"),
    [
        ({}, "seed-0"),
        (RATES, "0.001-seed-0"),
        ({"config": ["exercises/dropout"]}, "dropout-seed-0"),
        ({"training.include_validation": [True], "training.schedule": ["one-cycle"]}, "true-one-cycle-seed-0"),
        ({"model.dense": [[64, 32]]}, "f3145d0f2953-seed-0"),
    ],
)
def test_names_of_runs(tmp_path: Path, vary: dict[str, Any], name: str) -> None:
    assert plan(tmp_path, vary)[0].directory == tmp_path / name


def test_names_are_valid_for_any_value() -> None:
    from cnnmnist.runs.sweeps import _run_name

    values = ["a/../b", "", "..", "x" * 200, "\x1b[31m", "a b", "ü", -1.5, 1e300, True, None, [[1]], {"a": 1}]
    names = [_run_name({"training.seed": 7, "field": value}) for value in values]
    assert all(re.fullmatch(NAME_PATTERN, name) for name in names), names
    assert len(set(names)) == len(names)


def test_values_that_occur_twice_are_one_run_and_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    assert len(plan(tmp_path, {"training.learning_rate": [0.001, 0.001]}, seeds=(2, 2))) == 1
    (tmp_path / "fast.yaml").write_text("training: {iterations: 3}")
    with pytest.raises(RecipeError, match=r"Two recipes would train the same run .*fast-seed-0: rename"):
        plan(tmp_path, {"config": ["fast", str(tmp_path / "fast.yaml")]})


@pytest.mark.parametrize(
    "vary", [{f"x{n}": [*range(1_000)] for n in range(16)}, {"model.dropout": [*range(100_001)]}]
)
def test_a_sweep_that_would_never_end_is_refused(tmp_path: Path, vary: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="at most 100,000 runs"):
        plan(tmp_path, vary)


def test_a_run_is_found_made_and_refused_where_its_recipe_is_another(tmp_path: Path) -> None:
    planned = plan(tmp_path / "rates")[0]
    run = planned.begin(DATASET)
    assert planned.begin(DATASET).directory == run.directory
    assert load_run("rates/0.001-seed-0", tmp_path).directory == run.directory
    assert load_run(tmp_path / "rates" / "0.001-seed-0", "elsewhere").directory == run.directory
    for name in ("rates", "rates/nothing", "rates/../rates/0.001-seed-0x", "rates/0.001-seed-0/x"):
        with pytest.raises(MissingRunError, match=r"sweep|There is no run"):
            load_run(name, tmp_path)
    other = PlannedRun({}, load_recipe("fast"), run.directory)
    for refused in (lambda: other.begin(DATASET), lambda: plan(tmp_path / "rates", **{"training.iterations": 3})):
        with pytest.raises(RunError, match=r"0\.001-seed-0 has another recipe than its sweep asks for"):
            refused()


def test_a_folder_of_runs_is_a_sweep_whatever_else_is_in_it(tmp_path: Path) -> None:
    """An earlier version kept a definition in ``sweep.json``."""
    recipe = load_recipe()
    assert list_sweeps(tmp_path / "runs") == []
    created = create_run(tmp_path / "runs" / "rates", "seed-0", recipe, DATASET)
    create_run(tmp_path / "runs", "single", recipe, DATASET)
    create_run(tmp_path / "runs" / "single", "seed-0", recipe, DATASET)
    for name in ("damaged", "none", ".hidden"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "sweep.json").write_text("{")
    (tmp_path / "runs" / "rates" / "sweep.json").write_text('{"config": "fast", "seeds": [7]}')
    (tmp_path / "runs" / "none" / ".x.0123456789abcdef.tmp").mkdir()  # a run that is being made
    shutil.copy(created.directory / "run.json", tmp_path / "runs" / "none" / ".x.0123456789abcdef.tmp")
    (tmp_path / "runs" / "damaged" / "seed-0").mkdir()
    (tmp_path / "runs" / "damaged" / "seed-0" / "run.json").write_text("{")
    assert [folder.name for folder in list_sweeps(tmp_path / "runs")] == ["damaged", "rates"]
    assert find_sweep("rates", tmp_path / "runs") == find_sweep(str(tmp_path / "runs" / "rates"), Path("x"))
    for name in (
        "single",
        "none",
        "nothing",
        "x" * 300,
        "rates/sweep.json",
        "\0",
        ".",
        "../runs",
        str(tmp_path / "runs"),
    ):
        assert find_sweep(name, tmp_path / "runs") is None
    assert [row.unfinished for row in sweep_results(tmp_path / "runs" / "rates")] == [[str(created.directory)]]
    with pytest.raises(RunError, match=r"damaged/seed-0/run\.json is damaged"):
        sweep_results(tmp_path / "runs" / "damaged")


@pytest.mark.parametrize(
    ("varied", "settings"),
    [
        ((), {}),
        (["training.learning_rate"], {"training.learning_rate": 0.006}),
        (["config", "model.dense"], {"config": "fast", "model.dense": [128]}),
    ],
)
def test_a_field_with_a_single_value_is_a_setting_if_it_was_varied(
    tmp_path: Path, varied: tuple[str, ...], settings: dict[str, Any]
) -> None:
    finished(tmp_path, "run", load_recipe("fast"))
    (row,) = sweep_results(tmp_path, varied)
    assert row.settings == settings


def test_data_that_were_mixed_by_hand_are_rows_of_their_own(tmp_path: Path) -> None:
    other = load_dataset(data_dir=write_folder(tmp_path / "data", small_arrays()))
    finish(create_run(tmp_path / "rates", "other", load_recipe(), other), 0.9)
    finished(tmp_path / "rates", "own", load_recipe())
    assert len({row.settings["data.digest"] for row in sweep_results(tmp_path / "rates")}) == 2


def test_a_run_with_the_planned_recipe_is_the_planned_run_whatever_its_name(tmp_path: Path) -> None:
    (first,) = plan(tmp_path / "rates", {"training.learning_rate": [0.0001]}, (0,))
    run = finish(first.begin(DATASET), 0.9)
    planned = plan(tmp_path / "rates", {}, (0, 1))
    assert [each.directory.name for each in planned] == ["0.0001-seed-0", "seed-1"]
    finished(tmp_path / "rates", "again", run.metadata.recipe)
    create_run(tmp_path / "rates", "begun", run.metadata.recipe, DATASET)
    (row,) = sweep_results(tmp_path / "rates")
    assert (row.seeds, row.accuracies, row.unfinished) == ([0], [0.9], []), "no seed counts twice"


@pytest.mark.parametrize(
    ("recipes", "settings"),
    [
        ([("fast", {})], [{}]),
        ([("fast", {}), ("best", {})], [{"config": "fast"}, {"config": "best"}]),
        (
            [("fast", {"model.dropout": 0.5}), ("fast", {})],
            [{"model.dropout": 0.5}, {"model.dropout": 0.0}],
        ),
        (
            [("fast", {}), ("tutorial", {}), ("tutorial", {"training.learning_rate": 0.01})],
            [
                {"config": "fast", "training.learning_rate": 0.006},
                {"config": "tutorial", "training.learning_rate": 0.0001},
                {"config": "tutorial", "training.learning_rate": 0.01},
            ],
        ),
        (
            [("fast", {"model.convolutions": []}), ("fast", {"model.convolutions": [{"filters": 9}]})],
            [
                {"model.convolutions": [], "model.convolutions[0].filters": None},
                {"model.convolutions": None, "model.convolutions[0].filters": 9},
            ],
        ),
        ([("fast", {"dataset": "mnist"}), ("fast", {"dataset": "mnist5k"})], [{}]),
    ],
)
def test_settings_are_what_differs_between_runs_of_one_recipe(
    tmp_path: Path, recipes: list[tuple[str, dict[str, Any]]], settings: list[dict[str, Any]]
) -> None:
    for number, (name, fields) in enumerate(recipes):
        for seed in (0, 1):
            recipe = load_recipe(name, fields | {"training.seed": seed})
            finished(tmp_path, f"{number}-{seed}", recipe, 0.9 - number / 100)
    found = [row.settings for row in sweep_results(tmp_path)]
    for expected, row in zip(settings, found, strict=True):
        assert expected.items() <= row.items()
        assert row.keys() == found[0].keys()
        assert len(row) == len(expected) or "model.convolutions" in expected


def test_a_sweep_of_finished_runs_reads_each_run_before_and_after_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        overrides = {"dataset": "mnist5k", "training.seed": seed}
        finished(tmp_path / "rates", f"seed-{seed}", load_recipe("tutorial", overrides))
    read, reads = Run.read, Counter[Path]()

    def counted(directory: Path) -> Run:
        reads[directory] += 1
        return read(directory)

    monkeypatch.setattr(Run, "read", counted)
    arguments = ["rates", "--seeds", "0-2", "--dataset", "mnist5k", "--runs-dir", str(tmp_path), "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["rows"][0]["seeds"] == [0, 1, 2]
    assert list(reads.values()) == [2, 2, 2]


@pytest.mark.parametrize(
    ("p_values", "worse"),
    [
        ([], []),
        ([0.04], [1]),
        ([0.06], []),
        ([0.02, 0.04], [1, 2]),
        ([0.03, 0.04], []),
        ([0.04, 0.009, 0.02, 0.5], [2]),
        ([0.01, 0.012, 0.02, 0.04], [1, 2, 3, 4]),
    ],
)
def test_holm_by_hand(p_values: list[float], worse: list[int]) -> None:
    rows = [Row({}), *(Row({"number": number}, p_value=p) for number, p in enumerate(p_values, 1))]
    assert [row.settings["number"] for row in clearly_worse(rows)] == worse


def test_rows_hold_finished_runs_only_and_the_best_comes_first(tmp_path: Path) -> None:
    reached = {(0.001, 0): 0.9, (0.001, 1): 0.92, (0.01, 0): 0.95}
    planned_runs = plan(tmp_path / "rates", {"training.learning_rate": [0.001, 0.01, 0.1]}, (1, 0))
    for planned in planned_runs:
        training, run = planned.recipe.training, planned.begin(DATASET)
        if accuracy := reached.get((training.learning_rate, training.seed)):
            finish(run, accuracy)
    best, second, last = sweep_results(tmp_path / "rates")
    assert (best.accuracies, best.mean, best.standard_deviation, best.p_value) == ([0.95], 0.95, None, None)
    assert best.unfinished == [str(tmp_path / "rates" / "0.01-seed-1")]
    assert second.accuracies == [0.9, 0.92]
    assert second.standard_deviation == pytest.approx(0.02 / 2**0.5)
    assert (second.minimum, second.maximum, second.seeds) == (0.9, 0.92, [0, 1])
    assert second.settings == {"training.learning_rate": 0.001}
    assert (last.mean, last.runs) == (None, [])
    assert last.unfinished == [str(tmp_path / "rates" / f"0.1-seed-{seed}") for seed in (0, 1)]
