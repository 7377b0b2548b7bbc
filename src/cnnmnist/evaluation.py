"""A network and a split -> a Report."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnmnist.data.loading import Split
from cnnmnist.data.pipeline import scale
from cnnmnist.runtime import CORES, tf

BATCH_SIZE = 256


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised; every score is a fraction of 1."""

    precision: float
    recall: float
    f1: float
    support: int
    """Images of the class."""


@dataclass(frozen=True)
class Report:
    """What a network made of a split."""

    labels: np.ndarray
    """True classes, uint8 (n,)."""
    predicted: np.ndarray
    """Classes with the largest logit, int64 (n,)."""
    confusion_matrix: np.ndarray
    """Images by true class (rows) and predicted class (columns), int64 (classes, classes)."""
    class_scores: list[ClassScore]
    """One for each class."""

    @property
    def correct(self) -> int:
        """Images whose predicted class is the true one."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Fraction of the images that are correct."""
        return self.correct / len(self.labels)

    @property
    def errors(self) -> np.ndarray:
        """Indices of the misclassified images in the split, increasing, int64 (n,)."""
        return np.flatnonzero(self.predicted != self.labels)


def evaluate(model: Any, split: Split) -> Report:
    """Classify every image of a split.

    Args:
        model: from images to logits, as :func:`cnnmnist.model.build_model` makes it; its logits are the classes.
        split: images, uint8 (n, height, width), and labels, uint8 (n,).
    """
    # It takes a second to import, which training alone need not wait for.
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    predicted = predict_logits(model, split.images).argmax(axis=1)
    numbers = np.arange(model.output_shape[-1])
    scores = precision_recall_fscore_support(split.labels, predicted, labels=numbers, zero_division=0.0)
    return Report(
        labels=split.labels,
        predicted=predicted,
        confusion_matrix=confusion_matrix(split.labels, predicted, labels=numbers),
        class_scores=[
            ClassScore(float(precision), float(recall), float(f1), int(support))
            for precision, recall, f1, support in zip(*scores, strict=True)
        ],
    )


def accuracy(model: Any, split: Split) -> float:
    """Fraction of a split's images that the network classifies correctly."""
    return float((predict_logits(model, split.images).argmax(axis=1) == split.labels).mean())


def predict_logits(model: Any, images: Any, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Logits, float32 (n, classes), of images, uint8 (n, height, width) or float32 (n, height, width, 1)."""
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
def _inference(model: Any) -> Any:
    signature = tf.TensorSpec(model.input_shape, tf.float32)
    return tf.function(lambda images: model(images, training=False), input_signature=[signature])
