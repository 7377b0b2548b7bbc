"""The learning rate range test."""

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.training.learning_rate import find_learning_rate
from cnnmnist.training.step import Trainer

SMALL = {"model.convolutions": [{"filters": 4}], "model.dense": [16], "training.batch_size": 16}


@pytest.fixture(scope="module")
def digits() -> object:
    return load_dataset("mnist5k")


@pytest.mark.parametrize("fields", [{}, {"training.schedule": "one-cycle", "training.iterations": 3}])
def test_rates_rise_geometrically_and_the_marks_are_where_the_losses_say(digits, fields) -> None:
    test = find_learning_rate(load_recipe(overrides=SMALL | fields), digits)
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
    assert test.rates[0] < test.marks["steepest"] <= test.marks["least"]
    if "diverged" in test.marks:
        assert smoothed[-1] > 4 * min(smoothed)
        assert all(each <= 4 * min(smoothed[: number + 1]) for number, each in enumerate(smoothed[:-1]))


def test_the_first_losses_are_those_of_a_training_at_a_tiny_rate(digits) -> None:
    recipe = load_recipe(overrides=SMALL | {"training.learning_rate": 1e-6, "training.iterations": 3})
    losses = np.concatenate([progress.losses for progress in Trainer(recipe, digits).iterate()])
    assert find_learning_rate(recipe, digits).losses[:3] == pytest.approx(losses, abs=1e-4)


def test_a_loss_that_is_not_finite_is_where_it_diverged(digits) -> None:
    test = find_learning_rate(
        load_recipe(overrides=SMALL | {"model.weight_stddev": 10.0, "model.bias": 10.0}), digits
    )
    assert np.isfinite(test.smoothed[:-1]).all()
    assert test.marks["diverged"] == test.rates[-1] or len(test.rates) == 300


def test_a_network_that_cannot_learn_gets_no_advice(digits) -> None:
    fields = {"model.convolutions": [{"filters": 1, "activation": "relu"}], "model.dense": [], "model.bias": -10.0}
    assert (
        "try" not in find_learning_rate(load_recipe(overrides=fields | {"training.batch_size": 4}), digits).marks
    )
