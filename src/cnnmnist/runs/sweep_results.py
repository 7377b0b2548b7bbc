"""What a sweep has reached: the spread over the seeds of each setting, and which settings truly differ."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnmnist.runs.run import Run
from cnnmnist.runs.sweeps import Sweep
from cnnmnist.statistics import holm, permutation_p_value

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


def clearly_worse(rows: Sequence[Row]) -> list[Row]:
    """The settings that are below the first one by more than the seeds differ, at a level of 5 % in all."""
    tested = [row for row in rows if row.p_value is not None]
    corrected = holm([row.p_value for row in tested if row.p_value is not None])
    return [row for row, p_value in zip(tested, corrected, strict=True) if p_value <= SIGNIFICANT]
