"""Evaluation: what a network gets right and wrong on a split."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnmnist.data.loading import Split
from cnnmnist.prediction import predict_logits

if TYPE_CHECKING:
    from cnnmnist.runtime import keras


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
    """The predictions of a network for a split, and how often they are right."""

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


def evaluate(model: "keras.Model", split: Split) -> Report:
    """Classify every image of a split.

    Args:
        model: from images to logits, one for each class, as :func:`cnnmnist.model.build_model` returns it.
        split: images, uint8 (n, height, width), and labels, uint8 (n,).
    """
    # scikit-learn takes a second to import, which a training need not wait for.
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


def accuracy(model: "keras.Model", split: Split) -> float:
    """Fraction of a split's images that the network classifies correctly."""
    return float((predict_logits(model, split.images).argmax(axis=1) == split.labels).mean())
