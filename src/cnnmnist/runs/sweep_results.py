"""What a sweep has reached: the spread over the seeds of each setting, and which settings truly differ."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnmnist.runs.run import Run
from cnnmnist.runs.sweeps import PlannedRun, Sweep

EXACT = 200_000  # ways to divide the accuracies; of more, the permutation test draws so many at random
SIGNIFICANT = 0.05


@dataclass
class Setting:
    """One combination of the varied values, and its runs."""

    settings: dict[str, Any]
    runs: list[tuple[PlannedRun, Run | None]] = field(default_factory=list)
    """Each planned run, and the run as far as it is trained."""
    p_value: float | None = None
    """Of the exact permutation test against the best setting; None for the best, or with one seed only."""

    @property
    def finished(self) -> list[tuple[int, Run]]:
        """Seeds and runs of the trainings that have ended."""
        return [(planned.seed, run) for planned, run in self.runs if run and run.metadata.status == "finished"]

    @property
    def accuracies(self) -> list[float]:
        """Accuracies of the finished runs on the test split, fractions of 1."""
        return [run.metadata.ladder[-1].accuracy for _, run in self.finished]

    @property
    def mean(self) -> float | None:
        """Mean of the accuracies."""
        return statistics.mean(self.accuracies) if self.accuracies else None

    def row(self) -> dict[str, Any]:
        """The setting as plain values."""
        accuracies, runs = self.accuracies, [run for _, run in self.finished]
        return {
            "settings": self.settings,
            "seeds": [seed for seed, _ in self.finished],
            "accuracies": accuracies,
            "mean": self.mean,
            "standard_deviation": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
            "minimum": min(accuracies, default=None),
            "maximum": max(accuracies, default=None),
            "p_value": self.p_value,
            "iterations": runs[0].metadata.iteration if runs else None,
            "seconds": statistics.median(run.metadata.seconds for run in runs) if runs else None,
            "runs": [str(run.directory) for run in runs],
        }


def sweep_results(sweep: Sweep) -> list[Setting]:
    """Read all runs of a sweep; the setting with the best mean comes first, settings without a run last.

    Raises:
        RunError: a run is damaged, or does not belong to the sweep.
    """
    settings: dict[str, Setting] = {}
    for planned in sweep.definition.planned():
        setting = settings.setdefault(json.dumps(planned.settings), Setting(planned.settings))
        setting.runs.append((planned, sweep.find(planned)))
    ordered = sorted(settings.values(), key=lambda each: -1.0 if each.mean is None else each.mean, reverse=True)
    for other in ordered[1:]:
        other.p_value = permutation_p_value(ordered[0].accuracies, other.accuracies)
    return ordered


def permutation_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How often a difference of means as large as this one arises if the seeds alone decide.

    The two-sided permutation test (B. Phipson and G. Smyth, 2010, https://doi.org/10.2202/1544-6115.1585) divides
    the accuracies among the two settings in all possible ways; where there are more than 200,000 ways, in 200,000
    random ones, the same each time.

    Returns:
        The probability; None where a setting has one seed only.
    """
    if min(len(first), len(second)) < 2:
        return None
    from scipy.stats import permutation_test

    def difference(left: np.ndarray, right: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(np.mean(left, axis=axis) - np.mean(right, axis=axis))

    random = np.random.default_rng(0)
    result = permutation_test((first, second), difference, n_resamples=EXACT, vectorized=True, rng=random)
    return float(result.pvalue)


def smallest_p_value(first: int, second: int) -> float:
    """The p-value of the permutation test where every accuracy of one setting is above all of the other."""
    ways = math.comb(first + second, first)
    return min(1.0, 2.0 / ways)


def clearly_worse(settings: Sequence[Setting]) -> list[Setting]:
    """The settings that differ from the first one by more than the seeds do, at a level of 5 % in all.

    Holm's method (1979, https://www.jstor.org/stable/4615733) corrects for the number of comparisons.
    """
    tested = sorted((each.p_value, number) for number, each in enumerate(settings) if each.p_value is not None)
    worse = []
    for rank, (p_value, number) in enumerate(tested):
        if p_value > SIGNIFICANT / (len(tested) - rank):
            break
        worse.append(number)
    return [settings[number] for number in sorted(worse)]
