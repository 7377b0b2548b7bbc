"""Statistics, each against a published table, another program or a case worked by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, multinomial

from cnnmnist.statistics import (
    holm,
    mcnemar_test,
    paired_interval,
    permutation_p_value,
    smallest_p_value,
    wilson_interval,
)


# R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(successes: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(successes, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "total"), [(0, 1), (1, 1), (3, 7), (9_859, 10_000), (10_000, 10_000)])
def test_wilsons_interval_is_scipys(successes: int, total: int) -> None:
    interval = binomtest(successes, total).proportion_ci(method="wilson")
    assert wilson_interval(successes, total) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_mcnemars_test_of_a_published_table() -> None:
    """M. W. Fagerland et al., BMC Medical Research Methodology 13:91, 2013, table 1: exact conditional p 0.070."""
    both, only_first, only_second, neither = 1, 1, 7, 12
    assert both + only_first + only_second + neither == 21
    assert mcnemar_test(only_first, only_second) == mcnemar_test(only_second, only_first)
    assert round(mcnemar_test(only_first, only_second), 3) == 0.070
    assert mcnemar_test(only_first, only_second) == 2 * (1 + 8) / 2**8, "worked by hand: 0 or 1 of 8, both sides"


@pytest.mark.parametrize("count", [0, 1, 4, 50])
def test_equal_counts_are_no_evidence(count: int) -> None:
    assert mcnemar_test(count, count) == 1


def test_the_paired_interval_worked_by_hand() -> None:
    """The table above: 2/23 and 8/23, so -6/23, and the variance (10/23 - 36/529) / 23 = 194/12167."""
    low, high = paired_interval(1, 7, 21)
    assert (low + high) / 2 == pytest.approx(-6 / 23)
    assert high - low == pytest.approx(2 * 1.959964 * math.sqrt(194 / 12_167), rel=1e-6)
    assert paired_interval(7, 1, 21) == (-high, -low)


@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.02, 0.2), (0.3, 0.25), (0.05, 0.0)])
def test_the_paired_interval_holds_the_difference_as_often_as_it_says(shares: tuple[float, float]) -> None:
    """Exactly, over all tables of 60 images."""
    total, held = 60, 0.0
    for first, second in itertools.product(range(total + 1), repeat=2):
        if first + second <= total:
            low, high = paired_interval(first, second, total)
            if low <= shares[0] - shares[1] <= high:
                held += multinomial.pmf([first, second, total - first - second], total, [*shares, 1 - sum(shares)])
    assert held > 0.93


def test_holms_correction_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04, 0.01, 0.5, 0.02]) == pytest.approx([0.08, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.2]) == [0.2]
    rng = np.random.default_rng(0)
    seldom = np.mean([min(holm(rng.random(6).tolist())) < 0.05 for _ in range(4_000)])
    assert 0.03 < seldom < 0.065, "one of six tests of nothing errs as seldom as a single test"


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
