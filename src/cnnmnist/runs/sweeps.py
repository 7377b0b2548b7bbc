"""Sweeps: runs that differ in chosen settings and seeds, in a folder on which several processes can work."""

import hashlib
import itertools
import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.errors import RecipeError, RunError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.diff import differing, recipe_and_data
from cnnmnist.runs.run import Run
from cnnmnist.runs.store import create_run, is_run, run_directories
from cnnmnist.statistics import LEVEL, holm, permutation_p_value

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

MAX_RUNS = 100_000


@dataclass(frozen=True)
class PlannedRun:
    """A run that a sweep asks for."""

    settings: dict[str, Any]
    """Values of the varied fields."""
    recipe: Recipe
    directory: Path

    def begin(self, dataset: "Dataset") -> Run:
        """The run, as far as it is trained; where nobody has begun it, it is made.

        Raises:
            RunError: its metadata are damaged, or it was trained with another recipe.
            WriteError: the run directory cannot be written.
        """
        if not is_run(self.directory):
            try:
                return create_run(self.directory.parent, self.directory.name, self.recipe, dataset)
            except RunError:
                if not is_run(self.directory):
                    raise  # otherwise another process was faster
        run = Run.read(self.directory)
        self.check(run)
        return run

    def check(self, run: Run) -> None:
        """Refuse a run in the planned directory that was trained with another recipe.

        Raises:
            RunError: it was.
        """
        if run.metadata.recipe != self.recipe:
            raise RunError(
                f"{self.directory} has another recipe than its sweep asks for: remove it, or choose another name."
            )


@dataclass
class Row:
    """Runs that differ in the seed only, and what those that are finished reached on the test split."""

    settings: dict[str, Any]
    """Values of the fields in which the rows of a sweep differ."""
    seeds: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    """Directories of the runs that are not finished."""
    accuracies: list[float] = field(default_factory=list)
    mean: float | None = None
    standard_deviation: float | None = None
    """None for a single seed."""
    minimum: float | None = None
    maximum: float | None = None
    p_value: float | None = None
    """Of the permutation test against the best row; None for the best, or with one seed only."""
    seconds: float | None = None
    """Median of the times of the trainings."""


def plan_sweep(
    folder: Path, runs: Sequence[Run], fixed: Mapping[str, Any], vary: Mapping[str, Sequence[Any]]
) -> list[PlannedRun]:
    """Plan a run for every combination of values; the last field varies fastest.

    A training that the folder has already keeps its name there.

    Args:
        folder: of the sweep.
        runs: those that are in the folder.
        fixed: a recipe's name or file as ``config``, and values of its fields by dotted name.
        vary: the values of the fields in which the runs differ: ``training.seed``, others, and ``config``.

    Raises:
        RunError: a run in the folder has a planned name and another recipe.
        RecipeError: a field is unknown or not valid; or the runs are too many, need different data sets, or would
            have the same name.
    """
    size = math.prod(map(len, vary.values()))
    if size > MAX_RUNS:
        raise RecipeError(f"A sweep has at most {MAX_RUNS:,} runs, not {size:,}: vary less.")
    there = {run.directory: run for run in runs}
    trained = {run.metadata.recipe.model_dump_json(): run.directory for run in runs}
    planned: dict[Path, PlannedRun] = {}
    for values in itertools.product(*vary.values()):
        settings = dict(zip(vary, values, strict=True))
        fields = {**fixed, **settings}
        recipe = load_recipe(str(fields.pop("config")), fields)
        directory = trained.get(recipe.model_dump_json(), folder / _run_name(settings))
        run = planned.setdefault(directory, PlannedRun(settings, recipe, directory))
        if run.recipe != recipe:
            raise RecipeError(f"Two recipes would train the same run {directory}: rename the file of one.")
        if directory in there:
            run.check(there[directory])
    if len({run.recipe.dataset for run in planned.values()}) > 1:
        raise RecipeError("The recipes of a sweep need the same data set: choose it with --dataset.")
    return list(planned.values())


def read_runs(folder: Path) -> list[Run]:
    """Read all runs in the folder of a sweep, by name.

    Raises:
        RunError: a run is damaged.
    """
    return [Run.read(directory) for directory in sorted(run_directories(folder))]


def sweep_results(folder: Path, varied: Iterable[str] = ()) -> list[Row]:
    """Compare the runs in the folder of a sweep; the best mean comes first, rows without a finished run last.

    Args:
        folder: of the sweep.
        varied: fields that the settings of all rows have, even where all values are the same.

    Raises:
        RunError: a run is damaged.
    """
    table: dict[str, Row] = {}
    for run in sorted(
        read_runs(folder), key=lambda run: (not _is_finished(run), run.metadata.recipe.training.seed)
    ):
        fields = recipe_and_data(run.metadata)
        seed = fields.pop("training.seed")
        row = table.setdefault(json.dumps(fields), Row(fields))
        if seed in row.seeds:
            continue  # the same training under another name
        if _is_finished(run):
            row.seeds.append(seed)
            row.runs.append(run)
            row.accuracies.append(run.metadata.ladder[-1].accuracy)
        else:
            row.unfinished.append(str(run.directory))
    rows = list(table.values())
    for row, settings in zip(rows, _settings([row.settings for row in rows], varied), strict=True):
        row.settings = settings
        if row.runs:
            row.mean, row.minimum, row.maximum = (f(row.accuracies) for f in (statistics.mean, min, max))
            row.standard_deviation = statistics.stdev(row.accuracies) if len(row.runs) > 1 else None
            row.seconds = statistics.median(run.metadata.seconds for run in row.runs)
    rows.sort(key=lambda row: -1.0 if row.mean is None else row.mean, reverse=True)
    for other in rows[1:]:
        other.p_value = permutation_p_value(rows[0].accuracies, other.accuracies)
    return rows


def clearly_worse(rows: Iterable[Row]) -> list[Row]:
    """The rows that are below the first one by more than the seeds differ, at a level of 5 % in all."""
    tested = [(row, row.p_value) for row in rows if row.p_value is not None]
    corrected = holm([p_value for _, p_value in tested])
    return [row for (row, _), p_value in zip(tested, corrected, strict=True) if p_value <= LEVEL]


def _settings(rows: Sequence[dict[str, Any]], varied: Iterable[str]) -> list[dict[str, Any]]:
    """The fields in which rows of one recipe differ, and recipes' names as ``config`` if there are several."""
    shown = {"name" if field == "config" else field for field in varied} | (differing(rows).keys() & {"name"})
    for name in {row["name"] for row in rows}:
        shown |= differing([row for row in rows if row["name"] == name]).keys()
    fields = [field for field in dict.fromkeys(itertools.chain(*rows)) if field in shown]
    return [{"config" if field == "name" else field: row.get(field) for field in fields} for row in rows]


def _is_finished(run: Run) -> bool:
    return run.metadata.status == "finished" and bool(run.metadata.ladder)


def _run_name(settings: dict[str, Any]) -> str:
    """The varied values and the seed, such as ``0.001-seed-0``; a digest where a name cannot hold the values."""
    varied = {field: value for field, value in settings.items() if field != "training.seed"}
    texts = (value if isinstance(value, str) else json.dumps(value) for value in varied.values())
    ending = f"seed-{settings['training.seed']}"
    name = "-".join([*(text.rpartition("/")[2].removesuffix(".yaml") for text in texts), ending])
    if re.fullmatch(NAME_PATTERN, name):
        return name
    return f"{hashlib.sha256(json.dumps(varied).encode()).hexdigest()[:12]}-{ending}"
