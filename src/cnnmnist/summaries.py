"""What TensorBoard shows of a run: event files in its directory, written from what the training tells."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from cnnmnist.data.sources import Dataset
from cnnmnist.errors import RunError, in_one_sentence
from cnnmnist.evaluation import evaluate
from cnnmnist.figures import DPI, ImageGrid, draw_grid, filter_grid, image_grid
from cnnmnist.files import replacing
from cnnmnist.model import build_model
from cnnmnist.records import Rung
from cnnmnist.runs import Run
from cnnmnist.runtime import tf
from cnnmnist.training import Progress, learning_rate

LOSS, ACCURACY, TEST_ACCURACY = "loss", "batch accuracy", "test accuracy"
LEARNING_RATE, SPEED = "learning rate", "iterations per second"
SHOWN_ERRORS = 9


class TensorBoardWriter:
    """A context that writes what :func:`cnnmnist.session.train_run` yields.

    Loss and batch accuracy have a point for every iteration, filters an image for every checkpoint; the first
    misclassified test images are added when the training has finished. A run that goes on, after a crash too, has
    each point once: those after the iteration from which it goes on are dropped, and those that were not written,
    as without TensorBoard, are taken from the run's metrics.

    Args:
        run: the run in training.
        dataset: its digits.

    Raises:
        RunError: of any method: the event file cannot be written.
    """

    def __init__(self, run: Run, dataset: Dataset) -> None:
        self.run, self.dataset = run, dataset
        self._convolutions = [f"conv{each + 1}" for each, _ in enumerate(run.record.recipe.model.convolutions)]
        self._writer: Any = None
        self._tested = self._filters_of = self._errors_of = -1

    def __enter__(self) -> "TensorBoardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: BaseException | TracebackType | None) -> None:
        if kind is None and self.run.record.status == "finished":
            with _one_sentence(self.run):
                self._open(self.run.record.iteration)
                self._write_filters()
                self._write_errors()
        if self._writer:
            with _one_sentence(self.run):
                self._writer.close()

    def write(self, event: Progress | Rung | None) -> None:
        """Write what an event says."""
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
        self._filters_of = written.get("filters/conv1/image/0", -1)
        self._errors_of = written.get("errors/image/0", -1)
        self._writer = tf.summary.create_file_writer(str(directory))
        if not files:
            self._write_graph()
        with contextlib.suppress(RunError):  # metrics that cannot be read are no reason not to go on
            metrics = self.run.load_metrics()
            first = written.get(LOSS, 0)
            self._write_iterations(first, metrics.losses[first:iteration], metrics.accuracies[first:iteration])
        self._write_ladder(iteration)

    def _write_ladder(self, iteration: int) -> None:
        """The rungs up to an iteration that are not written yet."""
        for rung in self.run.record.ladder:
            if self._tested < rung.iteration <= iteration:
                self._tested = rung.iteration
                self._write_scalars(rung.iteration, {TEST_ACCURACY: rung.accuracy})

    def _write_iterations(self, done: int, losses: np.ndarray, accuracies: np.ndarray) -> None:
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), done + 1):
            self._write_scalars(number, {LOSS: loss, ACCURACY: accuracy})

    def _learning_rate(self, progress: Progress) -> dict[str, float]:
        return {LEARNING_RATE: float(learning_rate(self.run.record.recipe.training, progress.iteration - 1))}

    def _write_scalars(self, iteration: int, scalars: dict[str, float]) -> None:
        self._write([Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()], iteration)

    def _write_graph(self) -> None:
        record = self.run.record
        shape = self.dataset.image_shape
        model = build_model(record.recipe.model, shape, len(self.dataset.class_names))
        function = tf.function(lambda image: tf.nn.softmax(model(image, training=False), name="probabilities"))
        signature = tf.TensorSpec((None, *shape, 1), tf.float32, name="image")
        with self._writer.as_default():
            tf.summary.graph(function.get_concrete_function(signature).graph)

    def _write_filters(self) -> None:
        """Those of the newest checkpoint, once: its weights are those of the run at a known iteration."""
        done = [int(path.stem) for path in self.run.checkpoints.glob("[0-9]*.npz")]
        newest = max((each for each in done if each <= self.run.record.iteration), default=-1)
        if newest <= self._filters_of:
            return
        self._filters_of = newest
        # The averages, if there are any, are the network's weights; every layer has a kernel and a bias.
        group = "average" if self.run.record.recipe.training.ema_decay else "weight"
        with np.load(self.run.checkpoints / f"{newest:09d}.npz", allow_pickle=False) as arrays:
            kernels = [arrays[f"{group}_{2 * each}"] for each in range(len(self._convolutions))]
        for name, kernel in zip(self._convolutions, kernels, strict=True):
            self._write_image(f"filters/{name}", filter_grid(kernel), newest)

    def _write_errors(self) -> None:
        if self._errors_of == self.run.record.iteration:
            return
        digits, names = self.dataset.test, self.dataset.class_names
        report = evaluate(self.run.load_model(), digits, len(names))
        shown = report.errors[:SHOWN_ERRORS]
        if len(shown):
            grid = image_grid(digits.images[shown], report.labels[shown], report.predicted[shown], names)
            self._write_image("errors", grid, self.run.record.iteration)

    def _write_image(self, tag: str, grid: ImageGrid, iteration: int) -> None:
        figure = draw_grid(grid)
        file = io.BytesIO()
        figure.savefig(file, format="png")
        width, height = (round(float(inches) * DPI) for inches in figure.get_size_inches())
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=file.getvalue())
        self._write([Summary.Value(tag=f"{tag}/image/0", image=image)], iteration)

    def _write(self, values: list[Any], iteration: int) -> None:
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(Summary(value=values).SerializeToString(), step=iteration)


@contextlib.contextmanager
def _one_sentence(run: Run) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        reason = in_one_sentence(OSError(error.message))
        raise RunError(f"Cannot write TensorBoard's events in {run.directory}: {reason}.") from error


def _drop_after(iteration: int, path: Path) -> dict[str, int]:
    """Take the events after an iteration from a file, and say which was the last step of each tag that stays."""
    last: dict[str, int] = {}
    with (
        replacing(path) as temporary,
        tf.io.TFRecordWriter(str(temporary)) as writer,
        contextlib.suppress(tf.errors.DataLossError),  # a crash may have cut the end off
    ):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = Event.FromString(record)
            if event.step <= iteration:
                writer.write(record)
                last |= {value.tag: event.step for value in event.summary.value}
    return last
