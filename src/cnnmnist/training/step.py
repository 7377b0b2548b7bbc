"""The training step: gradients of a batch, their sum over all replicas, and the optimizer's update."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cnnmnist.config import Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.data.pipeline import Batches
from cnnmnist.errors import RecipeError, TrainingError
from cnnmnist.layers import check_memory, list_layers
from cnnmnist.model import build_model
from cnnmnist.runtime import TOWERS, keras, resolve_precision, tf
from cnnmnist.training.evaluation import training_logits
from cnnmnist.training.forward import forward
from cnnmnist.training.optimizer import Adam

ADVICE = (
    "the learning rate may be too high, or epsilon too small for the precision; train again with a lower "
    "--learning-rate."
)
REPORT_EVERY = 100
SECONDS_PER_CALL = 0.25  # about; between two calls of TensorFlow the caller can stop the training
ITERATIONS_PER_CALL = 10  # while the speed is unknown, or for workers, which may differ in speed


@dataclass(frozen=True)
class Progress:
    """Losses, accuracies and time of the latest iterations."""

    iteration: int
    """Number of iterations done so far."""
    losses: np.ndarray
    """Loss of each of the latest iterations before its step, float32 (n,)."""
    accuracies: np.ndarray
    """Accuracy of each of the latest iterations on its batch before its step, float32 (n,)."""
    seconds: float
    """Time of the latest iterations in seconds, including TensorFlow's tracing."""
    batch_accuracy: float | None = None
    """Accuracy of the latest iteration on its batch after its step, every 100 iterations from the first."""


class Trainer:
    """A network in training: its weights, its optimizer and the iterations done.

    Args:
        recipe: the network and its training.
        dataset: the data set.
        strategy: TensorFlow's strategy, which places the replicas; None for the default device of this process.

    Raises:
        RecipeError: the batch cannot be divided evenly among the replicas, or takes more memory than there is.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, strategy: tf.distribute.Strategy | None = None) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        check_divisible(recipe.training.batch_size, self.replicas)
        layers = list_layers(recipe.model, dataset.image_shape, len(dataset.class_names))
        check_memory(layers, recipe.training.batch_size // self.replicas)
        local_replicas = len(self.strategy.extended.worker_devices) if self.replicas > 1 else 1
        self.towers = max(1, TOWERS // local_replicas)
        self.precision = resolve_precision(recipe.training.precision)
        self.iteration = 0
        self.batches = Batches(dataset, recipe)
        with self.strategy.scope():
            self.model = self._build(self.precision)
            self.variables = [each.value for each in self.model.trainable_variables]
            self.optimizer = Adam(recipe.training, self.variables)
            self.averages = []
            if recipe.training.ema_decay:
                self.averages = [tf.Variable(each, name="average") for each in self.variables]
        own_weights = self.precision == "float32" and not self.averages
        self._float32_model = self.model if own_weights else self._build("float32")
        # AutoGraph takes longer to translate the functions than TensorFlow to trace them.
        self._steps = tf.function(self._many_steps, autograph=False)
        self._tower = tf.function(self._gradients, autograph=False)  # traced once for towers of one size

    def trained_model(self) -> keras.Model:
        """Return the trained network in float32, with the averages of the weights if the recipe asks for them."""
        if self._float32_model is not self.model:
            self._float32_model.set_weights([each.numpy() for each in self.averages or self.variables])
        return self._float32_model

    def state(self) -> dict[str, np.ndarray]:
        """Return all arrays, by name, from which another process continues to the same bits."""
        arrays = {name: variable.numpy() for name, variable in self._state_variables()}
        return arrays | {"iteration": np.array(self.iteration, np.int64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a state of :meth:`state`."""
        for name, variable in self._state_variables():
            variable.assign(state[name])
        self.iteration = int(state["iteration"])

    def iterate(self, stops: Iterable[int] = (), every: int = 0) -> Iterator[Progress]:
        """Train to the recipe's last iteration, and yield several times a second, and after some iterations.

        These are ``stops`` and, if ``every`` is not 0, its multiples. The number of iterations in a call of
        TensorFlow does not change the weights. All workers of a cluster need the same stops, because they can only
        add up gradients within the same call.

        Raises:
            TrainingError: the loss is no longer a finite number.
        """
        last = self.recipe.training.iterations
        stops = sorted({stop for stop in stops if stop < last} | {last})
        batches = iter(self.strategy.distribute_datasets_from_function(self._worker_batches))
        count = ITERATIONS_PER_CALL
        while self.iteration < last:
            report = self.iteration + (-self.iteration % REPORT_EVERY) + 1
            stop = min(report, next(each for each in stops if each > self.iteration))
            if every:
                stop = min(stop, self.iteration + every - self.iteration % every)
            progress = self._iterate(batches, min(count, stop - self.iteration), report)
            _check_finite(progress)
            yield progress
            count = self._next_count(progress)

    def _next_count(self, progress: Progress) -> int:
        """How many iterations the next call of TensorFlow should do."""
        # A call that traced does not show the speed. Workers may differ in speed, but must do the same calls.
        traced = progress.iteration == 1 or progress.seconds > 4 * SECONDS_PER_CALL
        if traced or isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return ITERATIONS_PER_CALL
        return max(1, int(len(progress.losses) * SECONDS_PER_CALL / progress.seconds))

    def _iterate(self, batches: tf.distribute.DistributedIterator, count: int, report: int) -> Progress:
        """Do ``count`` iterations, and compute the accuracy on the last batch after iteration ``report``."""
        started = time.perf_counter()
        results = self._steps(batches, tf.constant(self.iteration, tf.int64), tf.constant(count))
        losses, accuracies = (result.numpy() for result in results)
        self.iteration += count
        batch_accuracy = None
        if self.iteration == report:
            images, labels = self.batches.batch(self.iteration - 1)
            right = training_logits(self.model, images).argmax(axis=1) == labels.numpy()
            batch_accuracy = float(right.sum() / max(1.0, self._count(labels).numpy()))
        seconds = time.perf_counter() - started
        return Progress(self.iteration, losses, accuracies, seconds, batch_accuracy)

    def _build(self, precision: str) -> keras.Model:
        config, seed = self.recipe.model, self.recipe.training.seed
        shape, classes = self.dataset.image_shape, len(self.dataset.class_names)
        return build_model(config, shape, classes, precision=precision, seed=seed)

    def _state_variables(self) -> Iterator[tuple[str, tf.Variable]]:
        groups = {
            "weight": self.variables,
            "adam_mean": self.optimizer.means,
            "adam_square": self.optimizer.squares,
            "average": self.averages,
        }
        for group, variables in groups.items():
            for number, variable in enumerate(variables):
                yield f"{group}_{number}", variable

    def _worker_batches(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = self.replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local
        return self.batches.stream(self.iteration, shards=self.replicas, first_shard=first, local_shards=local)

    def _many_steps(
        self, batches: tf.distribute.DistributedIterator, start: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Take ``count`` steps after ``start`` steps, and return losses and accuracies, float32 (count,)."""

        def another(number: tf.Tensor, *results: tf.TensorArray) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            inputs = (start + tf.cast(number, tf.int64), *next(batches))
            values = self.strategy.experimental_local_results(self.strategy.run(self._step, inputs))[0]
            return number + 1, *(each.write(number, value) for each, value in zip(results, values, strict=True))

        losses, accuracies = (tf.TensorArray(tf.float32, count) for _ in range(2))
        _, losses, accuracies = tf.while_loop(lambda number, *_: number < count, another, (0, losses, accuracies))
        return losses.stack(), accuracies.stack()

    def _step(self, iteration: tf.Tensor, *part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Take a step on this replica's part of the batch, and return loss and accuracy of the whole batch."""
        images, labels = self.batches.load(*part)
        share = self.recipe.training.batch_size // self.replicas
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        bounds = np.linspace(0, share, min(self.towers, share) + 1).astype(int).tolist()
        towers = [
            self._tower(images[first:last], labels[first:last], iteration, tf.constant(first) + replica * share)
            for first, last in itertools.pairwise(bounds)
        ]
        *gradients, loss, right, count = self._all_reduce([tf.add_n(parts) for parts in zip(*towers, strict=True)])
        self.optimizer.apply(gradients, iteration)
        self._update_averages(iteration)
        return loss, right / tf.maximum(count, 1.0)

    def _gradients(
        self, images: tf.Tensor, labels: tf.Tensor, iteration: tf.Tensor, first_row: tf.Tensor
    ) -> list[tf.Tensor]:
        """Compute what the batch's rows from ``first_row`` on add to gradients, loss and counts of answers."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            logits = forward(self.model, self.recipe.training, images, iteration, first_row)
            loss = tf.reduce_sum(self._cross_entropy(logits, labels)) / self.recipe.training.batch_size
        right = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels), tf.float32)
        return [*tape.gradient(loss, self.variables), loss, tf.reduce_sum(right), self._count(labels)]

    def _count(self, labels: tf.Tensor) -> tf.Tensor:
        """Count the images that show a class, float32; :func:`cnnmnist.data.pipeline.Batches` has others, too."""
        return tf.reduce_sum(tf.cast(labels < self.model.output_shape[-1], tf.float32))

    def _cross_entropy(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        smoothing = self.recipe.training.label_smoothing
        if not smoothing and not self.recipe.drawn.without_class:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        classes = logits.shape[-1]
        targets = tf.one_hot(labels, classes, 1.0 - smoothing + smoothing / classes, smoothing / classes)
        if self.recipe.drawn.without_class:
            targets = tf.where(labels[:, tf.newaxis] < classes, targets, 1.0 / classes)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _all_reduce(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """Sum tensors over all replicas in one all-reduce, because each all-reduce costs a round trip."""
        if self.replicas == 1:
            return tensors
        parts = [tf.reshape(each, [-1]) for each in tensors]
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(parts, axis=0))
        sums = tf.split(total, [part.shape[0] for part in parts])
        return [tf.reshape(each, tensor.shape) for each, tensor in zip(sums, tensors, strict=True)]

    def _update_averages(self, iteration: tf.Tensor) -> None:
        """Move the averages towards the weights, faster at first, so that they soon forget the initial weights.

        The decay is the same as in ``tf.train.ExponentialMovingAverage`` with ``num_updates``.
        """
        done = tf.cast(iteration + 1, tf.float32)
        decay = tf.minimum(self.recipe.training.ema_decay, (1.0 + done) / (10.0 + done))
        for average, variable in zip(self.averages, self.variables, strict=False):
            average.assign_add((variable - average) * (1.0 - decay))


def check_divisible(batch_size: int, replicas: int) -> None:
    """Refuse a batch that cannot be divided evenly among the replicas.

    Raises:
        RecipeError: it cannot be divided; the message has the nearest batch size that fits.
    """
    if batch_size % replicas:
        nearest = max(1, round(batch_size / replicas)) * replicas
        raise RecipeError(
            f"A batch of {batch_size} images cannot be divided among {replicas} replicas: "
            f"the nearest batch size that fits is {nearest}."
        )


def _check_finite(progress: Progress) -> None:
    finite = np.isfinite(progress.losses)
    if not finite.all():
        number = progress.iteration - len(finite) + int(np.argmin(finite)) + 1
        raise TrainingError(f"The loss is {progress.losses[~finite][0]} at iteration {number}: {ADVICE}")
