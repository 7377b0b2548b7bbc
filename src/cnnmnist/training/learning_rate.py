"""Learning rate range test: a short training whose learning rate rises until the loss diverges."""

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
    """The result of a learning rate range test."""

    rates: np.ndarray
    """Learning rate of each iteration, float64 (n,)."""
    losses: np.ndarray
    """Loss of each iteration before its step, float64 (n,)."""
    smoothed: np.ndarray
    """Exponential moving averages of the losses, as Adam corrects its own for their start, float64 (n,)."""
    marks: dict[str, float]
    """Rates: ``steepest``, where the loss falls fastest over the logarithm of the rate; ``least``, where it is
    least; ``try``, a tenth of that, if the loss fell by a tenth; ``diverged``, if it did."""


def find_learning_rate(recipe: Recipe, dataset: Dataset) -> RateTest:
    """Train 300 iterations while the learning rate rises from 1e-6 to 1, and stop when the loss diverges.

    L. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, https://arxiv.org/abs/1506.01186,
    section 3.3; with geometric steps, as rates differ in orders of magnitude. The recipe's own rate, schedule and
    number of iterations do not matter. It has diverged when the smoothed loss is four times its least, or the loss
    is not finite.

    Raises:
        RecipeError: a step takes more memory than there is.
    """
    training = recipe.training.model_copy(update={"iterations": ITERATIONS})
    augmentation = recipe.augmentation.model_copy(update={"fade": 0.0})
    trainer = Trainer(recipe.model_copy(update={"training": training, "augmentation": augmentation}), dataset)
    rates = np.geomspace(LOWEST, HIGHEST, ITERATIONS)
    table = tf.constant(rates, tf.float32)
    trainer.optimizer.rate = lambda iteration: table[iteration]
    losses, smoothed, average = [], [], 0.0
    try:
        for progress in trainer.iterate(stops=range(ITERATIONS)):
            losses.append(float(progress.losses[0]))
            average = SMOOTHING * average + (1.0 - SMOOTHING) * losses[-1]
            smoothed.append(average / (1.0 - SMOOTHING ** len(losses)))
            if smoothed[-1] > DIVERGED * min(smoothed):
                break
    except TrainingError:  # the loss is not finite
        losses.append(np.nan)
        smoothed.append(np.inf)
    least = int(np.argmin(smoothed))
    slopes = np.diff(smoothed[: least + 1], append=smoothed[least])
    marks = {"steepest": float(rates[slopes.argmin()]), "least": float(rates[least])}
    marks |= {"try": marks["least"] / 10} if smoothed[least] < FALLEN * smoothed[0] else {}
    marks |= {"diverged": float(rates[len(losses) - 1])} if smoothed[-1] > DIVERGED * smoothed[least] else {}
    return RateTest(rates[: len(losses)], np.array(losses), np.array(smoothed), marks)
