"""Sweeps: what they plan and reach, how their folder tells one from another, and definitions of strangers."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnmnist.config import NAME_PATTERN
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import MissingRunError, RecipeError, RunError
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.store import create_run, load_run
from cnnmnist.runs.sweeps import Row, Sweep, clearly_worse, find_sweep, open_sweep, read_sweep, sweep_results

DATASET = load_dataset("mnist5k")
RATES = {"training.learning_rate": [0.001, 0.01]}


def definition(**fields: Any) -> Sweep:
    return Sweep.model_validate({"config": "tutorial", "seeds": [0, 3], "vary": RATES} | fields)


def test_every_combination_with_every_seed_and_each_run_has_its_own_folder(tmp_path: Path) -> None:
    vary = RATES | {"model.dropout": [0, 0.3], "model.dense": [[128], [64, 32]]}
    planned = definition(vary=vary).planned(tmp_path)
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
    ],
)
def test_names_of_runs(tmp_path: Path, vary: dict[str, Any], name: str) -> None:
    first = definition(vary=vary, config=None if "config" in vary else "tutorial").planned(tmp_path)[0]
    assert first.directory.name == name


def test_more_seeds_and_values_extend_a_sweep_and_anything_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rates"
    open_sweep(folder, definition())
    more = definition(vary={"training.learning_rate": [0.1, 0.001]}, seeds=[5, 3])
    assert open_sweep(folder, more) == read_sweep(folder)
    kept = read_sweep(folder)
    assert (kept.vary["training.learning_rate"], kept.seeds) == ([0.001, 0.01, 0.1], [0, 3, 5])
    before = (folder / "sweep.json").read_bytes()
    for other, field in (
        (definition(config="fast"), "config"),
        (definition(overrides={"training.iterations": 3}), "overrides"),
        (definition(vary={}), "vary"),
        (definition(vary={"model.dropout": [0.1]}), "vary"),
        (definition(digest="0" * 64), "digest"),
    ):
        with pytest.raises(RunError, match=f"has another definition: {field} is .* choose another name"):
            open_sweep(folder, other)
    assert (folder / "sweep.json").read_bytes() == before


def test_a_name_that_is_taken_or_could_do_harm_is_refused(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine", definition().planned(tmp_path)[0].recipe, DATASET)
    with pytest.raises(RunError, match="is a run: choose another name"):
        open_sweep(run.directory, definition())
    for name in ("latest", ".hidden", "x" * 65, "\x1b[31m"):
        with pytest.raises(RunError, match="cannot name a sweep"):
            open_sweep(tmp_path / name, definition())


def test_a_run_is_found_made_and_refused_where_its_recipe_is_another(tmp_path: Path) -> None:
    planned = open_sweep(tmp_path / "rates", definition()).planned(tmp_path / "rates")[0]
    assert planned.read() is None
    run = planned.begin(DATASET)
    assert planned.begin(DATASET).directory == run.directory
    assert load_run("rates/0.001-seed-0", tmp_path).directory == run.directory
    assert load_run(tmp_path / "rates" / "0.001-seed-0", "elsewhere").directory == run.directory
    for name in ("rates", "rates/nothing", "rates/../rates/0.001-seed-0x", "rates/0.001-seed-0/x"):
        with pytest.raises(MissingRunError, match=r"sweep|There is no run"):
            load_run(name, tmp_path)
    other = open_sweep(tmp_path / "other", definition(overrides={"training.iterations": 3}))
    run.directory.rename(tmp_path / "other" / run.name)
    with pytest.raises(RunError, match="has another recipe than its sweep asks for"):
        other.planned(tmp_path / "other")[0].begin(DATASET)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"seeds": [2**31]}, "seeds.0"),
        ({"seeds": ["0"]}, "seeds.0"),
        ({"vary": {"model.dropout": []}}, "vary.model.dropout"),
        ({"vary": {"model.dropout": 0.1}}, "vary.model.dropout"),
        ({"vary": {"\x1b[31m": [1]}}, "vary"),
        ({"config": "\x1b]0;title\x07"}, "config"),
        ({"more": 1}, "more"),
    ],
)
def test_a_definition_of_a_stranger_is_refused_by_field(
    tmp_path: Path, fields: dict[str, Any], named: str
) -> None:
    content = {"config": "tutorial", "seeds": [0]} | fields
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(RunError) as caught:
        read_sweep(tmp_path)
    assert named in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "vary", [{f"x{n}": [*range(1_000)] for n in range(16)}, {"model.dropout": [*range(100_001)]}]
)
def test_a_definition_that_would_never_end_is_refused(tmp_path: Path, vary: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="at most 100,000 runs"):
        definition(vary=vary).planned(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 50_000, b" " * 1_000_001])
def test_a_file_that_is_no_definition_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "sweep.json").write_bytes(content)
    with pytest.raises(RunError, match=r"sweep\.json"):
        read_sweep(find_sweep("damaged", tmp_path))


def test_names_are_valid_for_any_value(tmp_path: Path) -> None:
    import re

    values = ["a/../b", "", "..", "x" * 200, "\x1b[31m", "a b", "ü", -1.5, 1e300, True, None, [[1]], {"a": 1}]
    from cnnmnist.runs.sweeps import _run_name

    names = [_run_name({"field": value}, 7) for value in values]
    assert all(re.fullmatch(NAME_PATTERN, name) for name in names), names
    assert len(set(names)) == len(names)


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
    vary = {"training.learning_rate": [0.001, 0.01, 0.1]}
    folder = tmp_path / "rates"
    planned_runs = open_sweep(folder, Sweep(config="tutorial", vary=vary, seeds=[0, 1])).planned(folder)
    reached = {(0.001, 0): 0.9, (0.001, 1): 0.92, (0.01, 0): 0.95}
    for planned in planned_runs:
        training = planned.recipe.training
        if accuracy := reached.get((training.learning_rate, training.seed)):
            run = planned.begin(DATASET)
            run.metadata.ladder = [Rung(iteration=0, accuracy=0.1), Rung(iteration=9, accuracy=accuracy)]
            run.metadata.status = "finished"
            run.save()
    planned_runs[2].begin(DATASET)
    best, second, last = sweep_results(planned_runs)
    assert (best.accuracies, best.mean, best.standard_deviation, best.p_value) == ([0.95], 0.95, None, None)
    assert second.accuracies == [0.9, 0.92]
    assert second.standard_deviation == pytest.approx(0.02 / 2**0.5)
    assert (second.minimum, second.maximum, second.seeds) == (0.9, 0.92, [0, 1])
    assert (last.mean, last.runs) == (None, [])
    assert last.unfinished == [str(tmp_path / "rates" / f"0.1-seed-{seed}") for seed in (0, 1)]
