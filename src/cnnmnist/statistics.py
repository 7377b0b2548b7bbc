"""Statistics: how far an accuracy can be trusted, and whether two networks differ by more than luck.

All intervals hold the true value with 95 % confidence; their ends are fractions of 1.
"""

import math
from collections.abc import Sequence

EXACT = 200_000  # ways to divide values; where there are more, the permutation test draws so many at random
Z = 1.959963984540054  # quantile 0.975 of the normal distribution
LEVEL = 0.05  # of significance


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """The lower and upper end of a proportion, such as that of the right answers among ``total``, at least 1.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    share = successes / total
    middle = share + Z**2 / (2 * total)
    half = Z * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    scale = 1 + Z**2 / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def paired_interval(only_first: int, only_second: int, total: int) -> tuple[float, float]:
    """The lower and upper end of the difference of two accuracies on the same images, first minus second.

    ``only_first`` and ``only_second`` of all ``total`` images are those that only one network gets right. Wald's
    interval with Laplace's adjustment, one more image in each of the two counts: D. G. Bonett and R. M. Price,
    "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data", 2012. M. W.
    Fagerland et al., "Recommended tests and confidence intervals for paired binomial proportions", 2014, recommend
    it.
    """
    first, second = (only_first + 1) / (total + 2), (only_second + 1) / (total + 2)
    half = Z * math.sqrt((first + second - (first - second) ** 2) / (total + 2))
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def mcnemar_test(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test, two-sided, that two networks are right equally often.

    If they are, an image that only one gets right is as likely the first's as the second's: Q. McNemar, "Note on
    the Sampling Error of the Difference Between Correlated Proportions or Percentages", 1947.
    """
    from scipy.stats import binomtest  # takes half a second to import

    total = only_first + only_second
    return float(binomtest(only_first, total).pvalue) if total else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests, so that all together err as seldom as one would.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[number]))
        corrected[number] = largest
    return corrected


def permutation_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How often two settings differ by as much in their means if the seeds alone decide.

    The two-sided permutation test (B. Phipson and G. Smyth, 2010, https://doi.org/10.2202/1544-6115.1585) divides
    the accuracies among the two settings in all possible ways; where there are more than 200,000 ways, in 200,000
    random ones, the same each time. None where a setting has one seed only.
    """
    if min(len(first), len(second)) < 2:
        return None
    from scipy.stats import permutation_test

    test = permutation_test(
        (first, second),
        lambda left, right, axis: left.mean(axis=axis) - right.mean(axis=axis),
        n_resamples=EXACT,
        random_state=0,
    )
    return float(test.pvalue)


def smallest_p_value(first: int, second: int) -> float:
    """The p-value of the permutation test where all of ``first`` values are above all of ``second``."""
    return 2 / math.comb(first + second, first)
