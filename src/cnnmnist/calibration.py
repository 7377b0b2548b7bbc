"""Calibration: whether a network is as sure as it says, and the temperature that makes it so.

The formulas are those of C. Guo et al., "On Calibration of Modern Neural Networks", 2017,
https://arxiv.org/abs/1706.04599.
"""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from cnnmnist.config import LEAST_TEMPERATURE, MOST_TEMPERATURE
from cnnmnist.evaluation import Report
from cnnmnist.prediction import cross_entropies

DIGITS = 4  # of a temperature after the point
BINS = 10


class Calibration:
    """How sure a network is of the answers in a report, and how often they are right."""

    def __init__(self, report: Report) -> None:
        rows = report.probabilities
        truth = np.eye(rows.shape[1], dtype=np.float32)[report.labels]
        self.probabilities: NDArray[np.float32] = rows.max(axis=1)
        """Probability of the answer to each image, float32 (n,)."""
        self.right: NDArray[np.bool_] = report.predicted == report.labels
        """Whether the answer is right, bool (n,)."""
        self.cross_entropy = float(report.losses.mean())
        """Mean negative logarithm of the probability of the true class, in nats."""
        self.brier_score = float(((rows - truth) ** 2).sum(axis=1, dtype=np.float64).mean())
        """Mean squared difference between the probabilities and 1 for the true class, 0 for the others, summed
        over the classes, from 0 to 2: G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability",
        1950."""

    @functools.cached_property
    def bins(self) -> list[tuple[int, float, float]]:
        """Number of answers, their mean probability and the fraction that is right, in ten bins of equal width."""
        numbers = np.minimum((self.probabilities * BINS).astype(int), BINS - 1)
        counts, *sums = (np.bincount(numbers, each, BINS) for each in (None, self.probabilities, self.right))
        sure, right = (each / np.maximum(counts, 1) for each in sums)
        return list(zip(counts.tolist(), sure.tolist(), right.tolist(), strict=True))

    @property
    def error(self) -> float:
        """Expected calibration error: mean difference of the two means of a bin, weighted by its answers."""
        return sum(count * abs(sure - right) for count, sure, right in self.bins) / len(self.right)

    @property
    def coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fractions of the images that are answered, the surest first, and the accuracy on them, float64 (n,)."""
        counts = np.arange(1, len(self.right) + 1)
        order = np.argsort(-self.probabilities, kind="stable")
        return counts / len(counts), np.cumsum(self.right[order]) / counts


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature of the least cross-entropy, from 0.05 to 20, to four digits after the point.

    Args:
        logits: float32 (n, classes), of images that the network was not trained on.
        labels: true classes, integers (n,).

    Returns:
        The temperature; 1 where no answer is wrong, because the least of all temperatures would be the best then,
        and where a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    if not np.isfinite(logits).all() or (logits.argmax(axis=1) == labels).all():
        return 1.0
    found = minimize_scalar(
        lambda exponent: cross_entropies(logits, labels, math.exp(exponent)).mean(),
        bounds=(math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return round(math.exp(found.x), DIGITS)
