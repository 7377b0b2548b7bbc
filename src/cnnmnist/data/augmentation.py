"""Augmentation: random distortions of the training images, computed in the graph of the training step."""

import numpy as np

from cnnmnist.config import AugmentationConfig
from cnnmnist.runtime import tf


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
