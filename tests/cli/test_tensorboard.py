"""``cnnmnist train --tensorboard``, read as TensorBoard reads it."""

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from cnnmnist.errors import WriteError
from cnnmnist.runs.store import load_run
from cnnmnist.training.loop import training_events
from cnnmnist.training.tensorboard import TensorBoardWriter
from conftest import SMALL, Result, run_cli

pytestmark = pytest.mark.xdist_group("tensorboard")
SCALARS = {"loss", "batch accuracy", "test accuracy", "learning rate", "iterations per second"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The runs directory of a training with ``--tensorboard``, and what it printed."""
    folder = tmp_path_factory.mktemp("watched")
    options = ["--iterations", 120, "--evaluate-at", "0,1,100", "--checkpoint-every", 50, "--name", "mine"]
    schedule = ["--set", "training.schedule=one-cycle"]
    result = run_cli("train", *SMALL, *options, *schedule, "--tensorboard", cwd=folder)
    assert result.status == 0, result.err
    return folder / "runs", result


@pytest.fixture
def copied(watched: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of that run, as if it had been killed after the checkpoint of iteration 100."""
    shutil.copytree(watched[0] / "mine", tmp_path / "mine")
    (tmp_path / "mine" / "checkpoints" / "000000120.npz").unlink()
    return tmp_path / "mine"


def read(directory: Path) -> EventAccumulator:
    everything = dict.fromkeys(("scalars", "images", "tensors", "graph"), 0)
    return EventAccumulator(str(directory), size_guidance=everything, purge_orphaned_data=False).Reload()


def steps(events: EventAccumulator, tag: str) -> list[int]:
    return [event.step for event in events.Scalars(tag)]


def go_on(directory: Path) -> None:
    run = load_run(str(directory), Path("runs"))
    dataset = run.load_dataset()
    with TensorBoardWriter(run, dataset) as writer:
        for event in training_events(run, dataset):
            writer.write(event)


def check_whole(events: EventAccumulator, directory: Path) -> None:
    """Every point once, with the values that the run itself keeps."""
    run = load_run(str(directory), Path("runs"))
    metrics = run.load_metrics()
    for tag, values in (("loss", metrics.losses), ("batch accuracy", metrics.accuracies)):
        assert steps(events, tag) == list(range(1, 121))
        assert [event.value for event in events.Scalars(tag)] == pytest.approx(values.tolist(), abs=1e-5)
    tested = [(event.step, event.value) for event in events.Scalars("test accuracy")]
    assert [step for step, _ in tested] == [0, 1, 100, 120]
    assert [value for _, value in tested] == pytest.approx([rung.accuracy for rung in run.metadata.ladder])


def test_tensorboard_finds_the_run_by_its_name_with_all_points(watched: tuple[Path, Result]) -> None:
    runs, result = watched
    assert "tensorboard --logdir runs" in result.out
    assert "Warning" not in result.err
    found = EventMultiplexer().AddRunsFromDirectory(str(runs)).Reload()
    assert set(found.Runs()) == {"mine"}
    events = read(runs / "mine")
    assert set(events.Tags()["scalars"]) == SCALARS
    check_whole(events, runs / "mine")
    rates = [event.value for event in events.Scalars("learning rate")]
    assert max(rates) <= 1e-4
    assert rates[-1] < rates[len(rates) // 2], "the schedule is one-cycle"
    assert all(event.value > 0 for event in events.Scalars("iterations per second"))
    assert {"image", "probabilities"} <= {node.name for node in graph_of(events).node}


def graph_of(events: EventAccumulator) -> Any:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    return GraphDef.FromString(events.Graph().SerializeToString())


def test_images_show_filters_at_every_checkpoint_and_the_errors(watched: tuple[Path, Result]) -> None:
    events = read(watched[0] / "mine")
    found = {tag: events.Images(tag) for tag in events.Tags()["images"]}
    shown = {tag: [image.step for image in images] for tag, images in found.items()}
    assert shown == {"filters/conv1": [50, 100, 120], "errors": [120]}
    contents = []
    for image in (image for images in found.values() for image in images):
        picture = Image.open(io.BytesIO(image.encoded_image_string)).convert("RGB")
        assert picture.size == (image.width, image.height)
        pixels = np.asarray(picture)
        assert len({tuple(color) for color in pixels.reshape(-1, 3)[::101]}) > 10
        assert pixels.std() > 20
        contents.append(pixels.tobytes())
    assert len(set(contents)) == 4, "the filters change"


def test_a_run_that_goes_on_after_a_crash_has_each_point_once(copied: Path) -> None:
    (path,) = copied.glob("events.out.tfevents.*")
    path.write_bytes(path.read_bytes()[:-100])
    go_on(copied)
    events = read(copied)
    check_whole(events, copied)
    assert len(steps(events, "learning rate")) == len(set(steps(events, "learning rate")))
    assert [image.step for image in events.Images("filters/conv1")] == [50, 100, 120]
    assert [image.step for image in events.Images("errors")] == [120]
    assert not list(copied.rglob(".*"))


def test_points_that_were_never_written_are_taken_from_the_metrics(copied: Path) -> None:
    (path,) = copied.glob("events.out.tfevents.*")
    path.unlink()
    go_on(copied)
    events = read(copied)
    check_whole(events, copied)
    assert graph_of(events).node


def test_a_finished_run_is_not_written_twice(watched: tuple[Path, Result], tmp_path: Path) -> None:
    shutil.copytree(watched[0] / "mine", tmp_path / "mine")
    go_on(tmp_path / "mine")
    events = read(tmp_path / "mine")
    check_whole(events, tmp_path / "mine")
    assert [image.step for image in events.Images("errors")] == [120]


def test_without_the_package_nothing_is_trained(tmp_path: Path) -> None:
    script = "import sys; sys.modules['tensorboard'] = None; from cnnmnist.cli import main; main()"
    command = [sys.executable, "-c", script, "train", "--tensorboard"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "Error: --tensorboard needs tensorboard, not installed here: pip install 'cnnmnist[tensorboard]'"
    ]
    assert not (tmp_path / "runs").exists()


def test_events_that_cannot_be_written_are_a_sentence(copied: Path) -> None:
    (path,) = copied.glob("events.out.tfevents.*")
    path.unlink()
    path.mkdir()
    with pytest.raises(WriteError, match=r"Cannot write .*events\.out\.tfevents[^{}]*\.$"):
        go_on(copied)
