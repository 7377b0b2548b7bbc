"""Sweeps: runs that differ in chosen settings and seeds, in a folder on which several processes can work."""

import hashlib
import itertools
import json
import math
import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.errors import MissingRunError, RecipeError, RunError, reason
from cnnmnist.files import read_file, replacing
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import MAX_METADATA_BYTES, Metadata, Text, parse_metadata
from cnnmnist.runs.run import Run
from cnnmnist.runs.store import SWEEP_FILE, check_name, create_run, is_run, is_sweep
from cnnmnist.statistics import LEVEL, holm, permutation_p_value

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

MAX_RUNS = 100_000


@dataclass
class PlannedRun:
    """A run that a sweep asks for."""

    settings: dict[str, Any]
    """Values of the varied fields."""
    recipe: Recipe
    directory: Path
    _finished: Run | None = None

    def read(self) -> Run | None:
        """The run, as far as it is trained; None where nobody has begun it. A finished run is read once.

        Raises:
            RunError: its metadata are damaged, or it was trained with another recipe.
        """
        if self._finished or not is_run(self.directory):
            return self._finished
        run = Run.read(self.directory)
        if run.metadata.recipe != self.recipe:
            raise RunError(
                f"{self.directory} has another recipe than its sweep asks for: remove it, or choose another name."
            )
        self._finished = run if run.metadata.status == "finished" else None
        return run

    def begin(self, dataset: "Dataset") -> Run:
        """The run, which is made where it does not exist.

        Raises:
            RunError: as :meth:`read` does.
            WriteError: the run directory cannot be written.
        """
        try:
            return self.read() or create_run(self.directory.parent, self.directory.name, self.recipe, dataset)
        except RunError:
            if run := self.read():  # another process was faster
                return run
            raise


class Sweep(Metadata):
    """The content of ``sweep.json``: what the runs of a sweep have in common, and in what they differ."""

    config: Text | None = None
    overrides: dict[Text, Any] = Field({})
    vary: dict[Text, Annotated[list[Any], Field(min_length=1)]] = Field({})
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    dataset: Text = ""
    digest: Text = ""

    @property
    def size(self) -> int:
        """Number of runs."""
        return math.prod(map(len, self.vary.values())) * len(self.seeds)

    def planned(self, folder: Path) -> list[PlannedRun]:
        """Every combination of the varied values with every seed; the first seed of all combinations comes first.

        Raises:
            RecipeError: a field is unknown or not valid; or the runs are too many, or need different data sets.
        """
        if self.size > MAX_RUNS:
            raise RecipeError(f"A sweep has at most {MAX_RUNS:,} runs, not {self.size:,}: vary less.")
        combinations = []
        for values in itertools.product(*self.vary.values()):
            settings = dict(zip(self.vary, values, strict=True))
            fields = {"config": self.config, **self.overrides, **settings}
            combinations.append((settings, load_recipe(str(fields.pop("config")), fields)))
        if len({recipe.dataset for _, recipe in combinations}) > 1:
            raise RecipeError("The recipes of a sweep need the same data set: choose it with --dataset.")
        runs = []
        for seed, (settings, recipe) in itertools.product(self.seeds, combinations):
            training = recipe.training.model_copy(update={"seed": seed})
            seeded = recipe.model_copy(update={"training": training})
            runs.append(PlannedRun(settings, seeded, folder / _run_name(settings, seed)))
        return runs


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


def read_sweep(folder: Path) -> Sweep:
    """Read the definition of a sweep.

    Raises:
        RunError: it is missing or damaged.
    """
    path = folder / SWEEP_FILE
    try:
        return parse_metadata(read_file(path, MAX_METADATA_BYTES), path, Sweep)
    except OSError as error:
        raise RunError(f"Cannot read {path}: {reason(error)}.") from error


def find_sweep(name: str, runs_dir: Path) -> Path:
    """The folder of the sweep of that name, or in that folder.

    Raises:
        MissingRunError: there is none.
    """
    for folder in (runs_dir / name, Path(name)):
        if is_sweep(folder):
            return folder
    raise MissingRunError(f"There is no sweep {name!r} in {runs_dir}: `cnnmnist runs` lists all.")


def list_sweeps(runs_dir: Path) -> list[Path]:
    """The folders of the sweeps in a runs directory."""
    return [path.parent for path in runs_dir.glob(f"*/{SWEEP_FILE}")]


def open_sweep(folder: Path, wanted: Sweep) -> Sweep:
    """Make a sweep, or add the seeds and values to the sweep that is there.

    Raises:
        RunError: the name is not valid or taken, or the sweep has another definition.
        WriteError: the folder cannot be written.
    """
    check_name(folder.name, "sweep")
    if is_run(folder):
        raise RunError(f"{folder} is a run: choose another name for the sweep.")
    if is_sweep(folder):
        old = read_sweep(folder)
        kept, asked = (
            each.model_dump(exclude={"seeds", "dataset"}) | {"vary": list(each.vary)} for each in (old, wanted)
        )
        for field, before in kept.items():
            if asked[field] != before:
                raise RunError(
                    f"The sweep {folder.name} has another definition: {field} is {json.dumps(before):.200}, "
                    f"not {json.dumps(asked[field]):.200}; only seeds and values may be added, so choose another "
                    "name."
                )
        vary = {field: union(values, wanted.vary[field]) for field, values in old.vary.items()}
        wanted = old.model_copy(update={"vary": vary, "seeds": union(old.seeds, wanted.seeds)})
    with replacing(folder / SWEEP_FILE, make_folder=True) as temporary:
        temporary.write_text(f"{wanted.model_dump_json(indent=2)}\n", encoding="utf-8")
    return wanted


def union(old: list[Any], new: list[Any]) -> list[Any]:
    """All values of two lists, each once."""
    both = [*old, *new]
    return [value for number, value in enumerate(both) if value not in both[:number]]


def sweep_results(planned: Iterable[PlannedRun]) -> list[Row]:
    """Read all runs of a sweep; the setting with the best mean comes first, settings without a run last.

    Raises:
        RunError: a run is damaged, or does not belong to the sweep.
    """
    table: dict[str, Row] = {}
    for each in planned:
        row, run = table.setdefault(json.dumps(each.settings), Row(each.settings)), each.read()
        if run and run.metadata.status == "finished":
            row.seeds.append(each.recipe.training.seed)
            row.runs.append(run)
            row.accuracies.append(run.metadata.ladder[-1].accuracy)
        else:
            row.unfinished.append(str(each.directory))
    for row in table.values():
        if row.runs:
            row.mean, row.minimum, row.maximum = (f(row.accuracies) for f in (statistics.mean, min, max))
            row.standard_deviation = statistics.stdev(row.accuracies) if len(row.runs) > 1 else None
            row.seconds = statistics.median(run.metadata.seconds for run in row.runs)
    rows = sorted(table.values(), key=lambda row: -1.0 if row.mean is None else row.mean, reverse=True)
    for other in rows[1:]:
        other.p_value = permutation_p_value(rows[0].accuracies, other.accuracies)
    return rows


def clearly_worse(rows: Iterable[Row]) -> list[Row]:
    """The settings that are below the first one by more than the seeds differ, at a level of 5 % in all."""
    tested = [(row, row.p_value) for row in rows if row.p_value is not None]
    corrected = holm([p_value for _, p_value in tested])
    return [row for (row, _), p_value in zip(tested, corrected, strict=True) if p_value <= LEVEL]


def _run_name(settings: dict[str, Any], seed: int) -> str:
    """The varied values and the seed, such as ``0.001-seed-0``; a digest where a name cannot hold the values."""
    values = [value if isinstance(value, str) else json.dumps(value) for value in settings.values()]
    name = "-".join([*(value.rpartition("/")[2].removesuffix(".yaml") for value in values), f"seed-{seed}"])
    if re.fullmatch(NAME_PATTERN, name):
        return name
    return f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]}-seed-{seed}"
