"""Prediction: from images to logits, to probabilities, and to answers."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.pipeline import scale
from cnnmnist.runtime import CORES, keras, tf

BATCH_SIZE = 256  # images that one thread computes at once


def predict_logits(model: keras.Model, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Compute the logits of images, on all cores.

    Args:
        model: from images to logits, as :func:`cnnmnist.model.build_model` returns it.
        images: uint8 (n, height, width), or float32 (n, height, width, 1) in [0, 1]; n at least 1.

    Returns:
        float32 (n, classes).
    """
    infer = _inference(model)

    def logits(first: int) -> np.ndarray:
        part = images[first : first + BATCH_SIZE]
        return np.asarray(infer(scale(part) if part.dtype == np.uint8 else part))

    with ThreadPoolExecutor(CORES) as threads:
        return np.concatenate(list(threads.map(logits, range(0, len(images), BATCH_SIZE))))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Compute the softmax of logits, float32 (n, classes), over the classes, float32 (n, classes)."""
    return np.asarray(tf.nn.softmax(logits))


@functools.lru_cache(maxsize=4)
def _inference(model: keras.Model) -> Any:
    signature = tf.TensorSpec(model.input_shape, tf.float32)
    return tf.function(lambda images: model(images, training=False), input_signature=[signature])


def answers(rows: NDArray[np.float32], names: list[str]) -> list[dict[str, Any]]:
    """Answers of a network as parts of a JSON document, one for each image.

    Args:
        rows: probabilities, float32 (n, classes).
        names: names of the classes.
    """
    return [
        {
            "digit": int(row.argmax()),
            "name": names[row.argmax()],
            "probability": float(row.max()),
            "probabilities": row.tolist(),
        }
        for row in rows
    ]


def answer_text(rows: NDArray[np.float32], names: list[str]) -> str:
    """Answers of a network as one text: spaces separate names, unless each has a single character.

    Args:
        rows: probabilities, float32 (n, classes).
        names: names of the classes.
    """
    separator = "" if all(len(name) == 1 for name in names) else " "
    return separator.join(names[row.argmax()] for row in rows)
