"""Input pipeline: each batch is a function of the seed and the iteration, and needs no batch before it."""

import numpy as np

from cnnmnist.config import Recipe
from cnnmnist.data.augmentation import augment
from cnnmnist.data.loading import Dataset, Split
from cnnmnist.data.registry import DIGITS
from cnnmnist.errors import RecipeError
from cnnmnist.runtime import tf

ROUNDS = 8  # of RandomIndexShuffle; with its default of 4, the orders of two epochs correlate measurably
SHUFFLE_STREAM, AUGMENTATION_STREAM, DRAWN_STREAM = 1, 2, 4  # they distinguish the random numbers of one seed


def batch_indices(seed: int, iteration: tf.Tensor | int, batch_size: int, size: int) -> tf.Tensor:
    """Compute the indices of the images in the batch after an iteration, int64 (batch_size,), all below ``size``.

    Each epoch is a permutation of the images that depends on the seed and the number of the epoch alone. A batch
    may cross from one epoch to the next, so that each epoch has each image once.
    """
    positions = tf.cast(iteration, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
    parts = (tf.cast(each, tf.int64) for each in (seed, positions // size, SHUFFLE_STREAM))
    seeds = tf.stack([tf.broadcast_to(part, [batch_size]) for part in parts], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % size, seed=seeds, max_index=tf.constant(size - 1, tf.int64), rounds=ROUNDS
    )


def scale(images: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Scale images, uint8 (n, height, width), to the network's input, float32 (n, height, width, 1) in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0


def _drawn(dataset: Dataset, recipe: Recipe) -> list[Split]:
    """Draw the images that the recipe asks for; what is no digit has a label above all classes."""
    drawn = recipe.drawn
    if not (drawn.digits or drawn.others):
        return []

    from cnnmnist.data import strokes  # SciPy takes a third of a second to import

    if dataset.class_names != DIGITS or dataset.image_shape != (strokes.SIDE, strokes.SIDE):
        raise RecipeError(
            f"The recipe {recipe.name} draws digits of 28x28 pixels, but {dataset.name} has other classes or "
            "another size: set drawn.digits and drawn.others to 0."
        )
    rng = np.random.default_rng([recipe.training.seed, DRAWN_STREAM])
    digits = Split(*strokes.draw_digits(drawn.digits, rng))
    others = strokes.draw_others(drawn.others, rng)
    return [digits, Split(others, np.full(len(others), len(dataset.class_names), np.uint8))]


class Batches:
    """The batches of a training on a data set, and on what its recipe draws; the images stay in memory."""

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self.recipe = recipe
        splits = [dataset.validation, dataset.train] if recipe.training.include_validation else [dataset.train]
        splits += _drawn(dataset, recipe)
        self.size = sum(map(len, splits))
        self._images = tf.constant(np.concatenate([split.images for split in splits]))
        self._labels = tf.constant(np.concatenate([split.labels for split in splits]))

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
        indices = batch_indices(training.seed, iteration, training.batch_size, self.size)[rows]
        images = scale(tf.gather(self._images, indices))
        if augmentation.enabled:
            seed = tf.stack([training.seed + AUGMENTATION_STREAM * 2**32, tf.cast(iteration, tf.int64)])
            strength = 1.0
            if augmentation.fade:
                left = 1.0 - tf.cast(iteration, tf.float32) / training.iterations
                faded = tf.minimum(1.0, left / augmentation.fade)
                strength = augmentation.fade_to + (1.0 - augmentation.fade_to) * faded
            images = augment(images, augmentation, seed, training.batch_size, rows, strength)
        return images, tf.cast(tf.gather(self._labels, indices), tf.int32)

    def stream(
        self, start: int = 0, *, shards: int = 1, first_shard: int = 0, local_shards: int = 1
    ) -> tf.data.Dataset:
        """Return the batches after ``start`` iterations as an endless ``tf.data.Dataset``.

        A batch has ``shards`` equal slices, one for each replica. Each of the ``local_shards`` slices of this
        process, from ``first_shard`` on, is an element of the data set.
        """

        def element(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return self.batch(number // local_shards, first_shard + number % local_shards, shards)

        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        numbers = tf.data.Dataset.range(start * local_shards, np.iinfo(np.int64).max)
        elements = numbers.map(tf.autograph.experimental.do_not_convert(element))
        return elements.prefetch(4 * local_shards).with_options(options)
