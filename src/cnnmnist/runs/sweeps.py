"""Sweeps: runs that differ in chosen settings and seeds, in one folder on which several processes can work."""

import contextlib
import hashlib
import itertools
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.errors import BusyRunError, RecipeError, RunError, WriteError, reason
from cnnmnist.files import locked, read_file, replacing
from cnnmnist.recipes import get_field, load_recipe
from cnnmnist.runs.metadata import MAX_METADATA_BYTES, Metadata, Text, parse_metadata
from cnnmnist.runs.run import Run
from cnnmnist.runs.store import SWEEP_FILE, check_name, create_run, is_run, is_sweep

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

MAX_RUNS = 100_000
PATIENCE = 10.0  # seconds to wait for another process that writes the definition
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class SweepDefinition(Metadata):
    """The content of ``sweep.json``: what the runs of a sweep have in common, and in what they differ."""

    config: Text | None = None
    """Name or file of the recipe; None where it is varied."""
    overrides: dict[Text, Any] = Field({})
    """Values of the recipe's fields that are the same in all runs, by dotted name."""
    vary: dict[Text, Annotated[list[Any], Field(min_length=1, max_length=1_000)]] = Field({}, max_length=16)
    """Values of the varied fields; the key ``config`` varies the recipe."""
    seeds: list[Seed] = Field(min_length=1, max_length=10_000)
    dataset: Text = ""
    digest: str = Field("", pattern=r"^([0-9a-f]{64})?$")

    @property
    def size(self) -> int:
        """Number of runs."""
        return math.prod(map(len, self.vary.values())) * len(self.seeds)

    def settings(self) -> list[dict[str, Any]]:
        """Every combination of the varied values, by field."""
        return [dict(zip(self.vary, values, strict=True)) for values in itertools.product(*self.vary.values())]

    def planned(self) -> Iterator["PlannedRun"]:
        """Every combination with every seed; the first seed of all combinations comes first.

        Raises:
            RecipeError: a field is unknown or not valid, the runs are too many, or need different data sets.
        """
        if self.size > MAX_RUNS:
            raise RecipeError(f"A sweep has at most {MAX_RUNS:,} runs, not {self.size:,}: vary less.")
        settings = self.settings()
        recipes = [self._recipe(each) for each in settings]
        if len({recipe.dataset for recipe in recipes}) > 1:
            raise RecipeError("The recipes of a sweep need the same data set: choose it with --dataset.")
        for seed, (varied, recipe) in itertools.product(self.seeds, zip(settings, recipes, strict=True)):
            training = recipe.training.model_copy(update={"seed": seed})
            yield PlannedRun(varied, seed, recipe.model_copy(update={"training": training}))

    def _recipe(self, settings: dict[str, Any]) -> Recipe:
        fields = self.overrides | settings
        config = fields.pop("config", self.config) or "tutorial"
        return load_recipe(str(config), fields)

    def canonical(self) -> "SweepDefinition":
        """The same definition with the values as the recipe holds them: 1 and 1.0 are one learning rate.

        Raises:
            RecipeError: a field is unknown or not valid, or a value is given twice.
        """
        first = next(self.planned()).recipe.model_dump()
        overrides = {field: get_field(first, field) for field in self.overrides}
        vary = {}
        for field, values in self.vary.items():
            if field != "config":
                others = {key: each[0] for key, each in self.vary.items()}
                dumps = [self._recipe(others | {field: value}).model_dump() for value in values]
                values = [get_field(dump, field) for dump in dumps]
            texts = [json.dumps(value) for value in values]
            if twice := next((text for text in texts if texts.count(text) > 1), None):
                raise RecipeError(f"--vary {field} has the value {twice} twice: give each value once.")
            vary[field] = values
        return self.model_copy(update={"overrides": overrides, "vary": vary})


@dataclass(frozen=True)
class PlannedRun:
    """A run that a sweep asks for."""

    settings: dict[str, Any]
    """Values of the varied fields."""
    seed: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """Name of the run: the values of the varied fields and the seed, such as ``0.001-seed-0``."""
        parts = [value if isinstance(value, str) else json.dumps(value) for value in self.settings.values()]
        parts = [part.rpartition("/")[2].removesuffix(".yaml") for part in parts]
        name = "-".join([*parts, f"seed-{self.seed}"])
        if re.fullmatch(NAME_PATTERN, name):
            return name
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(parts)).lstrip(".-")
        return f"{readable[:30]}-{digest[:8]}-seed-{self.seed}"


class Sweep:
    """A folder with a ``definition`` and the runs that it asks for."""

    def __init__(self, directory: Path, definition: SweepDefinition) -> None:
        self.directory = directory
        self.definition = definition
        self.name = directory.name

    @classmethod
    def read(cls, directory: Path) -> "Sweep":
        """Read the definition of a sweep.

        Raises:
            RunError: it is missing or damaged.
        """
        path = directory / SWEEP_FILE
        try:
            content = read_file(path, MAX_METADATA_BYTES)
        except OSError as error:
            raise RunError(f"Cannot read {path}: {reason(error)}.") from error
        return cls(directory, parse_metadata(content, path, SweepDefinition))

    @classmethod
    def open(cls, runs_dir: Path, name: str, wanted: SweepDefinition) -> "Sweep":
        """Make a sweep, or add the wanted seeds and values to the sweep of this name.

        Args:
            runs_dir: folder of the runs.
            name: of the sweep.
            wanted: a canonical definition.

        Raises:
            RunError: the name is not valid or taken, or the sweep of this name has another definition.
            WriteError: its folder cannot be written.
        """
        check_name(name, "sweep")
        folder = runs_dir / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = not is_sweep(folder) and any(not path.name.startswith(".") for path in folder.iterdir())
        except OSError as error:
            raise WriteError(f"Cannot write {folder}: {reason(error)}.") from error
        if taken and not is_sweep(folder):  # another process may have made the sweep meanwhile
            what = "a run" if is_run(folder) else "something else"
            raise RunError(f"There is already {what} {name!r} in {runs_dir}: choose another name for the sweep.")
        with _locked_soon(folder):
            sweep = cls(folder, wanted)
            if is_sweep(folder):
                sweep = cls.read(folder)
                before, sweep.definition = sweep.definition, _joined(sweep, wanted)
                if sweep.definition == before:
                    return sweep
            with replacing(folder / SWEEP_FILE) as temporary:
                temporary.write_text(f"{sweep.definition.model_dump_json(indent=2)}\n", encoding="utf-8")
        return sweep

    def find(self, planned: PlannedRun) -> Run | None:
        """The run that is planned, as far as it is trained; None where nobody has begun it.

        Raises:
            RunError: its metadata are damaged, or it was trained with another recipe or on other data.
        """
        directory = self.directory / planned.name
        if not is_run(directory):
            return None
        run = Run.read(directory)
        same_data = not self.definition.digest or run.metadata.dataset.digest == self.definition.digest
        if run.metadata.recipe != planned.recipe or not same_data:
            other = "with another recipe than the sweep now asks for" if same_data else "on other data"
            raise RunError(f"{directory} was trained {other}: remove it, or choose another name for the sweep.")
        return run

    @contextlib.contextmanager
    def claimed(self, planned: PlannedRun, dataset: "Dataset") -> Iterator[Run | None]:
        """Lock a run for this process, and make it if it does not exist.

        Yields:
            The run, to be trained from where it is; None if it is finished, or if another process trains it.

        Raises:
            RunError: as :meth:`find` does.
            WriteError: the run directory cannot be written.
        """
        run = self.find(planned)
        if run is None:
            try:
                run = create_run(self.directory, planned.name, planned.recipe, dataset)
            except RunError:  # another process was faster
                if (run := self.find(planned)) is None:
                    raise
        with contextlib.ExitStack() as stack:
            mine = run.metadata.status != "finished"
            if mine:
                try:
                    stack.enter_context(run.locked())
                    mine = run.metadata.status != "finished"  # read again
                except BusyRunError:
                    mine = False
            yield run if mine else None


def _joined(sweep: Sweep, wanted: SweepDefinition) -> SweepDefinition:
    """The definition of a sweep with more seeds and values."""
    old = sweep.definition
    for field in ("config", "overrides", "digest"):
        before, now = getattr(old, field), getattr(wanted, field)
        if before != now:
            raise _another(sweep, "data" if field == "digest" else field, before, now)
    if list(old.vary) != list(wanted.vary):
        raise _another(sweep, "vary", list(old.vary), list(wanted.vary))
    vary = {field: _union(values, wanted.vary[field]) for field, values in old.vary.items()}
    return old.model_copy(update={"vary": vary, "seeds": _union(old.seeds, wanted.seeds)})


def _another(sweep: Sweep, field: str, before: Any, now: Any) -> RunError:
    names = {
        "config": "the recipe",
        "overrides": "the settings",
        "vary": "the varied settings",
        "data": "the data",
    }
    values = (f"{(json.dumps(each) if each else 'none')[:200]}" for each in (before, now))
    return RunError(
        f"The sweep {sweep.name} has another definition: {names[field]} were {next(values)} and are now "
        f"{next(values)}; give the options as before (more seeds and values may be added), or choose another name."
    )


def _union(old: list[Any], new: list[Any]) -> list[Any]:
    texts = {json.dumps(value) for value in old}
    return [*old, *(value for value in new if json.dumps(value) not in texts)]


@contextlib.contextmanager
def _locked_soon(folder: Path) -> Iterator[None]:
    """Lock a folder that other processes lock for moments only."""
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(folder))
                break
            except BusyRunError as error:
                if time.monotonic() > deadline:
                    raise RunError(f"Another process has been changing {folder} for long: try again.") from error
                time.sleep(0.02)
        yield


def short_name(field: str) -> str:
    """The name of a varied field in a table."""
    return "recipe" if field == "config" else field.rpartition(".")[2]


def describe(settings: Mapping[str, Any]) -> str:
    """Settings in words, such as ``learning_rate 0.001, dropout 0.3``."""
    return ", ".join(f"{short_name(field)} {value}" for field, value in settings.items())
