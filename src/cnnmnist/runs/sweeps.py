"""Sweeps: runs that differ in chosen settings and seeds, in one folder on which several processes can work."""

import contextlib
import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

MAX_RUNS = 100_000


class SweepDefinition(Metadata):
    """The content of ``sweep.json``: what the runs of a sweep have in common, and in what they differ."""

    config: Text | None = None
    overrides: dict[Text, Any] = Field({})
    vary: dict[Text, Annotated[list[Any], Field(min_length=1)]] = Field({})
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    digest: Text = ""

    @property
    def size(self) -> int:
        """Number of runs."""
        return math.prod(map(len, self.vary.values())) * len(self.seeds)


@dataclass(frozen=True)
class PlannedRun:
    """A run that a sweep asks for."""

    settings: dict[str, Any]
    """Values of the varied fields."""
    recipe: Recipe
    directory: Path

    def find(self) -> Run | None:
        """The run, as far as it is trained; None where nobody has begun it.

        Raises:
            RunError: its metadata are damaged, or it was trained with another recipe.
        """
        run = Run.read(self.directory) if is_run(self.directory) else None
        if run and run.metadata.recipe != self.recipe:
            raise RunError(
                f"{self.directory} has another recipe than its sweep asks for: remove it, or choose another name."
            )
        return run

    def begin(self, dataset: "Dataset") -> Run:
        """The run, which is made where it does not exist.

        Raises:
            RunError: as :meth:`find` does.
            WriteError: the run directory cannot be written.
        """
        try:
            return self.find() or create_run(self.directory.parent, self.directory.name, self.recipe, dataset)
        except RunError:
            if run := self.find():  # another process was faster
                return run
            raise


@dataclass(frozen=True)
class Sweep:
    """A folder with runs, and their definition."""

    directory: Path
    definition: SweepDefinition

    def planned(self) -> list[PlannedRun]:
        """Every combination of the varied values with every seed; the first seed of all combinations comes first.

        Raises:
            RecipeError: a field is unknown or not valid; or the runs are too many, or need different data sets.
        """
        wanted = self.definition
        if wanted.size > MAX_RUNS:
            raise RecipeError(f"A sweep has at most {MAX_RUNS:,} runs, not {wanted.size:,}: vary less.")
        settings = [
            dict(zip(wanted.vary, values, strict=True)) for values in itertools.product(*wanted.vary.values())
        ]
        recipes = []
        for each in settings:
            fields = wanted.overrides | each
            recipes.append(load_recipe(str(fields.pop("config", wanted.config)), fields))
        if len({recipe.dataset for recipe in recipes}) > 1:
            raise RecipeError("The recipes of a sweep need the same data set: choose it with --dataset.")
        runs = []
        for seed, (each, recipe) in itertools.product(wanted.seeds, zip(settings, recipes, strict=True)):
            training = recipe.training.model_copy(update={"seed": seed})
            directory = self.directory / _run_name(each, seed)
            runs.append(PlannedRun(each, recipe.model_copy(update={"training": training}), directory))
        return runs


def read_sweep(directory: Path) -> Sweep:
    """Read the definition of a sweep.

    Raises:
        RunError: it is missing or damaged.
    """
    path = directory / SWEEP_FILE
    try:
        return Sweep(directory, parse_metadata(read_file(path, MAX_METADATA_BYTES), path, SweepDefinition))
    except OSError as error:
        raise RunError(f"Cannot read {path}: {reason(error)}.") from error


def find_sweep(name: str, runs_dir: Path) -> Sweep:
    """The sweep of that name, or in that folder.

    Raises:
        MissingRunError: there is none.
        RunError: its definition is damaged.
    """
    for directory in (runs_dir / name, Path(name)):
        if is_sweep(directory):
            return read_sweep(directory)
    raise MissingRunError(f"There is no sweep {name!r} in {runs_dir}: `cnnmnist runs` lists all.")


def list_sweeps(runs_dir: Path) -> list[Path]:
    """The folders of the sweeps in a runs directory."""
    with contextlib.suppress(OSError):
        return [path for path in runs_dir.iterdir() if is_sweep(path)]
    return []


def open_sweep(directory: Path, wanted: SweepDefinition) -> Sweep:
    """Make a sweep, or add the seeds and values to the sweep that is there.

    Raises:
        RunError: the name is not valid or taken, or the sweep has another definition.
        WriteError: the folder cannot be written.
    """
    check_name(directory.name, "sweep")
    if is_sweep(directory):
        old = read_sweep(directory).definition
        fields = {"config": old.config, "overrides": old.overrides, "digest": old.digest, "vary": list(old.vary)}
        for field, before in fields.items():
            if (now := {**dict(wanted), "vary": list(wanted.vary)}[field]) != before:
                raise RunError(
                    f"The sweep {directory.name} has another definition: {field} is {json.dumps(before):.200}, "
                    f"not {json.dumps(now):.200}; only seeds and values may be added, so choose another name."
                )
        vary = {field: union(values, wanted.vary[field]) for field, values in old.vary.items()}
        wanted = old.model_copy(update={"vary": vary, "seeds": union(old.seeds, wanted.seeds)})
    elif is_run(directory):
        raise RunError(f"{directory} is a run: choose another name for the sweep.")
    with replacing(directory / SWEEP_FILE, make_folder=True) as temporary:
        temporary.write_text(f"{wanted.model_dump_json(indent=2)}\n", encoding="utf-8")
    return Sweep(directory, wanted)


def union(old: list[Any], new: list[Any]) -> list[Any]:
    """All values of two lists, each once."""
    joined: list[Any] = []
    for value in [*old, *new]:
        joined += [] if value in joined else [value]
    return joined


def _run_name(settings: dict[str, Any], seed: int) -> str:
    """The varied values and the seed, such as ``0.001-seed-0``; a digest where a name cannot hold the values."""
    values = [value if isinstance(value, str) else json.dumps(value) for value in settings.values()]
    name = "-".join([*(value.rpartition("/")[2].removesuffix(".yaml") for value in values), f"seed-{seed}"])
    if re.fullmatch(NAME_PATTERN, name):
        return name
    return f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]}-seed-{seed}"


def short_name(field: str) -> str:
    """The name of a varied field in a table."""
    return "recipe" if field == "config" else field.rpartition(".")[2]


def describe(settings: dict[str, Any]) -> str:
    """Settings in words, such as ``learning_rate 0.001, dropout 0.3``."""
    return ", ".join(f"{short_name(field)} {value}" for field, value in settings.items())
