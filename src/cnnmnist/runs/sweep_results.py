"""What a sweep has reached: the spread over the seeds of each setting, and which settings truly differ."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Any

import numpy as np

from cnnmnist.runs.run import Run
from cnnmnist.runs.sweeps import Sweep

EXACT = 200_000  # divisions of the accuracies; where there are more, the permutation test draws so many at random
SIGNIFICANT = 0.05


@dataclass
class Row:
    """One combination of the varied values, and what its finished runs reached on the test split."""

    settings: dict[str, Any]
    seeds: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    """Directories of the runs that are not finished or not begun."""
    accuracies: list[float] = field(default_factory=list)
    mean: float | None = None
    standard_deviation: float | None = None
    """None for a single seed."""
    minimum: float | None = None
    maximum: float | None = None
    p_value: float | None = None
    """Of the permutation test against the best setting; None for the best, or with one seed only."""
    seconds: float | None = None
    """Median of the times of the trainings."""


def sweep_results(sweep: Sweep) -> list[Row]:
    """Read all runs of a sweep; the setting with the best mean comes first, settings without a run last.

    Raises:
        RunError: a run is damaged, or does not belong to the sweep.
    """
    table: dict[str, Row] = {}
    for planned in sweep.planned():
        row, run = table.setdefault(json.dumps(planned.settings), Row(planned.settings)), planned.find()
        if run and run.metadata.status == "finished":
            row.seeds.append(planned.recipe.training.seed)
            row.runs.append(run)
            row.accuracies.append(run.metadata.ladder[-1].accuracy)
        else:
            row.unfinished.append(str(planned.directory))
    for row in table.values():
        if row.runs:
            row.mean, row.minimum, row.maximum = (f(row.accuracies) for f in (statistics.mean, min, max))
            row.standard_deviation = statistics.stdev(row.accuracies) if len(row.runs) > 1 else None
            row.seconds = statistics.median(run.metadata.seconds for run in row.runs)
    rows = sorted(table.values(), key=lambda row: -1.0 if row.mean is None else row.mean, reverse=True)
    for other in rows[1:]:
        other.p_value = permutation_p_value(rows[0].accuracies, other.accuracies)
    return rows


def permutation_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How often a difference of means as large as this one arises if the seeds alone decide.

    The two-sided permutation test (B. Phipson and G. Smyth, 2010, https://doi.org/10.2202/1544-6115.1585) divides
    the accuracies among the two settings in all possible ways; where there are more than 200,000 ways, in 200,000
    random ones, the same each time. None where a setting has one seed only.
    """
    if min(len(first), len(second)) < 2:
        return None
    from scipy.stats import permutation_test

    def difference(left: np.ndarray, right: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(left.mean(axis=axis) - right.mean(axis=axis))

    random = np.random.default_rng(0)
    test = permutation_test((first, second), difference, n_resamples=EXACT, vectorized=True, random_state=random)
    return float(test.pvalue)


def smallest_p_value(first: int, second: int) -> float:
    """The p-value where all accuracies of one setting are above those of the other."""
    return 2 / comb(first + second, first)


def clearly_worse(rows: Sequence[Row]) -> list[Row]:
    """The settings that are below the first one by more than the seeds differ, at a level of 5 % in all.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979, for the number of comparisons.
    """
    tested = sorted((row.p_value, number) for number, row in enumerate(rows) if row.p_value is not None)
    held = [p_value > SIGNIFICANT / (len(tested) - rank) for rank, (p_value, _) in enumerate(tested)]
    rejected = held.index(True) if True in held else len(held)
    return [rows[number] for number in sorted(number for _, number in tested[:rejected])]
