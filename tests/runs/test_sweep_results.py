"""What a sweep has reached, against tests done by hand."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.runs.metadata import Rung
from cnnmnist.runs.sweep_results import Row, clearly_worse, sweep_results
from cnnmnist.runs.sweeps import SweepDefinition, open_sweep
from cnnmnist.statistics import permutation_p_value, smallest_p_value


def by_hand(first: list[float], second: list[float]) -> float:
    """Twice the smaller tail over all divisions, by plain enumeration."""
    pooled, observed = first + second, np.mean(first) - np.mean(second)
    differences = []
    for chosen in itertools.combinations(range(len(pooled)), len(first)):
        left = [pooled[index] for index in chosen]
        right = [value for index, value in enumerate(pooled) if index not in chosen]
        differences.append(np.mean(left) - np.mean(right))
    array = np.array(differences)
    tails = (array <= observed + 1e-12).mean(), (array >= observed - 1e-12).mean()
    return float(min(1.0, 2 * min(tails)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(5, 5), (3, 4), (2, 6)])
def test_the_permutation_test_is_exact(seed: int, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    first, second = ((0.98 + random.integers(0, 40, size) / 10_000).tolist() for size in sizes)
    assert permutation_p_value(first, second) == pytest.approx(by_hand(first, second))


@pytest.mark.parametrize(
    ("sizes", "smallest"), [((5, 5), 2 / 252), ((3, 3), 0.1), ((2, 2), 1 / 3), ((4, 5), 2 / 126)]
)
def test_the_smallest_p(sizes: tuple[int, int], smallest: float) -> None:
    above, below = [0.99 + n / 1_000 for n in range(sizes[0])], [0.9 + n / 1_000 for n in range(sizes[1])]
    assert permutation_p_value(above, below) == pytest.approx(smallest)
    assert smallest_p_value(*sizes) == pytest.approx(smallest)


def test_one_seed_has_no_p_value_and_equal_accuracies_have_one() -> None:
    assert permutation_p_value([0.9], [0.8, 0.7]) is None
    assert permutation_p_value([], [0.8, 0.7]) is None
    assert permutation_p_value([0.9, 0.9], [0.9, 0.9]) == 1.0


@pytest.mark.parametrize(
    ("p_values", "worse"),
    [
        ([], []),
        ([0.04], [1]),
        ([0.06], []),
        ([0.02, 0.04], [1, 2]),
        ([0.03, 0.04], []),
        ([0.04, 0.009, 0.02, 0.5], [2]),
        ([0.01, 0.012, 0.02, 0.04], [1, 2, 3, 4]),
    ],
)
def test_holm_by_hand(p_values: list[float], worse: list[int]) -> None:
    rows = [Row({}), *(Row({"number": number}, p_value=p) for number, p in enumerate(p_values, 1))]
    assert [row.settings["number"] for row in clearly_worse(rows)] == worse


def test_rows_hold_finished_runs_only_and_the_best_comes_first(tmp_path: Path) -> None:
    dataset = load_dataset("mnist5k")
    vary = {"training.learning_rate": [0.001, 0.01, 0.1]}
    sweep = open_sweep(tmp_path / "rates", SweepDefinition(config="tutorial", vary=vary, seeds=[0, 1]))
    reached = {(0.001, 0): 0.9, (0.001, 1): 0.92, (0.01, 0): 0.95}
    for planned in sweep.planned():
        training = planned.recipe.training
        if accuracy := reached.get((training.learning_rate, training.seed)):
            run = planned.begin(dataset)
            run.metadata.ladder = [Rung(iteration=0, accuracy=0.1), Rung(iteration=9, accuracy=accuracy)]
            run.metadata.status = "finished"
            run.save()
    sweep.planned()[2].begin(dataset)
    best, second, last = sweep_results(sweep)
    assert (best.accuracies, best.mean, best.standard_deviation, best.p_value) == ([0.95], 0.95, None, None)
    assert second.accuracies == [0.9, 0.92]
    assert second.standard_deviation == pytest.approx(0.02 / 2**0.5)
    assert (second.minimum, second.maximum, second.seeds) == (0.9, 0.92, [0, 1])
    assert (last.mean, last.runs) == (None, [])
    assert last.unfinished == [str(tmp_path / "rates" / f"0.1-seed-{seed}") for seed in (0, 1)]
