"""TensorBoard: event files in the directory of a run, written from the events of its training."""

import contextlib
import io
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from matplotlib import colormaps
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from cnnmnist.data.loading import Dataset
from cnnmnist.errors import RunError, WriteError, one_line
from cnnmnist.evaluation import evaluate
from cnnmnist.files import replacing
from cnnmnist.model import build_model
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.run import Run
from cnnmnist.runtime import tf
from cnnmnist.training.optimizer import learning_rate
from cnnmnist.training.trainer import Progress
from cnnmnist.visualization.figures import Figure, draw_grid
from cnnmnist.visualization.grids import ImageGrid, filter_grid, image_grid

LOSS, ACCURACY, TEST_ACCURACY = "loss", "batch accuracy", "test accuracy"
LEARNING_RATE, SPEED = "learning rate", "iterations per second"
SHOWN_ERRORS = 9
TILE, GAP = 60, 4  # pixels of a filter, and between two of them


class TensorBoardWriter:
    """A context that writes the events of :func:`cnnmnist.training.loop.training_events`.

    Loss and batch accuracy have a point for every iteration, filters an image for every checkpoint; the first
    misclassified test images are added when the training has finished. A run that goes on, after a crash too, has
    each point once: those after the iteration from which it goes on are dropped, and those that were not written,
    as without TensorBoard, are taken from the run's metrics.

    Args:
        run: the run in training.
        dataset: its digits.

    Raises:
        WriteError: of any method: the event file cannot be written.
    """

    def __init__(self, run: Run, dataset: Dataset) -> None:
        self.run, self.dataset = run, dataset
        self._convolutions = [f"conv{each + 1}" for each, _ in enumerate(run.metadata.recipe.model.convolutions)]
        self._writer: Any = None
        self._tested = self._filters_of = self._errors_of = -1

    def __enter__(self) -> "TensorBoardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: BaseException | TracebackType | None) -> None:
        if kind is None and self.run.metadata.status == "finished":
            with _one_sentence(self.run):
                self._open(self.run.metadata.iteration)
                self._write_filters()
                self._write_errors()
        if self._writer:
            with _one_sentence(self.run):
                self._writer.close()

    def write(self, event: Progress | Rung | None) -> None:
        """Write an event of the training."""
        with _one_sentence(self.run):
            if isinstance(event, Progress):
                count = len(event.losses)
                self._open(event.iteration - count)
                self._write_iterations(event.iteration - count, event.losses, event.accuracies)
                self._write_scalars(event.iteration, {SPEED: count / event.seconds} | self._learning_rate(event))
                self._write_filters()
            elif isinstance(event, Rung):
                self._open(event.iteration)
                self._write_ladder(event.iteration)
            if event:
                self._writer.flush()

    def _open(self, iteration: int) -> None:
        """Begin, or go on, after so many iterations."""
        if self._writer:
            return
        directory = self.run.directory
        files = sorted(directory.glob("events.out.tfevents.*"))
        written: dict[str, int] = {}
        for path in files:
            for tag, step in _drop_after(iteration, path).items():
                written[tag] = max(step, written.get(tag, -1))
        self._tested = written.get(TEST_ACCURACY, -1)
        self._filters_of = written.get("filters/conv1", -1)
        self._errors_of = written.get("errors", -1)
        name = f"events.out.tfevents.{time.time_ns() // 1_000_000:013d}.{platform.node()}.{os.getpid()}"
        self._writer = tf.io.TFRecordWriter(str(directory / name))
        self._writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        if not files:
            self._write_graph()
        with contextlib.suppress(RunError):  # metrics that cannot be read are no reason not to go on
            metrics = self.run.load_metrics()
            first = written.get(LOSS, 0)
            self._write_iterations(first, metrics.losses[first:iteration], metrics.accuracies[first:iteration])
        self._write_ladder(iteration)

    def _write_ladder(self, iteration: int) -> None:
        """The rungs up to an iteration that are not written yet."""
        for rung in self.run.metadata.ladder:
            if self._tested < rung.iteration <= iteration:
                self._tested = rung.iteration
                self._write_scalars(rung.iteration, {TEST_ACCURACY: rung.accuracy})

    def _write_iterations(self, done: int, losses: np.ndarray, accuracies: np.ndarray) -> None:
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), done + 1):
            self._write_scalars(number, {LOSS: loss, ACCURACY: accuracy})

    def _learning_rate(self, progress: Progress) -> dict[str, float]:
        return {LEARNING_RATE: float(learning_rate(self.run.metadata.recipe.training, progress.iteration - 1))}

    def _write_scalars(self, iteration: int, scalars: dict[str, float]) -> None:
        self._write([Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()], iteration)

    def _write_graph(self) -> None:
        metadata = self.run.metadata
        shape = self.dataset.image_shape
        model = build_model(metadata.recipe.model, shape, len(self.dataset.class_names))
        function = tf.function(lambda image: tf.nn.softmax(model(image, training=False), name="probabilities"))
        signature = tf.TensorSpec((None, *shape, 1), tf.float32, name="image")
        graph = function.get_concrete_function(signature).graph.as_graph_def()
        self._writer.write(Event(wall_time=time.time(), graph_def=graph.SerializeToString()).SerializeToString())

    def _write_filters(self) -> None:
        """Those of the newest checkpoint, once: its weights are those of the run at a known iteration."""
        done = [int(path.stem) for path in self.run.checkpoints.glob("[0-9]*.npz")]
        newest = max((each for each in done if each <= self.run.metadata.iteration), default=-1)
        if newest <= self._filters_of:
            return
        self._filters_of = newest
        # The averages, if there are any, are the network's weights; every layer has a kernel and a bias.
        group = "average" if self.run.metadata.recipe.training.ema_decay else "weight"
        with np.load(self.run.checkpoints / f"{newest:09d}.npz", allow_pickle=False) as arrays:
            kernels = [arrays[f"{group}_{2 * each}"] for each in range(len(self._convolutions))]
        for name, kernel in zip(self._convolutions, kernels, strict=True):
            self._write_image(f"filters/{name}", _tiles(filter_grid(kernel)), newest)

    def _write_errors(self) -> None:
        if self._errors_of == self.run.metadata.iteration:
            return
        digits, names = self.dataset.test, self.dataset.class_names
        report = evaluate(self.run.load_model(), digits)
        shown = report.errors[:SHOWN_ERRORS]
        if len(shown):
            grid = image_grid(digits.images[shown], report.labels[shown], report.predicted[shown], names)
            self._write_image("errors", _drawn(draw_grid(grid)), self.run.metadata.iteration)

    def _write_image(self, tag: str, pixels: np.ndarray, iteration: int) -> None:
        """Write pixels, uint8 (height, width, 3), as PNG."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png")
        height, width = pixels.shape[:2]
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=file.getvalue())
        self._write([Summary.Value(tag=tag, image=image)], iteration)

    def _write(self, values: list[Summary.Value], iteration: int) -> None:
        event = Event(wall_time=time.time(), step=iteration, summary=Summary(value=values))
        self._writer.write(event.SerializeToString())


def _tiles(grid: ImageGrid) -> np.ndarray:
    """The images of a grid in their colours and nothing else, uint8 (height, width, 3): quick and small."""
    side = max(1, TILE // max(grid.images[0].shape))
    rows = -(-len(grid.images) // grid.columns)
    height, width = (length * side + GAP for length in grid.images[0].shape)
    canvas = np.full((rows * height + GAP, grid.columns * width + GAP, 3), 255, np.uint8)
    for number, (image, (low, high)) in enumerate(zip(grid.images, grid.value_ranges, strict=True)):
        row, column = divmod(number, grid.columns)
        colors = colormaps[grid.colormap]((image - low) / max(high - low, 1e-12), bytes=True)[..., :3]
        tile = colors.repeat(side, axis=0).repeat(side, axis=1)
        y, x = row * height + GAP, column * width + GAP
        canvas[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return canvas


def _drawn(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


@contextlib.contextmanager
def _one_sentence(run: Run) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        # TensorFlow puts the operation's name in double braces first.
        cause = one_line(error.message.rpartition("}} ")[2])
        raise WriteError(f"Cannot write TensorBoard's events in {run.directory}: {cause}.") from error


def _drop_after(iteration: int, path: Path) -> dict[str, int]:
    """Take the events after an iteration from a file, and say which was the last step of each tag that stays."""
    last: dict[str, int] = {}
    with (
        replacing(path) as temporary,
        tf.io.TFRecordWriter(str(temporary)) as writer,
        contextlib.suppress(tf.errors.DataLossError, DecodeError),  # a crash may have cut the end off
    ):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = Event.FromString(serialized)
            if event.step <= iteration:
                writer.write(serialized)
                last |= {value.tag: event.step for value in event.summary.value}
    return last
