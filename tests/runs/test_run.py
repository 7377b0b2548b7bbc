"""A run: which images it has seen, and which data and versions go with it."""

import dataclasses
from pathlib import Path

import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import DataError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run

DATASET = load_dataset("mnist5k")
MNIST = dataclasses.replace(DATASET, name="mnist", digest="0" * 64)
OTHER = dataclasses.replace(DATASET, name="letters", digest="1" * 64)


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
    assert {each for each in splits if run.has_seen(evaluated_on, each)} == seen  # type: ignore[arg-type]


def test_digits_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    run = create_run(tmp_path, None, load_recipe(), DATASET)
    run.metadata.dataset.image_shape = [27, 28]
    with pytest.raises(DataError, match=r"is for 10 classes of images of \[27, 28\] pixels"):
        run.load_dataset("mnist5k")
    run.metadata.dataset.image_shape = [28, 28]
    run.metadata.dataset.class_names = ["even", "odd"]
    with pytest.raises(DataError, match="is for 2 classes"):
        run.load_dataset("mnist5k")
    run.metadata.dataset.class_names = [*"0123456789", "none"]
    assert run.load_dataset("mnist5k").class_names[-1] == "none"


def test_what_changed_since_a_run_was_made_is_named(tmp_path: Path) -> None:
    run = create_run(tmp_path, None, load_recipe(), DATASET)
    assert run.version_changes() == ""
    run.metadata.versions["keras"] = "3.0.0"
    assert run.version_changes().startswith("keras 3.0.0 (now ")
