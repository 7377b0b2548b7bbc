"""Runs that are interrupted and continued, in this process; tests/cli does it to the real command."""

import json
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.checkpoints import load_checkpoint
from cnnmnist.config import load_recipe
from cnnmnist.data.sources import load_dataset
from cnnmnist.errors import RunError, TrainingError
from cnnmnist.evaluation import accuracy
from cnnmnist.runs import Run, Rung, create_run, find_run
from cnnmnist.session import train_run
from cnnmnist.training import Trainer

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
    return [np.asarray(each) for each in run.load_model().get_weights()]


def metrics(run: Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in run.metrics_file.read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs"))
    list(train_run(run, DATASET, checkpoint_every=10))
    return run


def test_what_a_run_leaves_behind(undisturbed: Run) -> None:
    run = find_run("latest", undisturbed.directory.parent)
    record = run.record
    assert (record.status, record.iteration) == ("finished", 60)
    assert [rung.iteration for rung in record.ladder] == [0, 1, 25, 60]
    assert record.ladder[-1].accuracy == accuracy(run.load_model(), DATASET.test)
    assert record.dataset.splits == {"train": 3_500, "validation": 500, "test": 1_000}
    assert record.dataset.digest == DATASET.digest
    assert {"cnnmnist", "python", "tensorflow", "keras"} <= record.versions.keys()
    assert record.seconds > 0
    assert [line["iteration"] for line in metrics(run)] == list(range(1, 61))
    assert metrics(run)[0].keys() == {"iteration", "loss", "accuracy", "iterations_per_second"}
    assert {path.name for path in run.directory.iterdir()} == {
        "run.json", "metrics.jsonl", "model.keras", "figures", "checkpoints",
    }  # fmt: skip


@pytest.mark.parametrize("stop", [1, 10, 13, 59])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, undisturbed: Run, stop: int) -> None:
    run = new_run(tmp_path)
    events = train_run(run, DATASET, checkpoint_every=stop)
    for event in events:
        if not isinstance(event, Rung) and event.iteration >= stop:
            events.close()
    assert find_run("latest", tmp_path).record.status == "interrupted"
    assert len(weights(run)) == 6, "what was reached can be evaluated"
    list(train_run(find_run("latest", tmp_path), DATASET, checkpoint_every=10))
    finished = find_run("latest", tmp_path)
    for ours, theirs in zip(weights(finished), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert finished.record.ladder == undisturbed.record.ladder
    same = ("iteration", "loss", "accuracy")
    assert [[m[k] for k in same] for m in metrics(finished)] == [
        [m[k] for k in same] for m in metrics(undisturbed)
    ]


def test_metrics_after_the_checkpoint_are_forgotten(tmp_path: Path, undisturbed: Run) -> None:
    run = new_run(tmp_path)
    events = train_run(run, DATASET, checkpoint_every=20)
    for event in events:
        if not isinstance(event, Rung) and event.iteration >= 20:
            break
    run.append_metrics(25, np.ones(5), np.ones(5), 1.0)
    with run.metrics_file.open("a") as file:
        file.write('{"iteration": 26, "lo')  # killed in the middle of a line
    events.close()
    list(train_run(find_run("latest", tmp_path), DATASET))
    assert [line["iteration"] for line in metrics(run)] == list(range(1, 61))
    assert [m["loss"] for m in metrics(run)] == [m["loss"] for m in metrics(undisturbed)]


def test_a_finished_run_is_extended(tmp_path: Path, undisturbed: Run) -> None:
    run = new_run(tmp_path, **{"training.iterations": 40})
    list(train_run(run, DATASET))
    longer = find_run("latest", tmp_path)
    longer.record.recipe = undisturbed.record.recipe
    list(train_run(longer, DATASET))
    for ours, theirs in zip(weights(longer), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [rung.iteration for rung in longer.record.ladder] == [0, 1, 25, 40, 60]


def test_a_run_without_a_network_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume"):
        new_run(tmp_path).load_model()


def test_a_loss_that_is_no_number_fails_the_run_and_keeps_its_checkpoint(tmp_path: Path) -> None:
    # Steps of this size overflow a deep network's logits, and with them the loss, within some iterations.
    run = new_run(tmp_path, **{"training.learning_rate": 100.0, "model.dense": [16] * 8})
    with pytest.raises(TrainingError, match=r"The loss is (nan|inf) at iteration \d+"):
        list(train_run(run, DATASET, checkpoint_every=1))
    stopped = find_run("latest", tmp_path)
    assert stopped.record.status == "failed"
    kept = load_checkpoint(stopped.checkpoints, Trainer(run.record.recipe, DATASET).state() | SECONDS)
    assert kept is not None
    assert int(kept["iteration"]) == stopped.record.iteration
