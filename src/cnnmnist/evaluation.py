"""Evaluation: the predictions of a network for a split, and its scores."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnmnist.data.loading import Split
from cnnmnist.files import write_csv
from cnnmnist.network import Network
from cnnmnist.prediction import cross_entropies, predict_logits, probabilities
from cnnmnist.statistics import wilson_interval


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class: fractions of 1, and 0 where a fraction would be 0/0."""

    precision: float
    """Fraction of the images predicted as this class that belong to it."""
    recall: float
    """Fraction of the images of this class that are predicted as it."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of images of this class."""


@dataclass(frozen=True)
class Report:
    """The predictions of a network for a split, and its scores."""

    labels: np.ndarray
    """True classes, uint8 (n,)."""
    predicted: np.ndarray
    """Classes with the largest logit, int64 (n,)."""
    confusion_matrix: np.ndarray
    """Number of images by true class (rows) and predicted class (columns), int64 (classes, classes)."""
    class_scores: list[ClassScore]
    """One for each class."""
    logits: np.ndarray
    """Logits of the images, float32 (n, classes)."""
    temperature: float
    """What the logits are divided by before the softmax."""

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities of the classes, float32 (n, classes)."""
        return probabilities(self.logits, self.temperature)

    @functools.cached_property
    def losses(self) -> np.ndarray:
        """Cross-entropy of each image, float64 (n,)."""
        return cross_entropies(self.logits, self.labels, self.temperature)

    @property
    def correct(self) -> int:
        """Number of images whose predicted class is the true one."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Fraction of the images whose predicted class is the true one."""
        return self.correct / len(self.labels)

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the accuracy's interval: :func:`cnnmnist.statistics.wilson_interval`."""
        return wilson_interval(self.correct, len(self.labels))

    @property
    def errors(self) -> np.ndarray:
        """Indices of the misclassified images in the split, increasing, int64 (n,)."""
        return np.flatnonzero(self.predicted != self.labels)


def evaluate(network: Network, split: Split) -> Report:
    """Classify every image of a split.

    Args:
        network: as :meth:`cnnmnist.runs.run.Run.load_network` returns it.
        split: images, uint8 (n, height, width), and labels, uint8 (n,), n at least 1.
    """
    logits = predict_logits(network, split.images)
    predicted = logits.argmax(axis=1)
    matrix = np.zeros(network.layers[-1].output_shape * 2, np.int64)
    np.add.at(matrix, (split.labels, predicted), 1)
    correct, support, predictions = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision = correct / np.maximum(predictions, 1)
    recall = correct / np.maximum(support, 1)
    f1 = 2 * correct / np.maximum(support + predictions, 1)
    scores = map(ClassScore, precision.tolist(), recall.tolist(), f1.tolist(), support.tolist())
    return Report(split.labels, predicted, matrix, list(scores), logits, network.temperature)


def write_predictions(report: Report, class_names: Sequence[str], path: Path) -> None:
    """Write a CSV file with a row for each image of a split, in their order.

    The columns are image, label, predicted, correct (True or False), loss, and the probability of each class with
    its name; label and predicted are numbers of classes.

    Raises:
        WriteError: the file cannot be written.
    """
    columns = ["image", "label", "predicted", "correct", "loss", *(f"probability_{name}" for name in class_names)]
    facts = (report.labels, report.predicted, report.labels == report.predicted, report.losses)
    images = range(len(report.labels))
    rows = zip(images, *facts, report.probabilities, strict=True)
    write_csv(path, columns, ((*values, *row) for *values, row in rows))
