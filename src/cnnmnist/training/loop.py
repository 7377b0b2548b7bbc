"""A run from its first iteration to its last: training, evaluating, and keeping what must not be lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnnmnist.config import Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.distributed.strategy import Distribution
from cnnmnist.errors import CnnMnistError, RunError, TrainingError
from cnnmnist.evaluation import predict_logits
from cnnmnist.files import locked
from cnnmnist.model import save_model
from cnnmnist.runs.checkpoints import load_checkpoint, save_checkpoint
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.snapshots import is_recorded, make_frame, save_frame, truncate_recording
from cnnmnist.runs.store import Run, create_run
from cnnmnist.training.trainer import Progress, Trainer

CHECKPOINT_EVERY = 1_000
EVALUATED_AT_ONCE = 1_024
HERE = Distribution()

Listener = Callable[[Progress | Rung], object]


def train(
    recipe: Recipe,
    dataset: Dataset,
    *,
    runs_dir: str | Path = "runs",
    name: str | None = None,
    progress: Listener | None = None,
) -> Run:
    """Train a network in a new run directory, to the end of the recipe.

    An interrupt (Ctrl-C, or that of a notebook) waits for the iterations at hand, keeps what was reached, and then
    raises KeyboardInterrupt: the run is the latest, has a network, and :func:`resume` goes on with it.

    Args:
        recipe: what to train and how, as :func:`cnnmnist.config.load_recipe` reads it.
        dataset: the digits, as :func:`cnnmnist.data.loading.load_dataset` finds them.
        runs_dir: where runs are kept.
        name: of the run; its time and the recipe's name by default.
        progress: called with a :class:`~cnnmnist.training.trainer.Progress` several times a second, and with a
            :class:`~cnnmnist.runs.metadata.Rung` whenever the test split was evaluated.

    Returns:
        The finished run.

    Raises:
        TrainingError: the loss is no longer a finite number.
        RunError: the name is not valid or taken.
        WriteError: the directory cannot be written.
    """
    return resume(create_run(Path(runs_dir), name, recipe, dataset), dataset, progress=progress)


def resume(run: Run, dataset: Dataset | None = None, *, progress: Listener | None = None) -> Run:
    """Go on with a run that was interrupted, to the same bits as if it had not been.

    Args:
        run: as :func:`cnnmnist.runs.store.load_run` reads it.
        dataset: the digits that it was begun with; by default they are loaded.
        progress: as for :func:`train`.

    Returns:
        The same run, finished.

    Raises:
        DataError: the digits are not there any more, or are others.
        TrainingError: the loss is no longer a finite number.
        RunError: another process is training the run.
        WriteError: its directory cannot be written.
    """
    dataset = dataset or run.load_dataset()
    run.check_same(dataset)
    training = train_run(run, dataset)
    with locked(run.directory), _patience() as interrupts, contextlib.closing(training) as events:
        for event in events:
            if progress and event:
                progress(event)
            if interrupts:
                break
    if interrupts:
        raise KeyboardInterrupt
    return run


@contextlib.contextmanager
def _patience() -> Iterator[list[int]]:
    """Note the first interrupt instead of raising it, which would strike in the middle of an iteration."""
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():  # only that one hears of signals
        yield received
        return
    before = signal.signal(signal.SIGINT, receive)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def train_run(
    run: Run, dataset: Dataset, *, distribution: Distribution = HERE, checkpoint_every: int = CHECKPOINT_EVERY
) -> Generator[Progress | Rung | None]:
    """Train a run from its newest checkpoint, or from the start, to the end of its recipe.

    Closing the generator interrupts the run: what was reached is kept, and training can go on from there.

    Args:
        run: a new, interrupted or finished run; its directory and record are kept up to date.
        dataset: the digits that the record names.
        distribution: the replicas; of a cluster's workers the chief calls this, the others :func:`follow`.
        checkpoint_every: iterations between checkpoints.

    Yields:
        Progress several times a second, a Rung for every step of the ladder of accuracies, and nothing now and
        then while the test split is classified, so that the run can be interrupted promptly.

    Raises:
        TrainingError: the loss is no longer a finite number.
        WriteError: the directory cannot be written; the last checkpoint is intact.
        ClusterError: another worker is gone; the last checkpoint is intact.
    """
    try:
        with distribution.watched():
            session = _Session(run, dataset, distribution)
            session.resume()
            try:
                yield from session.train(checkpoint_every)
            except GeneratorExit:
                session.keep("interrupted")
                raise
            session.keep("finished")
            distribution.finish()
    except KeyboardInterrupt:
        # It may have struck between the weights' change and the count of their iterations: keep neither.
        run.note_end("interrupted")
        raise
    except CnnMnistError:
        run.note_end("failed")
        raise


def follow(
    recipe: Recipe, dataset: Dataset, distribution: Distribution, *, checkpoint_every: int = CHECKPOINT_EVERY
) -> Iterator[Progress]:
    """Take part in a cluster's training as one of the workers that write nothing.

    The chief's state comes over the network, and the chief alone evaluates: the others wait for it in the next
    iteration's all-reduce.

    Raises:
        TrainingError: the loss is no longer a finite number.
        ClusterError: another worker is gone.
    """
    with distribution.watched():
        trainer = Trainer(recipe, dataset, distribution.strategy)
        if state := distribution.share(None):
            trainer.restore(state)
        yield from trainer.run(set().union(*_stops(recipe, checkpoint_every)))
        distribution.finish()


def _stops(recipe: Recipe, checkpoint_every: int) -> tuple[set[int], set[int], set[int]]:
    """Iterations after which the ladder gets a rung, a frame is recorded, and a checkpoint is written."""
    last = recipe.training.iterations
    rungs = {at for at in recipe.training.evaluate_at if at < last} | {last}
    return rungs, set(recipe.training.record_at), set(range(checkpoint_every, last, checkpoint_every))


class _Session:
    def __init__(self, run: Run, dataset: Dataset, distribution: Distribution) -> None:
        self.run, self.dataset, self.distribution = run, dataset, distribution
        self.trainer = Trainer(run.record.recipe, dataset, distribution.strategy)
        self.saved_at = -1

    def resume(self) -> None:
        for half_written in self.run.directory.rglob(".*.tmp*"):
            half_written.unlink(missing_ok=True)
        trainer, record = self.trainer, self.run.record
        state = load_checkpoint(self.run.checkpoints, self._state())
        if state:
            trainer.restore(state)
            record.seconds = float(state["seconds"])
        if trainer.iteration > record.recipe.training.iterations:
            raise RunError(
                f"The run {self.run.name} has {trainer.iteration:,} iterations already, but its recipe asks for "
                f"{record.recipe.training.iterations:,}: extend it with --iterations."
            )
        self.distribution.share(state)
        record.strategy, record.replicas = self.distribution.kind, trainer.replicas
        record.batch_per_replica = record.recipe.training.batch_size // trainer.replicas
        record.iteration = trainer.iteration
        record.status, record.precision = "running", trainer.precision  # type: ignore[assignment]
        record.ladder = [rung for rung in record.ladder if rung.iteration <= trainer.iteration]
        self.run.truncate_metrics(trainer.iteration)
        truncate_recording(self.run.recording, trainer.iteration)
        self.run.save()

    def train(self, checkpoint_every: int) -> Iterator[Progress | Rung | None]:
        trainer, record = self.trainer, self.run.record
        rungs, frames, checkpoints = _stops(record.recipe, checkpoint_every)
        yield from self._test(rungs, frames)
        for progress in trainer.run(rungs | frames | checkpoints):
            record.iteration = progress.iteration
            record.seconds += progress.seconds
            self.run.append_metrics(
                progress.iteration,
                progress.losses,
                progress.accuracies,
                len(progress.losses) / progress.seconds,
            )
            yield progress
            yield from self._test(rungs, frames)
            if trainer.iteration in checkpoints:
                self._save_checkpoint()

    def keep(self, status: Any) -> None:
        """Write the network and a checkpoint of exactly this moment."""
        if self.trainer.iteration != self.saved_at:
            self._save_checkpoint()
        save_model(self.trainer.network(), self.run.model_file)
        self.run.record.status = status
        self.run.save()

    def _test(self, rungs: set[int], frames: set[int]) -> Iterator[Rung | None]:
        """Classify the test split if the ladder or the recording is to have something of this iteration."""
        iteration, ladder, test = self.trainer.iteration, self.run.record.ladder, self.dataset.test
        wants_rung = iteration in rungs and all(rung.iteration != iteration for rung in ladder)
        wants_frame = iteration in frames and not is_recorded(self.run.recording, iteration)
        if not (wants_rung or wants_frame):
            return
        network, parts = self.trainer.network(), []
        for first in range(0, len(test), EVALUATED_AT_ONCE):
            parts.append(predict_logits(network, test.images[first : first + EVALUATED_AT_ONCE]))
            yield None
        logits = np.concatenate(parts)
        accuracy = float((logits.argmax(axis=1) == test.labels).mean())
        if wants_frame:
            self._check_finite([logits, *network.get_weights()])
            save_frame(self.run.recording, make_frame(iteration, accuracy, network, logits, test.labels))
        if wants_rung:
            rung = Rung(iteration=iteration, accuracy=accuracy)
            ladder.append(rung)
            self.run.save()
            yield rung

    def _state(self) -> dict[str, np.ndarray]:
        return self.trainer.state() | {"seconds": np.array(self.run.record.seconds)}

    def _save_checkpoint(self) -> None:
        state = self._state()
        self._check_finite(state.values())
        save_checkpoint(self.run.checkpoints, state)
        self.saved_at = self.trainer.iteration

    def _check_finite(self, arrays: Iterable[np.ndarray]) -> None:
        # The loss of an iteration is that before its step, and a step can spoil weights that gave a good one.
        if not all(np.isfinite(array).all() for array in arrays):
            raise TrainingError(
                f"The weights or Adam's averages are no longer finite after iteration {self.trainer.iteration}: "
                "the learning rate may be too high, or epsilon too small for the precision; train again with a "
                "lower --learning-rate."
            )
