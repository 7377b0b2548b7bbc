"""Input pipeline: each batch is a function of the seed and the iteration, and needs no batch before it."""

import numpy as np

from cnnmnist.config import AugmentationConfig, Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.runtime import tf

ROUNDS = 8  # of RandomIndexShuffle; with its default of 4, the orders of two epochs correlate measurably
SHUFFLE_STREAM, AUGMENTATION_STREAM = 1, 2  # they distinguish the random numbers of one seed


def batch_indices(seed: int, iteration: tf.Tensor | int, batch_size: int, size: int) -> tf.Tensor:
    """Compute the indices of the images in the batch of an iteration, int64 (batch_size,), all below ``size``.

    Each epoch is a permutation of the images that depends on the seed and the number of the epoch alone. A batch
    may cross from one epoch to the next, so that each epoch has each image once.

    Args:
        seed: seed of the order.
        iteration: number of iterations before this one, integer scalar.
        batch_size: images per batch.
        size: number of images.
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


class Batches:
    """The batches of a training; the images stay in memory.

    Args:
        dataset: the data set.
        recipe: seed, batch size and augmentation, and whether to train on the validation split, too.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self.recipe = recipe
        splits = [dataset.validation, dataset.train] if recipe.training.include_validation else [dataset.train]
        self.size = sum(map(len, splits))
        self._images = tf.constant(np.concatenate([split.images for split in splits]))
        self._labels = tf.constant(np.concatenate([split.labels for split in splits]))

    def batch(
        self, iteration: tf.Tensor | int, shard: tf.Tensor | int = 0, shards: int = 1
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute a slice of the batch after ``iteration`` iterations.

        Args:
            iteration: number of iterations before this one, integer scalar.
            shard: number of the slice, integer scalar.
            shards: number of equal slices of a batch.

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
        """Return the batches from iteration ``start`` on as an endless ``tf.data.Dataset``.

        Args:
            start: number of iterations already done.
            shards: number of equal slices of a batch, one for each replica.
            first_shard: first slice of this process.
            local_shards: number of slices of this process; each is an element of the data set.
        """

        def element(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return self.batch(number // local_shards, first_shard + number % local_shards, shards)

        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        numbers = tf.data.Dataset.range(start * local_shards, np.iinfo(np.int64).max)
        return numbers.map(element).prefetch(4 * local_shards).with_options(options)


def augment(
    images: tf.Tensor,
    config: AugmentationConfig,
    seed: tf.Tensor,
    batch_size: int,
    rows: slice,
    strength: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """Distort images: rotation, zoom, shear and shift in one bilinear sampling, then elastic distortion.

    Elastic distortion: Simard, Steinkraus and Platt, 2003, Best Practices for Convolutional Neural Networks
    Applied to Visual Document Analysis.

    Args:
        images: float32 (n, height, width, 1), some rows of a batch.
        config: bounds of the distortion.
        seed: int64 (2,); the distortion of a row depends on the seed and its place in the batch alone.
        batch_size: number of rows of the whole batch.
        rows: the rows that ``images`` holds.
        strength: factor of all bounds, float32 scalar.

    Returns:
        float32 of the same shape. Pixels from beyond the edge are background, 0.
    """
    seeds = tf.random.split(seed, 2)
    height, width = images.shape[1], images.shape[2]
    uniform = tf.random.stateless_uniform([batch_size, 6], seeds[0], -1.0, 1.0)[rows] * strength
    angle = uniform[:, 0] * np.deg2rad(config.rotation)
    zoom_x, zoom_y = 1.0 + uniform[:, 1] * config.zoom, 1.0 + uniform[:, 2] * config.zoom
    shear, shift = uniform[:, 3] * config.shear, uniform[:, 4:] * config.shift
    cos, sin = tf.cos(angle), tf.sin(angle)
    # From output to input pixels, around the centre: rotation, then shear, then zoom.
    a, b = zoom_x * cos, zoom_x * (shear * cos - sin)
    c, d = zoom_y * sin, zoom_y * (shear * sin + cos)
    x, y = (width - 1) / 2, (height - 1) / 2
    zeros = tf.zeros_like(angle)
    transforms = tf.stack(
        [a, b, x - a * x - b * y + shift[:, 0], c, d, y - c * x - d * y + shift[:, 1], zeros, zeros], axis=1
    )
    distorted = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    if not config.elastic:
        return distorted
    grid = config.elastic_grid
    coarse = tf.random.stateless_normal([batch_size, grid, grid, 2], seeds[1])[rows] * (config.elastic * strength)
    return _displace(distorted, tf.image.resize(coarse, [height, width], "bicubic"))


def _displace(images: tf.Tensor, field: tf.Tensor) -> tf.Tensor:
    """Sample each image bilinearly at every pixel plus its displacement, float32 (n, height, width, 2)."""
    height, width = images.shape[1], images.shape[2]
    # Positions beyond the image are read from a border of background.
    flat = tf.reshape(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), [-1])
    rows = tf.clip_by_value(field[..., 0] + tf.range(1.0, height + 1)[:, tf.newaxis], 0.0, height + 0.999)
    columns = tf.clip_by_value(field[..., 1] + tf.range(1.0, width + 1), 0.0, width + 0.999)
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = rows - top, columns - left
    first = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis] * ((height + 2) * (width + 2))
    corner = first + tf.cast(top, tf.int32) * (width + 2) + tf.cast(left, tf.int32)
    above = tf.gather(flat, corner) * (1 - right) + tf.gather(flat, corner + 1) * right
    below = tf.gather(flat, corner + width + 2) * (1 - right) + tf.gather(flat, corner + width + 3) * right
    return (above * (1 - down) + below * down)[..., tf.newaxis]
