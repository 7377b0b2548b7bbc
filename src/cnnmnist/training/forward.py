"""The forward pass of a training: Keras' layers, but dropout by the iteration, and ReLU where it costs nothing."""

import itertools
from collections.abc import Callable

from cnnmnist.config import TrainingConfig
from cnnmnist.runtime import keras, tf

DROPOUT_STREAM = 3


def forward(
    model: keras.Model, training: TrainingConfig, images: tf.Tensor, iteration: tf.Tensor, first_row: tf.Tensor
) -> tf.Tensor:
    """Compute the logits of some rows of a batch in training.

    Dropout of a row depends on the seed, the iteration and the row alone, not on how the batch is divided.

    Args:
        model: a network of :func:`cnnmnist.model.build_model`.
        training: its seed and the size of the whole batch.
        images: float32 (n, height, width, 1).
        iteration: int64 scalar.
        first_row: int32 scalar: the place of the first image in the batch.

    Returns:
        float32 (n, classes).
    """
    pairs = enumerate(itertools.pairwise(model.layers), 1)
    relus = {number for number, pair in pairs if _is_relu_of_maxima(*pair)}
    outputs = images
    for number, layer in enumerate(model.layers):
        if number + 1 in relus:
            outputs = maxima_of_relu(outputs)
        elif isinstance(layer, keras.layers.Dropout):
            seed = tf.stack([training.seed + (DROPOUT_STREAM + number) * 2**32, iteration])
            uniform = tf.random.stateless_uniform([training.batch_size, outputs.shape[1]], seed)
            kept = uniform[first_row : first_row + tf.shape(images)[0]] >= layer.rate
            outputs = tf.where(kept, outputs / (1.0 - layer.rate), 0.0)
        elif number not in relus:
            outputs = layer(outputs, training=True)
    return outputs


def _is_relu_of_maxima(pooling: keras.Layer, activation: keras.Layer) -> bool:
    if not (isinstance(pooling, keras.layers.MaxPooling2D) and isinstance(activation, keras.layers.Activation)):
        return False
    return activation.activation is keras.activations.relu


@tf.custom_gradient  # type: ignore[untyped-decorator]
def maxima_of_relu(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Compute the ReLU of 2x2 max-pooling as the max-pooling of the ReLU, which has the same values.

    TensorFlow computes this ReLU within the convolution before it. The gradient is that of the usual order, bit
    for bit: it passes no maximum that is not positive.

    Args:
        values: float32 or bfloat16 (n, height, width, channels).

    Returns:
        The same dtype (n, ceil(height / 2), ceil(width / 2), channels), and the gradient as a function.
    """
    window = {"ksize": (1, 2, 2, 1), "strides": (1, 2, 2, 1), "padding": "SAME"}
    positive = tf.nn.relu(values)
    maxima = tf.raw_ops.MaxPool(input=positive, **window)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        passed = tf.raw_ops.ReluGrad(gradients=upstream, features=maxima)
        return tf.raw_ops.MaxPoolGrad(orig_input=positive, orig_output=maxima, grad=passed, **window)

    return maxima, gradient
