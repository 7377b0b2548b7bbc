"""What a run records while it learns: chosen iterations, each once whatever happens, and read as data."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import CnnMnistError, DataError, RunError
from cnnmnist.evaluation import evaluate
from cnnmnist.prediction import predict_logits
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import Snapshot, load_snapshots, snapshot_times, take_snapshot
from cnnmnist.runs.store import create_run, load_run
from cnnmnist.training import evaluation as classifying
from cnnmnist.training import step as training
from cnnmnist.training.evaluation import training_logits
from cnnmnist.training.loop import training_events
from cnnmnist.training.step import Progress
from support.limits import make_special

DATASET = load_dataset("mnist5k")
SMALL = {
    "model.convolutions": [{"filters": 4}, {"filters": 3, "filter_size": 3}],
    "model.dense": [16],
    "training.batch_size": 16,
    "training.iterations": 60,
    "training.evaluate_at": [0, 25],
    "training.record_at": [0, 7, 25, 60],
    "training.ema_decay": 0.9,
}


def new_run(folder: Path, **fields: object) -> Run:
    return create_run(folder, None, load_recipe(overrides=SMALL | fields), DATASET)


def frames_of(run: Run) -> list[Snapshot]:
    return list(load_snapshots(run, DATASET))


def content(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.snapshots.iterdir())}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs"))
    list(training_events(run, DATASET, checkpoint_every=20))
    return run


@pytest.mark.parametrize(("last", "count"), [(0, 1), (1, 2), (30, 31), (49, 50), (859, 50), (10_000, 50)])
def test_about_fifty_iterations_are_recorded_the_first_ones_closer_together(last: int, count: int) -> None:
    times = snapshot_times(last)
    assert (times[0], times[-1], len(times)) == (0, last, count)
    steps = np.diff(times)
    assert (steps >= 1).all()
    if last > 100:
        assert times[:5] == [0, 1, 2, 3, 4]
        assert (np.diff(steps[:-1]) >= -1).all(), "they grow, but for rounding"


def test_a_frame_has_the_images_with_the_largest_cross_entropy() -> None:
    logits = np.zeros((30, 10), np.float32)
    labels = np.zeros(30, np.uint8)
    logits[:, 0] = 5.0
    for place, other in enumerate((4, 28, 11)):
        logits[other, 3] = 9.0 - place  # taken for a three, with less and less certainty
    logits[7] = [1000.0, *[-1000.0] * 9]
    model = load_run("pretrained", Path()).load_model()
    frame = take_snapshot(5, 0.5, model, logits, labels)
    assert frame.hardest[:3].tolist() == [4, 28, 11]
    assert len(frame.hardest) == 9
    assert 7 not in frame.hardest
    assert frame.predicted[:4].tolist() == [3, 3, 3, 0]
    assert frame.losses[0] == pytest.approx(np.log(np.exp(logits[4].astype(float)).sum()) - 5.0)
    assert [frame.weights[f"kernel_{number}"].shape for number in (0, 1)] == [(5, 5, 1, 16), (5, 5, 16, 36)]
    np.testing.assert_array_equal(frame.weights["bias_1"], model.get_layer("conv2").bias)


def test_a_run_leaves_a_frame_of_each_iteration_asked_for(recorded: Run) -> None:
    frames = frames_of(recorded)
    assert [frame.iteration for frame in frames] == [0, 7, 25, 60]
    ladder = {rung.iteration: rung.accuracy for rung in recorded.metadata.ladder}
    assert ladder.keys() == {0, 25, 60}
    assert all(frame.accuracy == ladder[frame.iteration] for frame in frames if frame.iteration in ladder)
    last, network = frames[-1], recorded.load_network()
    assert last.accuracy == evaluate(network, DATASET.test).accuracy
    for number, layer in enumerate(("conv1", "conv2")):
        averages = network.weights[layer]
        np.testing.assert_array_equal(averages[0], last.weights[f"kernel_{number}"], "the averages are recorded")
        np.testing.assert_array_equal(averages[1], last.weights[f"bias_{number}"])
    logits = predict_logits(network, DATASET.test.images)
    assert last.predicted.tolist() == logits[last.hardest].argmax(axis=1).tolist()
    assert (np.diff(last.losses) <= 0).all()


def test_without_it_nothing_is_recorded(tmp_path: Path) -> None:
    run = new_run(tmp_path, **{"training.record_at": [], "training.iterations": 2})
    list(training_events(run, DATASET))
    assert not run.snapshots.exists()
    with pytest.raises(RunError, match=r"has no snapshots: train with `cnnmnist train --record` to keep some\.$"):
        frames_of(run)


@pytest.mark.parametrize("stop", [7, 24, 26])
def test_an_interrupted_run_goes_on_to_the_same_frames(tmp_path: Path, recorded: Run, stop: int) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET)
    for event in events:
        if isinstance(event, Progress) and event.iteration >= stop:
            events.close()  # before the iteration's own frame, if it is to have one
    list(training_events(load_run("latest", tmp_path), DATASET))
    assert content(run) == content(recorded)


def test_frames_after_the_checkpoint_are_recorded_again(tmp_path: Path, recorded: Run) -> None:
    run = new_run(tmp_path)
    events = training_events(run, DATASET, checkpoint_every=20)
    while not isinstance(event := next(events), Progress) or event.iteration < 40:
        pass
    killed = Run(Path(shutil.copytree(run.directory, tmp_path / "killed")), run.metadata)
    events.close()
    (killed.checkpoints / "000000040.npz").unlink(missing_ok=True)
    (killed.snapshots / "000000025.npz").write_bytes(b"of a time that is not to be")
    (killed.snapshots / "000000060.npz").write_bytes(b"likewise")
    (killed.snapshots / f".000000007.{'0' * 16}.tmp.npz").write_bytes(b"half")
    first_event = next(training_events(load_run(str(killed.directory), tmp_path), DATASET))
    assert isinstance(first_event, Progress)
    assert sorted(content(killed)) == ["000000000.npz", "000000007.npz"]
    list(training_events(load_run(str(killed.directory), tmp_path), DATASET))
    assert content(killed) == content(recorded)


def test_an_iteration_is_classified_once_and_does_not_count_as_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, classified = 0.0, []

    def clock() -> float:
        nonlocal now
        now += 0.001
        return now

    def slow(*arguments: Any) -> np.ndarray:
        nonlocal now
        now += 1_000
        classified.append(run.metadata.iteration)
        return training_logits(*arguments)

    monkeypatch.setattr(training.time, "perf_counter", clock)
    monkeypatch.setattr(classifying, "training_logits", slow)
    run = new_run(tmp_path, **{"training.iterations": 25})
    list(training_events(run, DATASET))
    assert classified == [0, 7, 25, 25], "the 1,000 test images fit in one call; the last is for the temperature"
    assert run.metadata.seconds < 1_000


def test_a_recording_is_interrupted_within_the_test_split(tmp_path: Path) -> None:
    run = new_run(tmp_path, **{"training.evaluate_at": [], "training.record_at": [0]})
    events = training_events(run, DATASET)
    assert next(events) is None
    events.close()
    assert not run.snapshots.exists()
    assert load_run("latest", tmp_path).metadata.status == "interrupted"


def edited(path: Path, **arrays: Any) -> None:
    with np.load(path) as file:
        np.savez(path, **(dict(file) | arrays))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: edited(path, kernel_0=np.zeros((5, 5, 1, 5), np.float32)), "kernel_0"),
        (lambda path: edited(path, hardest=np.arange(992, 1001)), "an image or a class that does not exist"),
        (lambda path: edited(path, hardest=np.arange(-1, 8)), "an image or a class that does not exist"),
        (lambda path: edited(path, predicted=np.full(9, 10)), "an image or a class that does not exist"),
        (lambda path: edited(path, accuracy=np.array(1.5)), "its accuracy is 1.5"),
    ],
)
def test_a_frame_of_a_stranger_is_refused(tmp_path: Path, recorded: Run, damage: Any, message: str) -> None:
    run = load_run(str(shutil.copytree(recorded.directory, tmp_path / "strange")), tmp_path)
    damage(run.snapshots / "000000025.npz")
    with pytest.raises(RunError, match=r"000000025\.npz is damaged: ") as caught:
        frames_of(run)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_a_file_is_no_frame_and_no_frame_at_all_is_a_sentence(tmp_path: Path, recorded: Run) -> None:
    run = load_run(str(shutil.copytree(recorded.directory, tmp_path / "strange")), tmp_path)
    (run.snapshots / "000000025.npz").unlink()
    make_special(run.snapshots / "000000025.npz", "pipe")  # a reader that opened it would wait for ever
    assert [frame.iteration for frame in frames_of(run)] == [0, 7, 60]
    shutil.rmtree(run.snapshots)
    with pytest.raises(RunError, match="The run strange has no snapshots yet: continue it"):
        frames_of(run)
    run.snapshots.symlink_to(recorded.snapshots)
    with pytest.raises(RunError, match="recording is a symbolic link"):
        load_run(str(run.directory), tmp_path)


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_the_test_images_of_other_digits_are_not_those_that_were_hardest(recorded: Run, name: str) -> None:
    other = replace(DATASET, name=name, digest="0" * 64)
    with pytest.raises(DataError, match="was trained on other data"):
        list(load_snapshots(recorded, other))


def test_weights_that_are_not_finite_are_not_recorded(tmp_path: Path) -> None:
    times = list(range(60))
    fields = {"training.learning_rate": 100.0, "model.dense": [16] * 8, "training.record_at": times}
    run = new_run(tmp_path, **fields)
    with pytest.raises(CnnMnistError, match="lower --learning-rate"):
        list(training_events(run, DATASET))
    assert frames_of(run), "those until then can be read"
