"""Prediction: images to logits, to probabilities, and to answers."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.pipeline import scale
from cnnmnist.runtime import CORES, keras, tf

BATCH_SIZE = 256


def predict_logits(model: keras.Model, images: np.ndarray | tf.Tensor, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """The logits of images.

    Args:
        model: from images to logits.
        images: uint8 (n, height, width), or float32 (n, height, width, 1) in [0, 1].
        batch_size: images at once, on each thread.

    Returns:
        float32 (n, classes).
    """
    infer = _inference(model)

    def logits(first: int) -> np.ndarray:
        part = images[first : first + batch_size]
        return np.asarray(infer(scale(part) if part.dtype == np.uint8 else part))

    with ThreadPoolExecutor(CORES) as threads:
        return np.concatenate(list(threads.map(logits, range(0, len(images), batch_size))))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the classes, float32 (n, classes)."""
    return np.asarray(tf.nn.softmax(logits))


@functools.lru_cache(maxsize=4)
def _inference(model: keras.Model) -> Any:
    signature = tf.TensorSpec(model.input_shape, tf.float32)
    return tf.function(lambda images: model(images, training=False), input_signature=[signature])


def answers(rows: NDArray[np.float32], names: list[str]) -> list[dict[str, Any]]:
    """The answer for each image, as JSON documents hold it.

    Args:
        rows: probabilities, float32 (n, classes).
        names: of the classes.
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
    """All answers as one text: names of one character form a number, longer names are separated by spaces.

    Args:
        rows: probabilities, float32 (n, classes).
        names: of the classes.
    """
    separator = "" if all(len(name) == 1 for name in names) else " "
    return separator.join(names[row.argmax()] for row in rows)
