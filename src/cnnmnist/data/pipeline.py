"""Input pipeline: each batch is a function of the seed and the iteration, and needs no batch before it."""

import numpy as np
from numpy.typing import NDArray

from cnnmnist.config import Recipe
from cnnmnist.data.augmentation import augment
from cnnmnist.data.loading import Dataset, Split
from cnnmnist.data.registry import DIGITS
from cnnmnist.errors import RecipeError
from cnnmnist.runtime import tf

ROUNDS = 8  # of RandomIndexShuffle; with its default of 4, the orders of two epochs correlate measurably
ITERATIONS_AT_ONCE = 100  # whose indices are computed together, which costs hardly more than those of one
SHUFFLE_STREAM, AUGMENTATION_STREAM, DRAWN_STREAM = 1, 2, 4  # they distinguish the random numbers of one seed


def batch_indices(
    seed: int, iteration: tf.Tensor | int, batch_size: int, size: int, batches: int = 1
) -> tf.Tensor:
    """Compute the indices, all below ``size``, of the images in the batches after ``iteration`` iterations.

    Each epoch is a permutation of the images that depends on the seed and the number of the epoch alone. A batch
    may cross from one epoch to the next, so that each epoch has each image once.

    Returns:
        int64 (batches * batch_size,).
    """
    count = batches * batch_size
    positions = tf.cast(iteration, tf.int64) * batch_size + tf.range(count, dtype=tf.int64)
    parts = (tf.cast(each, tf.int64) for each in (seed, positions // size, SHUFFLE_STREAM))
    seeds = tf.stack([tf.broadcast_to(part, [count]) for part in parts], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % size, seed=seeds, max_index=tf.constant(size - 1, tf.int64), rounds=ROUNDS
    )


def _with_drawn(splits: list[Split], dataset: Dataset, recipe: Recipe) -> list[Split]:
    """Add the images that the recipe asks for; what is no digit has a label above all classes."""
    drawn = recipe.drawn
    if not any(dict(drawn).values()):
        return splits

    from cnnmnist.data import strokes  # SciPy takes a third of a second to import
    from cnnmnist.data.coarse import draw_coarse
    from cnnmnist.data.letters import draw_letters
    from cnnmnist.data.parts import OTHER, draw_parts

    if dataset.class_names != DIGITS or dataset.image_shape != (strokes.SIDE, strokes.SIDE):
        raise RecipeError(
            f"The recipe {recipe.name} draws digits of 28x28 pixels, but {dataset.name} has other classes or "
            "another size: set drawn.digits, drawn.others, drawn.letters, drawn.parts and drawn.coarse to 0."
        )
    rng = np.random.default_rng([recipe.training.seed, DRAWN_STREAM])
    digits = _joined([*splits, Split(*strokes.draw_digits(drawn.digits, rng))])
    others = np.concatenate([strokes.draw_others(drawn.others, rng), draw_letters(drawn.letters, rng)])
    parts, coarse = draw_parts(*digits, drawn.parts, rng), draw_coarse(*digits, drawn.coarse, rng)
    return [Split(*each) for each in (digits, (others, np.full(len(others), OTHER, np.uint8)), parts, coarse)]


def _joined(splits: list[Split]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return np.concatenate([split.images for split in splits]), np.concatenate([split.labels for split in splits])


class Batches:
    """The batches of a training on a data set, and on what its recipe draws; the images stay in memory."""

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self.recipe = recipe
        splits = [dataset.validation, dataset.train] if recipe.training.include_validation else [dataset.train]
        images, labels = _joined(_with_drawn(splits, dataset, recipe))
        self.size = len(images)
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        # TensorFlow multiplies by the reciprocal of a constant that it sees, which changes the last bit.
        self._white = tf.constant(255.0)

    def load(self, *element: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what an element of :meth:`stream` stands for.

        Returns:
            Images, float32 (n, height, width, 1) in [0, 1], and labels, int32 (n,).
        """
        if len(element) == 2:
            return element
        (indices,) = element
        images = tf.cast(tf.gather(self._images, indices), tf.float32)[..., tf.newaxis] / self._white
        return images, tf.cast(tf.gather(self._labels, indices), tf.int32)

    def batch(
        self, iteration: tf.Tensor | int, shard: tf.Tensor | int = 0, shards: int = 1
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute slice number ``shard`` of the batch after ``iteration`` iterations, both integer scalars.

        Returns:
            Images, float32 (batch_size / shards, height, width, 1) in [0, 1], and labels, int32.
        """
        training, augmentation = self.recipe.training, self.recipe.augmentation
        size = training.batch_size // shards
        rows = slice(shard * size, (shard + 1) * size)
        images, labels = self.load(batch_indices(training.seed, iteration, training.batch_size, self.size)[rows])
        if augmentation.enabled:
            seed = tf.stack([training.seed + AUGMENTATION_STREAM * 2**32, tf.cast(iteration, tf.int64)])
            strength = 1.0
            if augmentation.fade:
                left = 1.0 - tf.cast(iteration, tf.float32) / training.iterations
                faded = tf.minimum(1.0, left / augmentation.fade)
                strength = augmentation.fade_to + (1.0 - augmentation.fade_to) * faded
            images = augment(images, augmentation, seed, training.batch_size, rows, strength)
        return images, labels

    def stream(
        self, start: int = 0, *, shards: int = 1, first_shard: int = 0, local_shards: int = 1
    ) -> tf.data.Dataset:
        """Return the batches after ``start`` iterations as an endless ``tf.data.Dataset``.

        A batch has ``shards`` equal slices, one for each replica. Each of the ``local_shards`` slices of this
        process, from ``first_shard`` on, is an element of the data set, for :meth:`load`: the indices of its
        images, int64; or images and labels, if they are distorted, which takes a while and so is done ahead.
        """
        training, last = self.recipe.training, np.iinfo(np.int64).max

        def distorted(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return self.batch(number // local_shards, first_shard + number % local_shards, shards)

        def indices(iteration: tf.Tensor) -> tuple[tf.Tensor]:
            several = training.seed, iteration, training.batch_size, self.size, ITERATIONS_AT_ONCE
            slices = tf.reshape(batch_indices(*several), [ITERATIONS_AT_ONCE, shards, -1])
            own = slices[:, first_shard : first_shard + local_shards]
            return (tf.reshape(own, [ITERATIONS_AT_ONCE * local_shards, training.batch_size // shards]),)

        if self.recipe.augmentation.enabled:
            numbers = tf.data.Dataset.range(start * local_shards, last)
            elements = numbers.map(tf.autograph.experimental.do_not_convert(distorted)).prefetch(4 * local_shards)
        else:
            iterations = tf.data.Dataset.range(start, last, ITERATIONS_AT_ONCE)
            elements = iterations.map(tf.autograph.experimental.do_not_convert(indices)).prefetch(1).unbatch()
        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        options.threading.private_threadpool_size = 1  # the cores have enough to do
        return elements.with_options(options)
