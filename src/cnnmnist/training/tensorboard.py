"""TensorBoard: event files in the directory of a run, written from the events of its training."""

import collections
import contextlib
import io
import os
import platform
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError
from matplotlib import colormaps
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from cnnmnist.data.loading import Dataset
from cnnmnist.errors import RunError, WriteError, raised_as
from cnnmnist.evaluation import evaluate
from cnnmnist.files import open_file, replacing
from cnnmnist.model import build_model
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.npz import numbered_files
from cnnmnist.runs.run import Run
from cnnmnist.runtime import tf
from cnnmnist.training.optimizer import learning_rate
from cnnmnist.training.step import Progress
from cnnmnist.visualization.figures import draw_grid
from cnnmnist.visualization.grids import ImageGrid, filter_grid, image_grid

LOSS, ACCURACY, TEST_ACCURACY = "loss", "batch accuracy", "test accuracy"
LEARNING_RATE, SPEED = "learning rate", "iterations per second"
SHOWN_ERRORS = 9
# The length and its checksum stand before a record, the record's checksum after it:
# https://www.tensorflow.org/tutorials/load_data/tfrecord. TensorFlow's own reader would wait for a pipe, and
# allocate whatever a stranger's file announces.
RECORD_HEADER, RECORD_FOOTER, MAX_RECORD_BYTES = struct.Struct("<Q4x"), 4, 1 << 26
TILE, GAP = 60, 4  # pixels of a filter, and between two filters


class TensorBoardWriter:
    """A context that writes the events of :func:`cnnmnist.training.loop.training_events`.

    Each iteration has points for its loss and its batch accuracy. Each checkpoint has an image of the filters, and
    the finished run has an image of the first misclassified test images.

    If a run continues, even after a crash, it has each point once: the writer removes the points after the
    iteration from which the run continues, and adds missing points from the run's metrics.

    Args:
        run: the run in training.
        dataset: the data set of the training.

    Raises:
        WriteError: any method raises it if the event file cannot be written.
    """

    def __init__(self, run: Run, dataset: Dataset) -> None:
        self.run, self.dataset = run, dataset
        self._writer: Any = None
        self._failure = f"Cannot write TensorBoard's events in {run.directory}"
        self._last_steps = collections.defaultdict[str, int](lambda: -1)  # by tag

    def __enter__(self) -> "TensorBoardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: BaseException | TracebackType | None) -> None:
        with raised_as(WriteError, self._failure):
            if kind is None and self.run.metadata.status == "finished":
                self._open(self.run.metadata.iteration)
                self._write_filters()
                self._write_misclassified()
            if self._writer:
                self._writer.close()

    def write(self, event: Progress | Rung | None) -> None:
        """Write an event of the training."""
        with raised_as(WriteError, self._failure):
            if isinstance(event, Progress):
                last, count = event.iteration, len(event.losses)
                self._open(last - count)
                self._write_iterations(last - count, event.losses, event.accuracies)
                rate = float(learning_rate(self.run.metadata.recipe.training, last - 1))
                self._write_scalars(last, {SPEED: count / event.seconds, LEARNING_RATE: rate})
                self._write_filters()
            elif event:
                self._open(event.iteration)
                self._write_ladder(event.iteration)
            if event:
                self._writer.flush()

    def _open(self, iteration: int) -> None:
        """Open an event file after ``iteration`` iterations, unless a file is open."""
        if self._writer:
            return
        directory = self.run.directory
        files = sorted(directory.glob("events.out.tfevents.*"))
        for path in files:
            self._truncate(path, iteration)
        name = f"events.out.tfevents.{time.time_ns() // 1_000_000:013d}.{platform.node()}.{os.getpid()}"
        self._writer = RecordWriter((directory / name).open("wb"))
        self._write_event(file_version="brain.Event:2")
        if not files:
            self._write_graph()
        with contextlib.suppress(RunError):  # the training can continue with damaged metrics
            metrics = self.run.load_metrics()
            first = max(self._last_steps[LOSS], 0)
            self._write_iterations(first, metrics.losses[first:iteration], metrics.accuracies[first:iteration])
        self._write_ladder(iteration)

    def _truncate(self, path: Path, iteration: int) -> None:
        """Remove the events after an iteration from a file, and note the last step of each tag."""
        with (
            replacing(path) as temporary,
            open_file(path) as old,
            temporary.open("wb") as new,
            contextlib.suppress(DecodeError),  # a crash may have cut off the end
        ):
            while record := _read_record(old):
                event = Event.FromString(record[RECORD_HEADER.size : -RECORD_FOOTER])
                if event.step <= iteration:
                    new.write(record)
                    for value in event.summary.value:
                        self._last_steps[value.tag] = max(self._last_steps[value.tag], event.step)

    def _write_ladder(self, iteration: int) -> None:
        """Write the rungs up to an iteration that are not written yet."""
        for rung in self.run.metadata.ladder:
            if self._last_steps[TEST_ACCURACY] < rung.iteration <= iteration:
                self._write_scalars(rung.iteration, {TEST_ACCURACY: rung.accuracy})

    def _write_iterations(self, done: int, losses: np.ndarray, accuracies: np.ndarray) -> None:
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), done + 1):
            self._write_scalars(number, {LOSS: loss, ACCURACY: accuracy})

    def _write_graph(self) -> None:
        model = build_model(*self.run.network_description)
        function = tf.function(lambda image: tf.nn.softmax(model(image, training=False), name="probabilities"))
        signature = tf.TensorSpec(model.input_shape, tf.float32, name="image")
        graph = function.get_concrete_function(signature).graph.as_graph_def()
        self._write_event(graph_def=graph.SerializeToString())

    def _write_filters(self) -> None:
        """Write the filters of the newest checkpoint, once: it has the weights of a known iteration."""
        metadata = self.run.metadata
        files = [path for path in numbered_files(self.run.checkpoints) if int(path.stem) <= metadata.iteration]
        if not files or int(files[-1].stem) <= self._last_steps["filters/conv1"]:
            return
        # The averages, if there are any, are the network's weights; every layer has a kernel and a bias.
        group = "average" if metadata.recipe.training.ema_decay else "weight"
        with np.load(files[-1], allow_pickle=False) as arrays:
            for number, _ in enumerate(metadata.recipe.model.convolutions):
                tiles = _tiles(filter_grid(arrays[f"{group}_{2 * number}"]))
                self._write_image(f"filters/conv{number + 1}", Image.fromarray(tiles), int(files[-1].stem))

    def _write_misclassified(self) -> None:
        iteration, test = self.run.metadata.iteration, self.dataset.test
        if self._last_steps["errors"] == iteration:
            return
        report = evaluate(self.run.load_network(), test)
        errors = report.errors[:SHOWN_ERRORS]
        if len(errors):
            names, file = self.dataset.class_names, io.BytesIO()
            grid = image_grid(test.images[errors], test.labels[errors], report.predicted[errors], names)
            draw_grid(grid).savefig(file, format="png")
            self._write_image("errors", Image.open(file).convert("RGB"), iteration)

    def _write_image(self, tag: str, image: Image.Image, iteration: int) -> None:
        file = io.BytesIO()
        image.save(file, "png")
        size = {"width": image.width, "height": image.height, "colorspace": len(image.getbands())}
        encoded = Summary.Image(encoded_image_string=file.getvalue(), **size)
        self._write_values([Summary.Value(tag=tag, image=encoded)], iteration)

    def _write_scalars(self, iteration: int, scalars: dict[str, float]) -> None:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._write_values(values, iteration)

    def _write_values(self, values: list[Summary.Value], iteration: int) -> None:
        self._write_event(step=iteration, summary=Summary(value=values))
        self._last_steps |= {value.tag: iteration for value in values}

    def _write_event(self, **content: Any) -> None:
        self._writer.write(Event(wall_time=time.time(), **content).SerializeToString())


def _read_record(file: BinaryIO) -> bytes:
    """Read the next record with its header and footer; nothing at the end, or where the rest is damaged."""
    header = file.read(RECORD_HEADER.size)
    if len(header) == RECORD_HEADER.size and 0 < (size := RECORD_HEADER.unpack(header)[0]) <= MAX_RECORD_BYTES:
        rest = file.read(size + RECORD_FOOTER)
        if len(rest) == size + RECORD_FOOTER:
            return header + rest
    return b""


def _tiles(grid: ImageGrid) -> np.ndarray:
    """Draw images that share a value range, without titles: uint8 (height, width, 3)."""
    low, high = grid.value_ranges[0]
    colors = colormaps[grid.colormap]((np.stack(grid.images) - low) / max(high - low, 1e-12), bytes=True)[..., :3]
    count, height, width, _ = colors.shape
    side, rows = max(1, TILE // max(height, width)), -(-count // grid.columns)
    padding = [(0, rows * grid.columns - count), (GAP, 0), (GAP, 0), (0, 0)]
    tiles = np.pad(colors.repeat(side, axis=1).repeat(side, axis=2), padding, constant_values=255)
    table = np.vstack([np.hstack([*row]) for row in np.split(tiles, rows)])
    return np.pad(table, [(0, GAP), (0, GAP), (0, 0)], constant_values=255)
