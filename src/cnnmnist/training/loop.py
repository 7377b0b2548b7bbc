"""Training loop: trains, evaluates and saves a run."""

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from cnnmnist.calibration import fit_temperature
from cnnmnist.config import Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.distributed.strategy import Distribution
from cnnmnist.errors import RunError, TrainingError
from cnnmnist.files import remove_leftovers
from cnnmnist.model_file import save_model
from cnnmnist.runs.checkpoints import load_checkpoint, save_checkpoint
from cnnmnist.runs.metadata import MAX_SECONDS, Rung, Status
from cnnmnist.runs.metrics import append_metrics, truncate_metrics
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import has_snapshot, save_snapshot, take_snapshot, truncate_snapshots
from cnnmnist.runs.store import create_run
from cnnmnist.training.evaluation import interruptible_logits
from cnnmnist.training.step import ADVICE, Progress, Trainer

CHECKPOINT_EVERY = 1_000
ONE_DEVICE = Distribution()

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

    An interrupt (Ctrl-C, or a notebook's) finishes the current iterations, saves the run, and then raises
    KeyboardInterrupt; :func:`resume` continues the run.

    Args:
        recipe: the network and its training, as :func:`cnnmnist.recipes.load_recipe` returns them.
        dataset: the data set, as :func:`cnnmnist.data.loading.load_dataset` returns it.
        runs_dir: folder of the runs.
        name: name of the run; by default the time and the recipe's name.
        progress: called with a :class:`~cnnmnist.training.step.Progress` several times a second, and with a
            :class:`~cnnmnist.runs.metadata.Rung` after every evaluation on the test split.

    Returns:
        The finished run.

    Raises:
        TrainingError: the loss is no longer a finite number.
        RunError: the name is not valid, or there is a run of this name.
        WriteError: the run directory cannot be written.
    """
    return resume(create_run(Path(runs_dir), name, recipe, dataset), dataset, progress=progress)


def resume(run: Run, dataset: Dataset | None = None, *, progress: Listener | None = None) -> Run:
    """Continue an interrupted run to the same bits as a run without an interrupt.

    Args:
        run: as :func:`cnnmnist.runs.store.load_run` returns it.
        dataset: the data set of the run; it is loaded by default.
        progress: as for :func:`train`.

    Returns:
        The same run, finished.

    Raises:
        DataError: the data set is missing, or differs from the run's.
        TrainingError: the loss is no longer a finite number.
        RunError: another process is training or has changed the run, its checkpoints are damaged, or it has more
            iterations than its recipe.
        WriteError: the run directory cannot be written.
    """
    dataset = dataset or run.load_dataset()
    run.check_same(dataset)
    with run.locked(), _deferred_interrupt() as interrupts, closing(training_events(run, dataset)) as events:
        for event in events:
            if progress and event:
                progress(event)
            if interrupts:
                break
    if interrupts:
        raise KeyboardInterrupt
    return run


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Append the first interrupt to a list, instead of raising it within an iteration; raise the second one."""
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():  # no other thread receives signals
            stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, receive))
        yield received


def training_events(
    run: Run,
    dataset: Dataset,
    *,
    distribution: Distribution = ONE_DEVICE,
    checkpoint_every: int = CHECKPOINT_EVERY,
) -> Generator[Progress | Rung | None]:
    """Train a run from its newest checkpoint, or from the start, to the end of its recipe.

    Closing the generator interrupts the run, and saves its state, from which it can continue.

    Args:
        run: a new, interrupted or finished run; the training updates its directory and metadata.
        dataset: the data set of the run.
        distribution: the replicas. In a cluster only the chief calls this function; the other workers call
            :func:`follower_events`.
        checkpoint_every: iterations between checkpoints.

    Yields:
        Progress several times a second, a Rung after each evaluation on the test split, and None several times
        during an evaluation, so that the caller can interrupt the run promptly.

    Raises:
        TrainingError: the loss is no longer a finite number.
        RunError: the checkpoints are damaged, or the run has more iterations than its recipe.
        WriteError: the run directory cannot be written; the last checkpoint is unchanged.
        ClusterError: another worker is lost; the last checkpoint is unchanged.
    """
    try:
        with distribution.lost_workers_named():
            loop = _Loop(run, dataset, distribution)
            loop.restore()
            try:
                temperature = yield from loop.events(checkpoint_every)
            except GeneratorExit:
                loop.save("interrupted")
                raise
            loop.save("finished", temperature)
            distribution.barrier()
    except (KeyboardInterrupt, Exception) as error:
        # An interrupt may have come after the weights changed and before the iterations were counted.
        run.save_status("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise


def follower_events(
    recipe: Recipe, dataset: Dataset, distribution: Distribution, *, checkpoint_every: int = CHECKPOINT_EVERY
) -> Iterator[Progress]:
    """Take part in a cluster's training as a worker that is not the chief, and write nothing.

    The chief sends its state to the other workers, and evaluates alone; meanwhile they wait in the all-reduce of
    the next iteration.

    Raises:
        TrainingError: the loss is no longer a finite number.
        ClusterError: another worker is lost.
    """
    with distribution.lost_workers_named():
        trainer = Trainer(recipe, dataset, distribution.strategy)
        if state := distribution.broadcast_arrays(None):
            trainer.restore(state)
        stops = [*recipe.training.evaluate_at, *recipe.training.record_at]
        yield from trainer.iterate(stops, checkpoint_every)
        distribution.barrier()


class _Loop:
    """A trainer, and the run that holds its results."""

    def __init__(self, run: Run, dataset: Dataset, distribution: Distribution) -> None:
        self.run, self.dataset, self.distribution = run, dataset, distribution
        training = run.metadata.recipe.training
        self.trainer = Trainer(run.metadata.recipe, dataset, distribution.strategy)
        self.rungs = {*training.evaluate_at, training.iterations}
        self.snapshots = set(training.record_at)
        self.saved_at = -1

    def restore(self) -> None:
        """Restore the newest checkpoint, and remove the later results from the run's files."""
        run, trainer, metadata = self.run, self.trainer, self.run.metadata
        state = load_checkpoint(run.checkpoints, self._state())
        if state is None and metadata.status == "finished" and metadata.iteration:
            raise RunError(
                f"The run {run.name} is finished, but has no checkpoint to continue from: train a new run."
            )
        remove_leftovers(run.directory, run.checkpoints, run.snapshots, run.figures)
        if state:
            trainer.restore(state)
            metadata.seconds = float(state["seconds"])
        if trainer.iteration > metadata.recipe.training.iterations:
            raise RunError(
                f"The run {run.name} has {trainer.iteration:,} iterations already, but its recipe asks for "
                f"{metadata.recipe.training.iterations:,}: extend it with --iterations."
            )
        self.distribution.broadcast_arrays(state)
        metadata.status, metadata.iteration, metadata.precision = "running", trainer.iteration, trainer.precision
        metadata.strategy, metadata.replicas = self.distribution.kind, trainer.replicas
        metadata.batch_per_replica = metadata.recipe.training.batch_size // trainer.replicas
        metadata.ladder = [rung for rung in metadata.ladder if rung.iteration <= trainer.iteration]
        truncate_metrics(run.metrics_file, trainer.iteration)
        truncate_snapshots(run.snapshots, trainer.iteration)
        run.save()

    def events(self, checkpoint_every: int) -> Generator[Progress | Rung | None, None, float]:
        """Train to the recipe's last iteration, and return the temperature of the network."""
        trainer, metadata = self.trainer, self.run.metadata
        yield from self._evaluate()
        for progress in trainer.iterate(self.rungs | self.snapshots, checkpoint_every):
            metadata.iteration = progress.iteration
            metadata.seconds = min(metadata.seconds + progress.seconds, MAX_SECONDS)
            speed = len(progress.losses) / progress.seconds
            append_metrics(self.run.metrics_file, progress.iteration, progress.losses, progress.accuracies, speed)
            yield progress
            yield from self._evaluate()
            if trainer.iteration % checkpoint_every == 0:
                self._save_checkpoint()
        training, validation = metadata.recipe.training, self.dataset.validation
        if training.include_validation:  # which says nothing about new images then
            return training.temperature or 1.0
        logits = yield from interruptible_logits(trainer.trained_model(), validation)
        return fit_temperature(logits, validation.labels)

    def save(self, status: Status, temperature: float = 1.0) -> None:
        """Write the network, a checkpoint and the metadata."""
        if self.trainer.iteration != self.saved_at:
            self._save_checkpoint()
        save_model(self.trainer.trained_model(), self.run.model_file)
        self.run.metadata.status, self.run.metadata.temperature = status, temperature
        self.run.save()

    def _evaluate(self) -> Iterator[Rung | None]:
        """Classify the test split if the recipe asks for a rung or a snapshot after this iteration."""
        iteration, ladder, test = self.trainer.iteration, self.run.metadata.ladder, self.dataset.test
        wants_rung = iteration in self.rungs and all(rung.iteration != iteration for rung in ladder)
        wants_snapshot = iteration in self.snapshots and not has_snapshot(self.run.snapshots, iteration)
        if not (wants_rung or wants_snapshot):
            return
        model = self.trainer.trained_model()
        logits = yield from interruptible_logits(model, test)
        accuracy = float((logits.argmax(axis=1) == test.labels).mean())
        if wants_snapshot:
            self._check_finite([logits, *model.get_weights()])
            save_snapshot(self.run.snapshots, take_snapshot(iteration, accuracy, model, logits, test.labels))
        if wants_rung:
            ladder.append(Rung(iteration=iteration, accuracy=accuracy))
            self.run.save()
            yield ladder[-1]

    def _state(self) -> dict[str, np.ndarray]:
        return self.trainer.state() | {"seconds": np.array(self.run.metadata.seconds)}

    def _save_checkpoint(self) -> None:
        state = self._state()
        self._check_finite(state.values())
        save_checkpoint(self.run.checkpoints, state)
        self.saved_at = self.trainer.iteration

    def _check_finite(self, arrays: Iterable[np.ndarray]) -> None:
        # The loss may be finite although the weights are not, because it was computed before the last step.
        if not all(np.isfinite(array).all() for array in arrays):
            raise TrainingError(
                f"The weights or Adam's averages are no longer finite after iteration {self.trainer.iteration}: "
                f"{ADVICE}"
            )
