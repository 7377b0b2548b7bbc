"""The learning rate range test."""

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.training import learning_rate
from cnnmnist.training.learning_rate import find_learning_rate
from cnnmnist.training.step import Trainer

DIGITS = load_dataset("mnist5k")
SMALL = {"model.convolutions": [{"filters": 4}], "model.dense": [16], "training.batch_size": 16}


def test_rates_rise_geometrically_and_the_marks_are_where_the_losses_say() -> None:
    """Whatever the recipe says of its rate."""
    cycle = {"training.schedule": "one-cycle", "training.iterations": 3, "training.learning_rate": 1.0}
    test = find_learning_rate(load_recipe(overrides=SMALL | cycle), DIGITS)
    assert test.rates[0] == pytest.approx(1e-6)
    assert np.diff(np.log(test.rates)) == pytest.approx(np.log(1e6) / 299)
    average, smoothed = 0.0, []
    for number, loss in enumerate(test.losses, 1):
        average = 0.9 * average + 0.1 * loss
        smoothed.append(average / (1 - 0.9**number))
    assert test.smoothed == pytest.approx(smoothed)
    least = int(np.argmin(smoothed))
    assert test.marks["least"] == test.rates[least]
    assert test.marks["try"] == pytest.approx(test.rates[least] / 10)
    assert 1e-4 < test.marks["try"] < 0.1
    steepest = list(test.rates).index(test.marks["steepest"])
    assert smoothed[steepest + 1] - smoothed[steepest] == min(np.diff(smoothed[: least + 1]))
    passed = [value > 4 * min(smoothed[: number + 1]) for number, value in enumerate(smoothed)]
    assert passed.index(True) == len(passed) - 1 if "diverged" in test.marks else not any(passed)

    tiny = load_recipe(overrides=SMALL | {"training.learning_rate": 1e-6, "training.iterations": 3})
    losses = np.concatenate([progress.losses for progress in Trainer(tiny, DIGITS).iterate()])
    assert test.losses[:3] == pytest.approx(losses, abs=1e-4), "it is the usual training step"


def test_a_loss_that_is_not_finite_is_where_it_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_rate, "HIGHEST", 1e38)
    monkeypatch.setattr(learning_rate, "DIVERGED", 1e300)
    linear = {"model.convolutions": [], "model.dense": [], "training.batch_size": 16}
    test = find_learning_rate(load_recipe(overrides=linear), DIGITS)
    assert len(test.rates) < 300
    assert np.isfinite(test.losses[:-1]).all()
    assert np.isnan(test.losses[-1])
    assert test.marks["diverged"] == test.rates[-1]


def test_a_network_that_cannot_learn_gets_no_advice() -> None:
    fields = {"model.convolutions": [], "model.dense": [8], "model.bias": -10.0, "training.batch_size": 4}
    assert "try" not in find_learning_rate(load_recipe(overrides=fields), DIGITS).marks
