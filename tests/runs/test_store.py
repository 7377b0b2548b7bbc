"""Run directories: names, finding, and metadata of strangers."""

import copy
import dataclasses
import functools
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cnnmnist.config import Recipe
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import MissingRunError, RunError, WriteError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import RunMetadata
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import snapshot_files
from cnnmnist.runs.store import create_run, list_runs, load_run
from support.systems import needs_linux

DATASET = load_dataset("mnist5k")


def test_runs_made_at_the_same_second_do_not_touch_each_other(tmp_path: Path) -> None:
    runs = [create_run(tmp_path, None, load_recipe(), DATASET) for _ in range(3)]
    assert len({run.directory for run in runs}) == 3
    assert load_run("latest", tmp_path).directory == runs[-1].directory
    assert load_run(runs[0].name, tmp_path).directory == runs[0].directory
    assert load_run(runs[1].directory, "elsewhere").directory == runs[1].directory


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "latest", "a/b", "", ".hidden", "x" * 65, "\x1b[31mred", "a\nb", "a\n"),
        *(
            "con",
            "NUL",
            "Aux.txt",
            "prn",
            "com1",
            "LPT9.tar.gz",
            "a.",
            "a..",
            "a ",
        ),  # Windows reserves or changes them
    ],
)
def test_a_name_that_could_do_harm_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        create_run(tmp_path, name, load_recipe(), DATASET)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["handwriting", "pretrained"])
def test_shipped_runs_are_there_without_a_runs_directory(tmp_path: Path, name: str) -> None:
    run = load_run(name, tmp_path / "runs")
    assert (run.name, run.metadata.status) == (name, "finished")
    assert run.figures == tmp_path / "runs" / name / "figures"
    assert run.model_file.stat().st_size < 1_000_000
    own = create_run(tmp_path, name, load_recipe(), DATASET)
    assert load_run(name, tmp_path).directory == own.directory, "a run of one's own comes first"


def test_a_name_is_used_once(tmp_path: Path) -> None:
    create_run(tmp_path, "mine", load_recipe(), DATASET)
    with pytest.raises(RunError, match="There is already a run 'mine'"):
        create_run(tmp_path, "mine", load_recipe(), DATASET)


GOOD = RunMetadata.model_validate(
    {
        "started": "2026-07-23T12:00:00.000+00:00",
        "recipe": Recipe(),
        "dataset": {
            "name": "mnist",
            "source": "a folder",
            "digest": "0" * 64,
            "data_dir": None,
            "class_names": list("0123456789"),
            "image_shape": [28, 28],
            "splits": {"train": 55_000, "validation": 5_000, "test": 10_000},
        },
        "versions": {"tensorflow": "2.18.0"},
        "processor": "x",
        "ladder": [{"iteration": 0, "accuracy": 0.1}],
    }
).model_dump()


def write(folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_bytes(content)
    return folder


def edited(field: str, value: object) -> bytes:
    record = copy.deepcopy(GOOD)
    *parents, last = field.split(".")
    functools.reduce(lambda values, key: values[key], parents, record)[last] = value
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "its content"),
        (b"[]", "its content"),
        (b"\xff\xfe\x00", "its content"),
        (b"[" * 50_000, "its content"),
        (b" " * 1_000_001, "more than 1,000,000 bytes"),
        (json.dumps(GOOD).encode()[:-1], "its content"),
        (edited("status", "done"), "status"),
        (edited("started", "now"), "started"),
        (edited("iteration", 10**30), "iteration"),
        (edited("iteration", -1), "iteration"),
        (edited("iteration", "5"), "iteration"),
        (edited("iteration", 5.5), "iteration"),
        (edited("seconds", float("nan")), "seconds"),
        (edited("seconds", 1e300), "seconds"),
        (edited("ladder", [{"iteration": 1, "accuracy": 2.0}]), "ladder.0.accuracy"),
        (edited("ladder", {}), "ladder"),
        (edited("processor", "\x1b]0;title\x07"), "processor"),
        (edited("versions", {"keras": "\x1b[31m"}), "versions.keras"),
        (edited("\x1b[31mred\nline", 1), "red line"),
        (edited("x" * 5_000, 1), "xxx"),
        (edited("dataset.class_names", ["\x9b31m"] * 10), "dataset.class_names.0"),
        (edited("dataset.image_shape", [28, 10**9]), "dataset.image_shape.1"),
        (edited("dataset.digest", "../../x"), "dataset.digest"),
        (edited("dataset.splits", {"../x": 1}), "dataset.splits"),
        (edited("recipe.name", "../escape"), "recipe.name"),
        (edited("recipe.model.dense", [10**12]), "recipe.model.dense.0"),
        (edited("recipe.model.convolutions", [{"filters": "many"}]), "recipe.model.convolutions.0.filters"),
        (edited("recipe.training.learning_rate", float("inf")), "recipe.training.learning_rate"),
        (edited("recipe.training.batch_size", -64), "recipe.training.batch_size"),
    ],
)
def test_a_record_edited_by_hand_is_refused_by_field(tmp_path: Path, content: bytes, named: str) -> None:
    folder = write(tmp_path / "edited", content)
    with pytest.raises(RunError) as caught:
        load_run("edited", tmp_path)
    assert named in str(caught.value)
    assert str(folder / "run.json") in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    with pytest.raises(RunError, match="The latest run cannot be used, so name another one"):
        load_run("latest", tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated_records(draw: st.DrawFn) -> bytes:
    """A good record in which a value at any depth was replaced, removed or added, or some bytes were."""
    record = copy.deepcopy(GOOD)
    place: Any = record
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], dict | list) and place[key]) or draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    match draw(st.sampled_from(["replace", "remove", "add", "bytes"])):
        case "replace":
            place[key] = draw(values)
        case "remove":
            del place[key]
        case "add" if isinstance(place, dict):
            place[draw(st.text(max_size=10))] = draw(values)
        case "add":
            place.append(draw(values))
        case "bytes":
            content = json.dumps(record).encode()
            at = draw(st.integers(0, len(content)))
            return content[:at] + draw(st.binary(max_size=4)) + content[at + draw(st.integers(0, 4)) :]
    return json.dumps(record).encode()


@given(mutated_records())
@settings(max_examples=500, deadline=None)
def test_any_record_is_read_or_refused(folder: Path, content: bytes) -> None:
    write(folder / "mutated", content)
    try:
        run = load_run("mutated", folder)
    except RunError as error:
        assert str(folder / "mutated" / "run.json") in str(error)
        assert str(error).isprintable()
    else:
        assert RunMetadata.model_validate_json(run.metadata.model_dump_json()) == run.metadata
        assert "\\x1b" not in repr(run.metadata)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("part", [".lock", "model.keras", "metrics.jsonl", "checkpoints", "figures"])
def test_a_run_whose_parts_lead_elsewhere_is_refused(tmp_path: Path, part: str) -> None:
    (write(tmp_path / "stranger", json.dumps(GOOD).encode()) / part).symlink_to("/etc")
    with pytest.raises(RunError, match=f"{part} is a symbolic link"):
        load_run("stranger", tmp_path)


@pytest.mark.parametrize(
    "name", ["nothing", "../nothing", "x" * 5_000, "\udcff", "\x1b[31m", "nothing\n", "/proc/1/mem"]
)
def test_what_is_no_run_is_said_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="There is no run"):
        load_run(name, tmp_path)


@needs_linux
def test_a_runs_directory_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for runs_dir in (tmp_path / "file", tmp_path / "file" / "runs", tmp_path / ("x" * 300), Path("/proc/runs")):
        with pytest.raises(WriteError, match="Cannot write to the runs directory"):
            create_run(runs_dir, None, load_recipe(), DATASET)


def test_a_run_has_its_name_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Run) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            create_run(tmp_path, "mine", load_recipe(), DATASET)
    with pytest.raises(MissingRunError):
        load_run("mine", tmp_path)
    assert create_run(tmp_path, "mine", load_recipe(), DATASET).directory == tmp_path / "mine"


def test_a_kill_before_a_run_has_its_name_leaves_no_run_and_its_rest_is_removed(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    rest = run.directory.rename(tmp_path / ".mine.0123456789abcdef.tmp")
    (tmp_path / ".mine.tmp").mkdir()
    assert list_runs(tmp_path) == []
    create_run(tmp_path, "mine", load_recipe(), DATASET)
    assert not rest.exists()
    assert (tmp_path / ".mine.tmp").exists()


def test_an_empty_folder_becomes_a_run_and_anything_else_stays(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("empty")
    assert create_run(tmp_path, "empty", load_recipe(), DATASET).name == "empty"
    for name in ("full", "file", "link"):
        with pytest.raises(RunError, match=r"There is already (something else|a run)"):
            create_run(tmp_path, name, load_recipe(), DATASET)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full", "link"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "x" * 1_001), ("name", "a\x1bb"), ("source", "y" * 2_000), ("class_names", ("z" * 256, "b"))],
)
def test_a_data_set_that_no_record_can_hold_is_one_sentence(tmp_path: Path, field: str, value: object) -> None:
    dataset = dataclasses.replace(DATASET, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(RunError, match=f"A run cannot record this data set: {field}") as caught:
        create_run(tmp_path, "mine", load_recipe(), dataset)
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["seconds", "iteration"])
@pytest.mark.parametrize("value", [-5, -0.5, 1e12, 10**9, float("nan"), "3"])
def test_what_is_assigned_is_validated(tmp_path: Path, field: str, value: object) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    if (field, value) == ("seconds", 10**9):
        return
    with pytest.raises(ValidationError):
        setattr(run.metadata, field, value)
    run.save()
    assert load_run("mine", tmp_path).metadata == run.metadata


@pytest.mark.parametrize("name", ["a b", "$(touch x)", "a'b", 'a"b;c', "-x", "ü&"])
def test_a_hint_quotes_a_path_for_the_shell(tmp_path: Path, name: str) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    strange = load_run(run.directory.rename(tmp_path / name))
    for read in (strange.load_network, lambda: snapshot_files(strange)):
        strange.metadata.recipe = load_recipe(overrides={"training.record_at": [5]})
        with pytest.raises(RunError) as caught:
            read()
        command = str(caught.value).partition("`")[2].rpartition("`")[0]
        assert shlex.split(command) == ["cnnmnist", "train", "--resume", str(tmp_path / name)]
