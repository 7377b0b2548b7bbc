"""Runs that are interrupted and continued, in this process; tests/cli does it to the real command."""

import dataclasses
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.calibration import fit_temperature
from cnnmnist.config import Recipe
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import DataError, RecipeError, RunError, TrainingError, WriteError
from cnnmnist.evaluation import evaluate
from cnnmnist.files import locked
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.checkpoints import load_checkpoint
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.metrics import append_metrics
from cnnmnist.runs.run import Run
from cnnmnist.runs.store import create_run, load_run
from cnnmnist.training.loop import resume, train, training_events
from cnnmnist.training.step import Progress, Trainer
from support.limits import limited, make_special

SECONDS = {"seconds": np.array(0.0)}
DATASET = load_dataset("mnist5k")
SMALL = {
    "model.convolutions": [{"filters": 4}],
    "model.dense": [16],
    "model.dropout": 0.2,
    "training.batch_size": 16,
    "training.iterations": 60,
    "training.evaluate_at": [0, 1, 25],
    "training.ema_decay": 0.9,
}


def new_run(folder: Path, **fields: object) -> Run:
    return create_run(folder, None, load_recipe(overrides=SMALL | fields), DATASET)


def weights(run: Run) -> list[np.ndarray]:
    return [each for pair in run.load_network().weights.values() for each in pair]


def metrics(run: Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in run.metrics_file.read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs"))
    list(training_events(run, DATASET, checkpoint_every=10))
    return run


def test_what_a_run_leaves_behind(undisturbed: Run) -> None:
    run = load_run("latest", undisturbed.directory.parent)
    record = run.metadata
    assert (record.status, record.iteration) == ("finished", 60)
    assert [rung.iteration for rung in record.ladder] == [0, 1, 25, 60]
    assert record.ladder[-1].accuracy == evaluate(run.load_network(), DATASET.test).accuracy
    assert record.dataset.splits == {"train": 3_500, "validation": 500, "test": 1_000}
    assert record.dataset.digest == DATASET.digest
    assert {"cnnmnist", "python", "tensorflow", "keras"} <= record.versions.keys()
    assert record.seconds > 0
    held_out = evaluate(run.load_network(), DATASET.validation)
    assert record.temperature == pytest.approx(fit_temperature(held_out.logits, held_out.labels), abs=1e-3) != 1
    assert held_out.temperature == record.temperature
    assert [line["iteration"] for line in metrics(run)] == list(range(1, 61))
    assert metrics(run)[0].keys() == {"iteration", "loss", "accuracy", "iterations_per_second"}
    assert {path.name for path in run.directory.iterdir()} == {
        "run.json", "metrics.jsonl", "model.keras", "figures", "checkpoints",
    }  # fmt: skip


@pytest.mark.parametrize("stop", [1, 10, 13, 59])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, undisturbed: Run, stop: int) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET, checkpoint_every=stop)
    for event in events:
        if isinstance(event, Progress) and event.iteration >= stop:
            events.close()
    assert load_run("latest", tmp_path).metadata.status == "interrupted"
    assert len(weights(run)) == 6, "what was reached can be evaluated"
    list(training_events(load_run("latest", tmp_path), DATASET, checkpoint_every=10))
    finished = load_run("latest", tmp_path)
    for ours, theirs in zip(weights(finished), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert finished.metadata.ladder == undisturbed.metadata.ladder
    assert finished.metadata.temperature == undisturbed.metadata.temperature
    same = ("iteration", "loss", "accuracy")
    assert [[m[k] for k in same] for m in metrics(finished)] == [
        [m[k] for k in same] for m in metrics(undisturbed)
    ]


@pytest.mark.parametrize("temperature", [None, 0.7])
def test_a_run_trained_on_the_validation_split_has_the_temperature_of_its_recipe(
    tmp_path: Path, temperature: float | None
) -> None:
    fields = {"training.include_validation": True, "training.temperature": temperature, "training.iterations": 1}
    run = new_run(tmp_path, **fields)
    list(training_events(run, DATASET))
    assert load_run("latest", tmp_path).metadata.temperature == (temperature or 1)


def test_a_finished_run_of_an_earlier_version_gets_its_temperature_by_resuming(tmp_path: Path) -> None:
    run = new_run(tmp_path, **{"training.iterations": 3})
    events = list(training_events(run, DATASET))
    fitted = run.metadata.temperature
    record = json.loads((run.directory / "run.json").read_text())
    del record["temperature"], record["recipe"]["training"]["temperature"]
    (run.directory / "run.json").write_text(json.dumps(record))
    old = load_run("latest", tmp_path)
    assert old.metadata.temperature == 1
    assert old.load_network().temperature == 1
    assert events
    list(training_events(old, DATASET))
    assert load_run("latest", tmp_path).metadata.temperature == fitted


@pytest.mark.parametrize("temperature", [0, 0.04, 21, -1, "NaN", "1", None])
def test_a_hostile_temperature_is_refused(tmp_path: Path, temperature: object) -> None:
    run = new_run(tmp_path)
    path = run.directory / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": temperature}))
    with pytest.raises(RunError, match=r"run\.json is damaged: temperature: "):
        load_run("latest", tmp_path)


def test_a_run_interrupted_while_it_is_evaluated_evaluates_again(tmp_path: Path, undisturbed: Run) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET)
    while next(events) is not None or run.metadata.iteration < 25:
        pass
    events.close()
    assert [rung.iteration for rung in run.metadata.ladder] == [0, 1]
    list(training_events(run, DATASET))
    assert run.metadata.ladder == undisturbed.metadata.ladder


def test_metrics_after_the_checkpoint_are_forgotten(tmp_path: Path, undisturbed: Run) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET, checkpoint_every=20)
    for event in events:
        if isinstance(event, Progress) and event.iteration >= 20:
            break
    append_metrics(run.metrics_file, 25, np.ones(5), np.ones(5), 1.0)
    with run.metrics_file.open("a") as file:
        file.write('{"iteration": 26, "lo')  # killed in the middle of a line
    events.close()
    list(training_events(load_run("latest", tmp_path), DATASET))
    assert [line["iteration"] for line in metrics(run)] == list(range(1, 61))
    assert [m["loss"] for m in metrics(run)] == [m["loss"] for m in metrics(undisturbed)]


def test_a_finished_run_is_extended(tmp_path: Path, undisturbed: Run) -> None:
    run = new_run(tmp_path, **{"training.iterations": 40})
    list(training_events(run, DATASET))
    longer = load_run("latest", tmp_path)
    longer.metadata.recipe = undisturbed.metadata.recipe
    list(training_events(longer, DATASET))
    for ours, theirs in zip(weights(longer), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [rung.iteration for rung in longer.metadata.ladder] == [0, 1, 25, 40, 60]


def test_a_run_without_a_network_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume"):
        new_run(tmp_path).load_network()


@pytest.mark.parametrize(
    ("checkpoint_every", "message"),
    [(1_000, r"The loss is (nan|inf) at iteration \d+"), (1, r"no longer finite after iteration \d+")],
)
def test_a_loss_that_is_no_number_fails_the_run_and_only_good_checkpoints_are_kept(
    tmp_path: Path, checkpoint_every: int, message: str
) -> None:
    # Steps of this size overflow a deep network's logits, and with them the loss, within some iterations.
    run = new_run(tmp_path, **{"training.learning_rate": 100.0, "model.dense": [16] * 8})
    with pytest.raises(TrainingError, match=message):
        list(training_events(run, DATASET, checkpoint_every=checkpoint_every))
    stopped = load_run("latest", tmp_path)
    assert stopped.metadata.status == "failed"
    assert not run.model_file.exists()
    kept = load_checkpoint(stopped.checkpoints, Trainer(run.metadata.recipe, DATASET).state() | SECONDS)
    if checkpoint_every == 1:
        assert kept is not None
        assert int(kept["iteration"]) == stopped.metadata.iteration - 1
        assert all(np.isfinite(array).all() for array in kept.values())


def test_an_error_is_not_hidden_by_a_record_that_cannot_be_written(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET)
    while not isinstance(next(events), Rung):
        pass
    shutil.rmtree(run.directory)
    with pytest.raises(WriteError, match=r"Cannot write .*metrics\.jsonl"):
        list(events)
    assert run.metadata.status == "failed"


def test_an_interrupt_from_within_keeps_no_half_made_step(tmp_path: Path, undisturbed: Run) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET, checkpoint_every=10)
    while run.metadata.iteration < 20:
        next(events)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)
    interrupted = load_run("latest", tmp_path)
    assert interrupted.metadata.status == "interrupted"
    assert not run.model_file.exists()
    list(training_events(interrupted, DATASET))
    for ours, theirs in zip(weights(interrupted), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_training_in_one_call_and_interrupting_it(tmp_path: Path, undisturbed: Run) -> None:
    events: list[Progress | Rung] = []
    handler = signal.getsignal(signal.SIGINT)

    def progress(event: Progress | Rung) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.iteration >= 20:
            signal.raise_signal(signal.SIGINT)

    recipe = undisturbed.metadata.recipe
    with pytest.raises(KeyboardInterrupt):
        train(recipe, DATASET, runs_dir=str(tmp_path), name="mine", progress=progress)
    assert signal.getsignal(signal.SIGINT) is handler
    run = load_run("mine", str(tmp_path))
    assert (run.metadata.status, run.metadata.iteration) == ("interrupted", events[-1].iteration)
    assert 20 <= run.metadata.iteration < 60
    assert len(weights(run)) == 6, "what was reached can be evaluated"
    with pytest.raises(DataError, match="The run mine was trained on other data"):
        resume(run, dataclasses.replace(DATASET, digest="0" * 64))
    with locked(run.directory), pytest.raises(RunError, match="Another process is training"):
        resume(run, DATASET)
    finished = resume(run, progress=events.append)
    assert finished.metadata.status == load_run("mine", tmp_path).metadata.status == "finished"
    assert [event for event in events if isinstance(event, Rung)] == finished.metadata.ladder
    assert sum(len(event.losses) for event in events if isinstance(event, Progress)) == 60
    for ours, theirs in zip(weights(finished), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_second_interrupt_does_not_wait(tmp_path: Path, undisturbed: Run) -> None:
    def progress(event: Progress | Rung) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second interrupt was not heard")

    with pytest.raises(KeyboardInterrupt):
        train(undisturbed.metadata.recipe, DATASET, runs_dir=tmp_path, progress=progress)
    assert load_run("latest", tmp_path).metadata.status == "interrupted"


def test_a_recipe_of_fewer_iterations_than_done_is_refused(tmp_path: Path, undisturbed: Run) -> None:
    shutil.copytree(undisturbed.directory, tmp_path / "edited")
    run = load_run(str(tmp_path / "edited"), tmp_path)
    fewer = run.metadata.recipe.training.model_copy(update={"iterations": 30})
    run.metadata.recipe = run.metadata.recipe.model_copy(update={"training": fewer})
    with pytest.raises(RunError, match="60 iterations already, but its recipe asks for 30"):
        list(training_events(run, DATASET))


def test_metrics_that_are_no_text_do_not_stop_a_run_from_going_on(tmp_path: Path, undisturbed: Run) -> None:
    shutil.copytree(undisturbed.directory, tmp_path / "damaged")
    run = load_run(str(tmp_path / "damaged"), tmp_path)
    run.metrics_file.write_bytes(b"\xff\xfe\n" * 100)
    list(training_events(run, DATASET))
    assert run.metrics_file.read_bytes() == b"\xff\xfe\n" * 60
    assert load_run(str(tmp_path / "damaged"), tmp_path).metadata.status == "finished"


def copied(run: Run, folder: Path) -> Run:
    shutil.copytree(run.directory, folder / "mine")
    return load_run("mine", folder)


def record(run: Run) -> tuple[str, int, int]:
    metadata = load_run(run.directory).metadata
    return metadata.status, metadata.iteration, metadata.recipe.training.iterations


def longer(recipe: Recipe, iterations: int) -> Recipe:
    training = recipe.training.model_copy(update={"iterations": iterations})
    return recipe.model_copy(update={"training": training})


def test_a_run_that_another_process_extended_is_taken_as_it_is_now(tmp_path: Path, undisturbed: Run) -> None:
    stale = copied(undisturbed, tmp_path)
    other = load_run("mine", tmp_path)
    other.metadata.recipe = longer(other.metadata.recipe, 80)
    resume(other, DATASET)
    assert record(other) == ("finished", 80, 80)
    resume(stale, DATASET)
    assert record(stale) == ("finished", 80, 80)
    assert stale.metadata == other.metadata


def test_two_changes_of_one_run_are_refused_and_nothing_is_lost(tmp_path: Path, undisturbed: Run) -> None:
    stale = copied(undisturbed, tmp_path)
    other = load_run("mine", tmp_path)
    other.metadata.recipe = longer(other.metadata.recipe, 80)
    resume(other, DATASET)
    stale.metadata.recipe = longer(stale.metadata.recipe, 70)
    with pytest.raises(RunError, match="Another process has changed the run mine meanwhile: load it again"):
        resume(stale, DATASET)
    assert record(stale) == ("finished", 80, 80)


def make_pipes(run: Run) -> None:
    for path in run.checkpoints.iterdir():
        path.unlink()
        make_special(path, "pipe")


def make_folders(run: Run) -> None:
    for path in run.checkpoints.iterdir():
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (make_pipes, "No checkpoint in .* can be read"),
        (make_folders, "No checkpoint in .* can be read"),
        (
            lambda run: [path.write_bytes(b"") for path in run.checkpoints.iterdir()],
            "No checkpoint in .* can be read",
        ),
        (lambda run: [path.unlink() for path in run.checkpoints.iterdir()], "has no checkpoint to continue from"),
        (lambda run: shutil.rmtree(run.checkpoints), "has no checkpoint to continue from"),
        (lambda run: (shutil.rmtree(run.checkpoints), run.checkpoints.touch()), "Cannot read .*checkpoints"),
    ],
)
def test_a_finished_run_whose_checkpoints_cannot_be_read_stays_as_it_is(
    tmp_path: Path, undisturbed: Run, spoil: Callable[[Run], object], message: str
) -> None:
    run = copied(undisturbed, tmp_path)
    spoil(run)
    run.metadata.recipe = longer(run.metadata.recipe, 80)
    with limited(megabytes=1_000, seconds=60), pytest.raises(RunError, match=message):
        resume(run, DATASET)
    assert record(run) == ("finished", 60, 60)
    assert run.metrics_file.read_bytes() == undisturbed.metrics_file.read_bytes()
    assert run.model_file.read_bytes() == undisturbed.model_file.read_bytes()


def test_any_error_ends_as_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    monkeypatch.setattr(Trainer, "iterate", lambda *_: (_ for _ in ()).throw(RuntimeError("TensorFlow's")))
    with pytest.raises(RuntimeError):
        list(training_events(run, DATASET))
    assert record(run)[0] == "failed"


LARGE = {
    "training.batch_size": 65_536,
    "model.convolutions": [{"filters": 256, "pooling": "none"}],
    "model.dense": [],
}


@pytest.mark.parametrize(
    "fields", [LARGE, {"training.batch_size": 65_536, "model.convolutions": [{"filters": 64, "stride": 1}] * 16}]
)
def test_a_step_that_the_memory_cannot_hold_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    monkeypatch.setattr("cnnmnist.layers._memory", lambda: 8e9)
    recipe = load_recipe(overrides=fields)
    with (
        limited(megabytes=50),
        pytest.raises(RecipeError, match=r"takes about \d+ GB of memory, and there are 8 GB"),
    ):
        train(recipe, DATASET, runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("cnnmnist.layers._memory", lambda: 1e15)
    run = create_run(tmp_path, "strange", recipe, DATASET)
    monkeypatch.setattr("cnnmnist.layers._memory", lambda: 8e9)
    with limited(megabytes=50), pytest.raises(RecipeError, match="choose a smaller batch_size"):
        resume(run, DATASET)
    assert record(run)[0] == "failed"


def test_a_hundred_million_iterations_take_no_memory_of_their_own(tmp_path: Path) -> None:
    run = new_run(tmp_path, **{"training.iterations": 100_000_000})
    with limited(megabytes=1_000, seconds=120):
        events = training_events(run, DATASET, checkpoint_every=1)
        while not isinstance(event := next(events), Progress) or event.iteration < 3:
            pass
        events.close()
    assert record(run) == ("interrupted", 3, 100_000_000)


def test_what_the_program_left_in_a_run_is_removed_and_nothing_else(tmp_path: Path, undisturbed: Run) -> None:
    run = copied(undisturbed, tmp_path)
    token = "0123456789abcdef"
    (run.directory / f".model.{token}.tmp").mkdir()  # an export as a SavedModel
    (run.directory / f".model.{token}.tmp" / "part").write_text("half")
    (run.checkpoints / f".000000070.{token}.tmp.npz").write_text("half")
    (run.figures / f".test-errors.{token}.tmp.png").write_text("half")
    kept = [run.directory / ".notes.tmp", run.figures / ".sketch-1.tmp.png"]
    for path in kept:
        path.write_text("the user's")
    resume(run, DATASET)
    assert sorted(run.directory.rglob(".*.tmp*")) == sorted(kept)
