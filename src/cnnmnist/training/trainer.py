"""The training step, the learning rate, and the loop as a generator of progress."""

import itertools
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnmnist.config import Recipe, TrainingConfig
from cnnmnist.data.loading import Dataset
from cnnmnist.data.pipeline import Batches
from cnnmnist.errors import RecipeError, TrainingError
from cnnmnist.evaluation import predict_logits
from cnnmnist.model import build_model
from cnnmnist.runtime import TOWERS, keras, resolve_precision, tf

DROPOUT_STREAM = 3
REPORT_EVERY = 100
SECONDS_PER_CALL = 0.25  # how often the caller hears of progress and can stop the training


@dataclass(frozen=True)
class Progress:
    """What happened in the latest iterations."""

    iteration: int
    """Iterations done so far."""
    losses: np.ndarray
    """Loss of each of the latest iterations before its step, float32 (n,)."""
    accuracies: np.ndarray
    """Accuracy on the batch of each, likewise before its step, float32 (n,)."""
    seconds: float
    """Time that these iterations took, tracing included."""
    batch_accuracy: float | None = None
    """Accuracy on the batch of the latest iteration after its step, every 100 iterations from the first."""


def learning_rate(config: TrainingConfig, iteration: Any) -> Any:
    """Adam's step size, float32 scalar, for the step that follows ``iteration`` others.

    One-cycle (Smith, 2018, https://arxiv.org/abs/1803.09820) rises linearly to the peak over the warm-up
    and falls to zero on a half cosine.
    """
    if config.schedule == "constant":
        return tf.constant(config.learning_rate, tf.float32)
    done = (tf.cast(iteration, tf.float32) + 1.0) / (config.iterations + 1.0)
    rising = done / max(config.warmup, 1e-9)
    falling = 0.5 + 0.5 * tf.cos(math.pi * (done - config.warmup) / max(1.0 - config.warmup, 1e-9))
    return config.learning_rate * tf.where(done < config.warmup, rising, falling)


class Adam:
    """Adam with decoupled weight decay, one fused TensorFlow kernel per weight array.

    The same update as ``keras.optimizers.Adam``, to float32 rounding, at a fraction of its cost.
    Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980 (the form before section 2.1's end, with epsilon
    outside of the bias correction); Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101.
    """

    def __init__(self, config: TrainingConfig, variables: list[Any]) -> None:
        self.config = config
        self.variables = variables
        self.means = [tf.Variable(tf.zeros_like(each), name="adam_mean") for each in variables]
        self.squares = [tf.Variable(tf.zeros_like(each), name="adam_square") for each in variables]

    def apply(self, gradients: list[Any], iteration: Any) -> None:
        """Take the step that follows ``iteration`` others."""
        config = self.config
        rate = learning_rate(config, iteration)
        step = tf.cast(iteration + 1, tf.float32)
        decays = [tf.constant(config.beta_1), tf.constant(config.beta_2)]
        powers = [tf.pow(decay, step) for decay in decays]
        for variable, mean, square, gradient in zip(
            self.variables, self.means, self.squares, gradients, strict=True
        ):
            if config.weight_decay and len(variable.shape) > 1:
                variable.assign_sub(variable * (rate * config.weight_decay))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=decays[0],
                beta2=decays[1],
                epsilon=config.epsilon,
                grad=gradient,
            )


class Trainer:
    """A network in training: its weights, its optimizer and the iterations done.

    Args:
        recipe: what to train and how.
        dataset: the digits.
        strategy: where the replicas are; none for this process's default device.

    Raises:
        RecipeError: the batch cannot be divided evenly among the replicas.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, strategy: Any = None) -> None:
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
        self._result = self.model if own_weights else self._build("float32")
        self._iterate_many = tf.function(self._iterate)

    def network(self) -> Any:
        """The float32 network that the training has led to, with averaged weights if the recipe says so."""
        if self._result is not self.model:
            for target, source in zip(
                self._result.trainable_variables, self.averages or self.variables, strict=True
            ):
                target.assign(source.numpy())
        return self._result

    def state(self) -> dict[str, np.ndarray]:
        """All that a later process needs to go on bit for bit, as arrays by name."""
        arrays = {name: variable.numpy() for name, variable in self._state_variables()}
        return arrays | {"iteration": np.array(self.iteration, np.int64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what :meth:`state` returned."""
        for name, variable in self._state_variables():
            variable.assign(state[name])
        self.iteration = int(state["iteration"])

    def run(self, stops: Iterable[int] = ()) -> Iterator[Progress]:
        """Train up to the recipe's iterations, yielding every quarter of a second and at each of ``stops``.

        The weights do not depend on how the iterations are divided between calls of TensorFlow. All workers of a
        cluster must be given the same stops, because they can only add up gradients within the same call.

        Raises:
            TrainingError: the loss is no longer a finite number.
        """
        last = self.recipe.training.iterations
        targets = sorted({stop for stop in stops if stop < last} | {last})
        iterator = iter(self._distributed_batches())
        count, wish = 1, 10
        while self.iteration < last:
            reports_at = self.iteration + (-self.iteration % REPORT_EVERY) + 1
            stop = min(reports_at, next(each for each in targets if each > self.iteration))
            count = min(count, stop - self.iteration)
            started = time.perf_counter()
            losses, accuracies, agreed = self._iterate_many(
                iterator,
                tf.constant(self.iteration, tf.int64),
                tf.constant(count),
                tf.constant(wish, tf.float32),
            )
            self.iteration += count
            progress = Progress(
                iteration=self.iteration,
                losses=losses.numpy(),
                accuracies=accuracies.numpy(),
                batch_accuracy=self._batch_accuracy() if self.iteration == reports_at else None,
                seconds=time.perf_counter() - started,
            )
            _check_finite(progress)
            yield progress
            # A call that traced tells nothing about speed.
            traced = progress.iteration == 1 or progress.seconds > 4 * SECONDS_PER_CALL
            wish = 10 if traced else max(1, int(count * SECONDS_PER_CALL / progress.seconds))
            count = wish if self.replicas == 1 else max(1, round(float(agreed)))

    def _batch_accuracy(self) -> float:
        images, labels = self.batches.batch(self.iteration - 1)
        predicted = predict_logits(self.model, images).argmax(axis=1)
        return float((predicted == labels.numpy()).mean())

    def _build(self, precision: str) -> Any:
        recipe, dataset = self.recipe, self.dataset
        return build_model(
            recipe.model,
            dataset.image_shape,
            len(dataset.class_names),
            precision=precision,
            seed=recipe.training.seed,
        )

    def _state_variables(self) -> Iterator[tuple[str, Any]]:
        groups = {
            "weight": self.variables,
            "adam_mean": self.optimizer.means,
            "adam_square": self.optimizer.squares,
            "average": self.averages,
        }
        for group, variables in groups.items():
            for number, variable in enumerate(variables):
                yield f"{group}_{number}", variable

    def _distributed_batches(self) -> Any:
        def of_worker(context: Any) -> Any:
            local = self.replicas // context.num_input_pipelines
            return self.batches.stream(
                self.iteration,
                shards=self.replicas,
                first_shard=context.input_pipeline_id * local,
                local_shards=local,
            )

        return self.strategy.distribute_datasets_from_function(of_worker)

    def _iterate(self, iterator: Any, start: Any, count: Any, wish: Any) -> tuple[Any, Any, Any]:
        """Some iterations: their losses, their accuracies, and how many the replicas want next on average."""
        agreed = wish
        losses = tf.TensorArray(tf.float32, count)
        accuracies = tf.TensorArray(tf.float32, count)
        for number in tf.range(count):
            images, labels = next(iterator)
            results = self.strategy.run(self._step, (images, labels, start + tf.cast(number, tf.int64), wish))
            loss, accuracy, agreed = self.strategy.experimental_local_results(results)[0]
            losses = losses.write(number, loss)
            accuracies = accuracies.write(number, accuracy)
        return losses.stack(), accuracies.stack(), agreed

    def _step(self, images: Any, labels: Any, iteration: Any, wish: Any) -> Any:
        """One optimizer step on this replica's share of the batch; loss and accuracy of the whole, mean wish."""
        share = self.recipe.training.batch_size // self.replicas
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        bounds = np.linspace(0, share, min(self.towers, share) + 1).astype(int).tolist()
        towers = [
            self._gradients(images[first:last], labels[first:last], iteration, replica * share + first)
            for first, last in itertools.pairwise(bounds)
        ]
        sums = [tf.add_n(parts) for parts in zip(*towers, strict=True)]
        *gradients, loss, accuracy, agreed = self._sum_over_replicas([*sums, wish / self.replicas])
        self.optimizer.apply(gradients, iteration)
        self._average(iteration)
        return loss, accuracy, agreed

    def _gradients(self, images: Any, labels: Any, iteration: Any, first_row: Any) -> list[Any]:
        """What these images, from the batch's ``first_row`` on, add to gradients, loss and accuracy."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            logits = self._forward(images, iteration, first_row)
            loss = tf.reduce_sum(self._cross_entropy(logits, labels)) / self.recipe.training.batch_size
        return [*tape.gradient(loss, self.variables), loss, self._accuracy(logits, labels)]

    def _accuracy(self, logits: Any, labels: Any) -> Any:
        right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
        return tf.reduce_sum(tf.cast(right, tf.float32)) / self.recipe.training.batch_size

    def _forward(self, images: Any, iteration: Any, first_row: Any) -> Any:
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

    def _cross_entropy(self, logits: Any, labels: Any) -> Any:
        smoothing = self.recipe.training.label_smoothing
        if not smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        classes = logits.shape[-1]
        targets = tf.one_hot(labels, classes, 1.0 - smoothing + smoothing / classes, smoothing / classes)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _sum_over_replicas(self, tensors: list[Any]) -> list[Any]:
        """Sum over all replicas in one packed all-reduce: one by one they would cost a round trip each."""
        if self.replicas == 1:
            return tensors
        parts = [tf.reshape(each, [-1]) for each in tensors]
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(parts, axis=0))
        sums = tf.split(total, [part.shape[0] for part in parts])
        return [tf.reshape(each, tensor.shape) for each, tensor in zip(sums, tensors, strict=True)]

    def _average(self, iteration: Any) -> None:
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
