"""A run: which images it has seen, and which data and versions go with it."""

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image

from cnnmnist.data.classes import with_classes
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import DataError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run, load_run
from support.datasets import small_arrays, write_folder, write_pictures

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
    with pytest.raises(DataError, match=r"is for images of \(27, 28\) pixels"):
        run.load_dataset("mnist5k")
    run.metadata.dataset.image_shape = [28, 28]
    run.metadata.dataset.class_names = ["even", "odd"]
    with pytest.raises(DataError, match="the network knows even, odd"):
        run.load_dataset("mnist5k")
    run.metadata.dataset.class_names = [*"0123456789", "none"]
    assert run.load_dataset("mnist5k").class_names[-1] == "none"


def test_what_changed_since_a_run_was_made_is_named(tmp_path: Path) -> None:
    run = create_run(tmp_path, None, load_recipe(), DATASET)
    assert run.version_changes() == ""
    run.metadata.versions["keras"] = "3.0.0"
    assert run.version_changes().startswith("keras 3.0.0 (now ")


def test_a_data_folder_that_was_moved_is_reported_as_such(tmp_path: Path) -> None:
    dataset = load_dataset(data_dir=write_folder(tmp_path / "data", small_arrays()))
    run = create_run(tmp_path / "runs", None, load_recipe(), dataset)
    assert run.load_dataset().digest == dataset.digest
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"data folder of the run .*, .*/data, is not there any more.*--data-dir"):
        run.load_dataset()
    assert run.load_dataset(data_dir=tmp_path / "moved").digest == dataset.digest


def test_the_data_of_a_run_are_found_at_another_place_beside_others(tmp_path: Path) -> None:
    """As in torchvision's folder of EMNIST: the name of the data set tells which files were meant."""
    for number, prefix in enumerate(("letters", "digits")):
        arrays = small_arrays(side=9 + number)
        write_folder(tmp_path / "data", arrays, (prefix + "-{}").format)
    dataset = load_dataset("letters", tmp_path / "data")
    run = create_run(tmp_path / "runs", None, load_recipe(), dataset)
    (tmp_path / "data").rename(tmp_path / "moved")
    assert run.load_own_dataset(tmp_path / "moved").digest == dataset.digest
    with pytest.raises(DataError, match=r"Cannot read .*nowhere: No such file"):
        run.load_own_dataset(tmp_path / "nowhere")


def test_the_pictures_of_a_run_are_the_same_at_another_place_also_where_some_are_negatives(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pictures(tmp_path / "pets" / split, {"cat": 30, "dog": 30}, size=(40, 50))
        for path in list((tmp_path / "pets" / split / "dog").iterdir())[:1]:
            Image.new("L", (40, 50), 250).save(path)
    dataset = load_dataset(data_dir=tmp_path / "pets")
    assert dataset.background in (10, 20)
    run = create_run(tmp_path / "runs", None, load_recipe(), dataset)
    (tmp_path / "pets").rename(tmp_path / "moved")
    assert run.load_dataset(data_dir=tmp_path / "moved").digest == dataset.digest
    write_pictures(tmp_path / "moved" / "test", {"dog": 1}, first=99)
    assert run.load_dataset(data_dir=tmp_path / "moved").digest != dataset.digest


def test_a_run_on_numbered_folders_of_earlier_versions_finds_its_data(tmp_path: Path) -> None:
    names = tuple(str(number) for number in range(12))
    for split in ("train", "test"):
        write_pictures(tmp_path / "mine" / split, dict.fromkeys(names, 3))
    dataset = load_dataset(data_dir=tmp_path / "mine")
    as_text = with_classes(dataset, tuple(sorted(names)))
    run = create_run(tmp_path / "runs", None, load_recipe(), as_text)
    found = run.load_dataset()
    assert found.digest == as_text.digest != dataset.digest
    assert found.test.labels.tolist() == as_text.test.labels.tolist()


@pytest.mark.parametrize(
    ("name", "from_pictures", "preparation"),
    [
        ("mnist", False, "digits"),
        ("mnist5k", False, "digits"),
        ("emnist-letters", False, "digits"),
        ("fashion-mnist", False, "whole"),
        ("shapes", False, "whole"),
        ("mnist", True, "whole"),
    ],
)
def test_the_preparation_of_a_run_of_earlier_versions_follows_from_its_data(
    tmp_path: Path, name: str, from_pictures: bool, preparation: str
) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    path = run.directory / "run.json"
    document = json.loads(path.read_text())
    assert document["dataset"].pop("preparation") == "digits"
    assert document["dataset"].pop("background") == 0
    document["dataset"] |= {"name": name, "from_pictures": from_pictures}
    path.write_text(json.dumps(document))
    metadata = load_run("mine", tmp_path).metadata.dataset
    assert (metadata.preparation, metadata.background) == (preparation, None)
