"""The training step, and the iterations as a generator of progress."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cnnmnist.config import Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.data.pipeline import Batches
from cnnmnist.errors import RecipeError, TrainingError
from cnnmnist.model import build_model
from cnnmnist.prediction import predict_logits
from cnnmnist.runtime import TOWERS, keras, resolve_precision, tf
from cnnmnist.training.optimizer import Adam

DROPOUT_STREAM = 3
REPORT_EVERY = 100
SECONDS_PER_CALL = 0.25  # about as often the caller hears of progress and can stop the training
ITERATIONS_PER_CALL = 10  # where the speed is not known, or the workers may differ in it


@dataclass(frozen=True)
class Progress:
    """Losses, accuracies and time of the latest iterations."""

    iteration: int
    """Iterations done so far."""
    losses: np.ndarray
    """Loss of each of the latest iterations before its step, float32 (n,)."""
    accuracies: np.ndarray
    """Accuracy of each on its batch, also before its step, float32 (n,)."""
    seconds: float
    """Time that these iterations took, tracing included."""
    batch_accuracy: float | None = None
    """Accuracy on the batch of the latest iteration after its step, every 100 iterations from the first."""


class Trainer:
    """A network in training: its weights, its optimizer and the iterations done.

    Args:
        recipe: what to train and how.
        dataset: the digits.
        strategy: where the replicas are; None for the default device of this process.

    Raises:
        RecipeError: the batch cannot be divided evenly among the replicas.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, strategy: tf.distribute.Strategy | None = None) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        check_divisible(recipe.training.batch_size, self.replicas)
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
        self._steps = tf.function(self._many_steps)

    def trained_model(self) -> keras.Model:
        """The float32 network that the training has led to, with averaged weights if the recipe says so."""
        if self._float32_model is not self.model:
            for target, source in zip(
                self._float32_model.trainable_variables, self.averages or self.variables, strict=True
            ):
                target.assign(source.numpy())
        return self._float32_model

    def state(self) -> dict[str, np.ndarray]:
        """Everything that a later process needs to go on bit for bit, as arrays by name."""
        arrays = {name: variable.numpy() for name, variable in self._state_variables()}
        return arrays | {"iteration": np.array(self.iteration, np.int64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state that :meth:`state` returned."""
        for name, variable in self._state_variables():
            variable.assign(state[name])
        self.iteration = int(state["iteration"])

    def iterate(self, stops: Iterable[int] = ()) -> Iterator[Progress]:
        """Train to the recipe's last iteration, yielding several times a second and at each of ``stops``.

        The weights do not depend on how many iterations a call of TensorFlow does. All workers of a cluster need
        the same stops, because they add up gradients only within the same call.

        Raises:
            TrainingError: the loss is no longer a finite number.
        """
        last = self.recipe.training.iterations
        stops = sorted({stop for stop in stops if stop < last} | {last})
        batches = iter(self._distributed_batches())
        count = ITERATIONS_PER_CALL
        while self.iteration < last:
            report = self.iteration + (-self.iteration % REPORT_EVERY) + 1
            stop = min(report, next(each for each in stops if each > self.iteration))
            progress = self._iterate(batches, min(count, stop - self.iteration), report)
            _check_finite(progress)
            yield progress
            # A call that traced says nothing about speed, and workers that differ in speed must do the same calls.
            traced = progress.iteration == 1 or progress.seconds > 4 * SECONDS_PER_CALL
            count = ITERATIONS_PER_CALL
            if not traced and not isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
                count = max(1, int(len(progress.losses) * SECONDS_PER_CALL / progress.seconds))

    def _iterate(self, batches: tf.distribute.DistributedIterator, count: int, report: int) -> Progress:
        """Do ``count`` iterations; ``report`` is the one after which the accuracy on its batch is wanted."""
        started = time.perf_counter()
        losses, accuracies = self._steps(batches, tf.constant(self.iteration, tf.int64), tf.constant(count))
        self.iteration += count
        return Progress(
            iteration=self.iteration,
            losses=losses.numpy(),
            accuracies=accuracies.numpy(),
            batch_accuracy=self._batch_accuracy() if self.iteration == report else None,
            seconds=time.perf_counter() - started,
        )

    def _batch_accuracy(self) -> float:
        images, labels = self.batches.batch(self.iteration - 1)
        predicted = predict_logits(self.model, images).argmax(axis=1)
        return float((predicted == labels.numpy()).mean())

    def _build(self, precision: str) -> keras.Model:
        recipe, dataset = self.recipe, self.dataset
        return build_model(
            recipe.model,
            dataset.image_shape,
            len(dataset.class_names),
            precision=precision,
            seed=recipe.training.seed,
        )

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

    def _distributed_batches(self) -> tf.distribute.DistributedDataset:
        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = self.replicas // context.num_input_pipelines
            return self.batches.stream(
                self.iteration,
                shards=self.replicas,
                first_shard=context.input_pipeline_id * local,
                local_shards=local,
            )

        return self.strategy.distribute_datasets_from_function(of_worker)

    def _many_steps(
        self, batches: tf.distribute.DistributedIterator, start: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The ``count`` steps that follow ``start`` others: their losses and accuracies, float32 (count,)."""
        losses = tf.TensorArray(tf.float32, count)
        accuracies = tf.TensorArray(tf.float32, count)
        for number in tf.range(count):
            images, labels = next(batches)
            results = self.strategy.run(self._step, (images, labels, start + tf.cast(number, tf.int64)))
            loss, accuracy = self.strategy.experimental_local_results(results)[0]
            losses = losses.write(number, loss)
            accuracies = accuracies.write(number, accuracy)
        return losses.stack(), accuracies.stack()

    def _step(self, images: tf.Tensor, labels: tf.Tensor, iteration: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One optimizer step on this replica's share of the batch; loss and accuracy of the whole batch."""
        share = self.recipe.training.batch_size // self.replicas
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        bounds = np.linspace(0, share, min(self.towers, share) + 1).astype(int).tolist()
        towers = [
            self._gradients(images[first:last], labels[first:last], iteration, replica * share + first)
            for first, last in itertools.pairwise(bounds)
        ]
        *gradients, loss, accuracy = self._all_reduce([tf.add_n(parts) for parts in zip(*towers, strict=True)])
        self.optimizer.apply(gradients, iteration)
        self._update_averages(iteration)
        return loss, accuracy

    def _gradients(
        self, images: tf.Tensor, labels: tf.Tensor, iteration: tf.Tensor, first_row: tf.Tensor
    ) -> list[tf.Tensor]:
        """The share of some images, the batch's rows from ``first_row`` on, in gradients, loss and accuracy."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            logits = self._forward(images, iteration, first_row)
            loss = tf.reduce_sum(self._cross_entropy(logits, labels)) / self.recipe.training.batch_size
        return [*tape.gradient(loss, self.variables), loss, self._accuracy(logits, labels)]

    def _accuracy(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
        return tf.reduce_sum(tf.cast(right, tf.float32)) / self.recipe.training.batch_size

    def _forward(self, images: tf.Tensor, iteration: tf.Tensor, first_row: tf.Tensor) -> tf.Tensor:
        """Logits in training; dropout is drawn from (seed, iteration) for the whole batch, however it is cut."""
        training = self.recipe.training
        outputs = images
        for number, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                seed = tf.stack([training.seed + (DROPOUT_STREAM + number) * 2**32, iteration])
                uniform = tf.random.stateless_uniform([training.batch_size, outputs.shape[1]], seed)
                kept = uniform[first_row : first_row + len(images)] >= layer.rate
                outputs = tf.where(kept, outputs / (1.0 - layer.rate), 0.0)
            else:
                outputs = layer(outputs, training=True)
        return outputs

    def _cross_entropy(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        smoothing = self.recipe.training.label_smoothing
        if not smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        classes = logits.shape[-1]
        targets = tf.one_hot(labels, classes, 1.0 - smoothing + smoothing / classes, smoothing / classes)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _all_reduce(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """Sum over all replicas in one packed all-reduce: one by one they would cost a round trip each."""
        if self.replicas == 1:
            return tensors
        parts = [tf.reshape(each, [-1]) for each in tensors]
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(parts, axis=0))
        sums = tf.split(total, [part.shape[0] for part in parts])
        return [tf.reshape(each, tensor.shape) for each, tensor in zip(sums, tensors, strict=True)]

    def _update_averages(self, iteration: tf.Tensor) -> None:
        """Move the averages towards the weights, faster at first, so that the start is soon forgotten."""
        done = tf.cast(iteration + 1, tf.float32)
        decay = tf.minimum(self.recipe.training.ema_decay, (1.0 + done) / (10.0 + done))
        for average, variable in zip(self.averages, self.variables, strict=False):
            average.assign_add((variable - average) * (1.0 - decay))


def check_divisible(batch_size: int, replicas: int) -> None:
    """Refuse a batch that cannot be divided evenly.

    Raises:
        RecipeError: with the nearest batch size that can.
    """
    if batch_size % replicas:
        nearest = max(1, round(batch_size / replicas)) * replicas
        raise RecipeError(
            f"A batch of {batch_size} images cannot be divided among {replicas} replicas: "
            f"the nearest batch size that can is {nearest}."
        )


def _check_finite(progress: Progress) -> None:
    finite = np.isfinite(progress.losses)
    if not finite.all():
        iteration = progress.iteration - len(finite) + int(np.argmin(finite)) + 1
        raise TrainingError(
            f"The loss is {progress.losses[~finite][0]} at iteration {iteration}: the learning rate may be "
            "too high, or epsilon too small for the precision; train again with a lower --learning-rate."
        )
