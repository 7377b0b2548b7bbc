"""Calibration: whether a network is as sure as it says, and the temperature that makes it so.

The formulas are those of C. Guo et al., "On Calibration of Modern Neural Networks", 2017,
https://arxiv.org/abs/1706.04599.
"""

import math

import numpy as np

from cnnmnist.config import LEAST_TEMPERATURE, MOST_TEMPERATURE
from cnnmnist.prediction import cross_entropies

DIGITS = 4  # of a temperature after the point


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

    def cross_entropy(exponent: float) -> float:
        return float(cross_entropies(logits, labels, math.exp(exponent)).mean())

    found = minimize_scalar(
        cross_entropy,
        bounds=(math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return round(math.exp(found.x), DIGITS)
