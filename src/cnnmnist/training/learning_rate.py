"""Learning rate range test: a short training whose learning rate rises until the loss diverges."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnnmnist.config import Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.errors import TrainingError
from cnnmnist.runtime import tf
from cnnmnist.training.step import Trainer

ITERATIONS = 300
LOWEST, HIGHEST = 1e-6, 1.0
DIVERGED = 4.0  # times the least smoothed loss
SMOOTHING = 0.9  # share of the former losses in a smoothed one
FALLEN = 0.9  # a loss that stays above this share of its start has not fallen


@dataclass(frozen=True, eq=False)
class RateTest:
    """The losses of a learning rate range test."""

    rates: np.ndarray
    """Learning rate of each iteration, float64 (n,)."""
    losses: np.ndarray
    """Loss of each iteration before its step, float64 (n,)."""
    diverged: float | None
    """The rate at which the loss became four times its least, or no longer finite; None where it did not."""

    @property
    def smoothed(self) -> np.ndarray:
        """Exponential moving averages of the losses, as Adam corrects its own for their start, float64 (n,)."""
        return np.array([*_smoothed(self.losses)])

    @property
    def least(self) -> float:
        """The rate of the least smoothed loss."""
        return float(self.rates[self.smoothed.argmin()])

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest over the logarithm of the rate, before its least."""
        smoothed = self.smoothed
        slopes = np.gradient(smoothed)[: smoothed.argmin() + 1] if len(smoothed) > 1 else smoothed
        return float(self.rates[slopes.argmin()])

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate of the least loss; None where the loss never fell by a tenth."""
        smoothed = self.smoothed
        return self.least / 10 if smoothed.min() < FALLEN * smoothed[0] else None


def find_learning_rate(recipe: Recipe, dataset: Dataset) -> RateTest:
    """Train 300 iterations while the learning rate rises from 1e-6 to 1, and stop when the loss diverges.

    L. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, https://arxiv.org/abs/1506.01186,
    section 3.3; with geometric steps, as rates differ in orders of magnitude. The recipe's own rate, schedule and
    number of iterations do not matter.

    Raises:
        RecipeError: a step takes more memory than there is.
        TrainingError: the loss is not finite from the start.
    """
    training = recipe.training.model_copy(update={"iterations": ITERATIONS})
    steady = recipe.augmentation.model_copy(update={"fade": 0.0})
    trainer = Trainer(recipe.model_copy(update={"training": training, "augmentation": steady}), dataset)
    rates = np.geomspace(LOWEST, HIGHEST, ITERATIONS)
    table = tf.constant(rates, tf.float32)
    trainer.optimizer.rate = lambda iteration: table[iteration]
    losses: list[float] = []
    diverged = None
    try:
        for progress in trainer.iterate(stops=range(ITERATIONS)):
            losses += progress.losses.tolist()
            *_, last = smoothed = [*_smoothed(losses)]
            if last > DIVERGED * min(smoothed):
                diverged = float(rates[len(losses) - 1])
                break
    except TrainingError:
        if not losses:
            raise
        diverged = float(rates[len(losses)])
    return RateTest(rates[: len(losses)], np.array(losses), diverged)


def _smoothed(losses: "np.ndarray | list[float]") -> Iterator[float]:
    average = 0.0
    for number, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1.0 - SMOOTHING) * float(loss)
        yield average / (1.0 - SMOOTHING**number)
