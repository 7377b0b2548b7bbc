"""Run directories: names, finding, and which images a run has seen."""

import dataclasses
from pathlib import Path

import pytest

from cnnmnist.config import load_recipe
from cnnmnist.data.sources import load_dataset
from cnnmnist.errors import RunError
from cnnmnist.runs import create_run, find_run

DATASET = load_dataset("mnist5k")
MNIST = dataclasses.replace(DATASET, name="mnist", digest="0" * 64)
OTHER = dataclasses.replace(DATASET, name="letters", digest="1" * 64)


def test_runs_made_at_the_same_second_do_not_touch_each_other(tmp_path: Path) -> None:
    runs = [create_run(tmp_path, None, load_recipe(), DATASET) for _ in range(3)]
    assert len({run.directory for run in runs}) == 3
    assert find_run("latest", tmp_path).directory == runs[-1].directory
    assert find_run(runs[0].name, tmp_path).directory == runs[0].directory
    assert find_run(str(runs[1].directory), Path("elsewhere")).directory == runs[1].directory


@pytest.mark.parametrize("name", ["../x", "latest", "a/b", "", ".hidden", "x" * 65, "\x1b[31mred", "a\nb"])
def test_a_name_that_could_do_harm_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        create_run(tmp_path, name, load_recipe(), DATASET)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_used_once(tmp_path: Path) -> None:
    create_run(tmp_path, "mine", load_recipe(), DATASET)
    with pytest.raises(RunError, match="There is already a run 'mine'"):
        create_run(tmp_path, "mine", load_recipe(), DATASET)


@pytest.mark.parametrize(
    ("trained_on", "including_validation", "evaluated_on", "seen"),
    [
        (DATASET, False, DATASET, {"train"}),
        (DATASET, True, DATASET, {"train", "validation"}),
        (MNIST, False, DATASET, {"train", "validation", "test"}),
        (DATASET, False, MNIST, {"train", "validation"}),
        (MNIST, False, OTHER, set()),
    ],
)
def test_it_is_known_which_images_a_run_has_seen(
    tmp_path: Path, trained_on: object, including_validation: bool, evaluated_on: object, seen: set[str]
) -> None:
    recipe = load_recipe(overrides={"training.include_validation": including_validation})
    run = create_run(tmp_path, None, recipe, trained_on)  # type: ignore[arg-type]
    splits = ("train", "validation", "test")
    assert {each for each in splits if run.trained_on(evaluated_on, each)} == seen  # type: ignore[arg-type]
