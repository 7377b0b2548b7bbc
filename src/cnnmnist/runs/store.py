"""The runs directory: new runs, runs by name, and all runs."""

import contextlib
import itertools
import operator
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.data.loading import Dataset
from cnnmnist.errors import MissingRunError, RunError, WriteError, one_line, reason
from cnnmnist.runs.metadata import RunMetadata, new_metadata
from cnnmnist.runs.run import Run

SHIPPED = {name: Path(__file__).parents[1] / name for name in ("handwriting", "pretrained")}
MAX_METADATA_BYTES = 1_000_000


def create_run(runs_dir: Path, name: str | None, recipe: Recipe, dataset: Dataset) -> Run:
    """Make a new run directory; its default name is the time and the recipe's name.

    Raises:
        RunError: the name is not valid, or there is a run of this name.
        WriteError: the directory cannot be written.
    """
    started = datetime.now(UTC)
    metadata = new_metadata(recipe, dataset, started)
    if name is not None and (not re.fullmatch(NAME_PATTERN, name) or name == "latest"):
        raise RunError(
            f"{name!r} cannot name a run: use up to 64 letters, digits, dots, hyphens and underscores, "
            "other than 'latest'."
        )
    run = Run(_make_directory(runs_dir, name, f"{started.astimezone():%Y%m%d-%H%M%S}-{recipe.name}"), metadata)
    try:
        run.figures.mkdir()
        run.checkpoints.mkdir()
        run.metrics_file.touch()
    except OSError as error:
        raise WriteError(f"Cannot write to {run.directory}: {reason(error)}.") from error
    run.save()
    return run


def load_run(name: str | Path = "latest", runs_dir: str | Path = "runs") -> Run:
    """Load a run.

    Args:
        name: name of a run in ``runs_dir``, ``latest`` for the newest there, ``handwriting`` or ``pretrained``,
            which ship with the program, or a run directory.
        runs_dir: folder of the runs.

    Raises:
        MissingRunError: there is no such run.
        RunError: the metadata of the run are damaged.
    """
    name, runs_dir = str(name), Path(runs_dir)
    if name == "latest":
        runs = list_runs(runs_dir)
        if not runs:
            raise MissingRunError(f"There is no run in {runs_dir}: train one with `cnnmnist train`.")
        if isinstance(runs[0], DamagedRun):
            raise RunError(f"The latest run cannot be used, so name another one: {runs[0].reason}")
        return runs[0]
    if re.fullmatch(NAME_PATTERN, name) and _is_run(runs_dir / name):
        return _read_run(runs_dir / name)
    if name in SHIPPED:
        # A figure that the user draws must not go to the folder of the program.
        return Run(SHIPPED[name], _read_run(SHIPPED[name]).metadata, figures=runs_dir / name / "figures")
    if _is_run(Path(name)):
        return _read_run(Path(name))
    raise MissingRunError(f"There is no run {name!r}, neither in {runs_dir} nor as a directory with a run.json.")


@dataclass(frozen=True)
class DamagedRun:
    """A run directory whose metadata cannot be read."""

    directory: Path
    reason: str


def list_runs(runs_dir: Path) -> list[Run | DamagedRun]:
    """Load all runs of a directory, newest first; return no runs if it does not exist.

    A damaged run is as old as its file ``run.json``.
    """
    directories: list[Path] = []
    with contextlib.suppress(OSError):
        directories = [path for path in runs_dir.iterdir() if _is_run(path)]
    runs: list[tuple[str, Run | DamagedRun]] = []
    for directory in directories:
        try:
            run = _read_run(directory)
            runs.append((run.metadata.started, run))
        except RunError as error:
            started = ""
            with contextlib.suppress(OSError):
                changed = datetime.fromtimestamp((directory / "run.json").stat().st_mtime, UTC)
                started = changed.isoformat(timespec="milliseconds")
            runs.append((started, DamagedRun(directory, str(error))))
    return [run for _, run in sorted(runs, key=operator.itemgetter(0), reverse=True)]


def _make_directory(runs_dir: Path, name: str | None, default: str) -> Path:
    names = [name] if name else itertools.chain([default], (f"{default}-{n}" for n in itertools.count(2)))
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for candidate in names:
            try:
                (runs_dir / candidate).mkdir()
            except FileExistsError:
                continue
            return runs_dir / candidate
    except OSError as error:
        raise WriteError(f"Cannot write to the runs directory {runs_dir}: {reason(error)}.") from error
    raise RunError(f"There is already a run {name!r} in {runs_dir}: choose another --name.")


def _is_run(directory: Path) -> bool:
    return os.path.isfile(directory / "run.json")  # noqa: PTH113 - Path.is_file raises for a name that is too long


def _read_run(directory: Path) -> Run:
    path = directory / "run.json"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_METADATA_BYTES + 1)
        if len(content) > MAX_METADATA_BYTES:
            raise RunError(f"{path} is larger than the metadata of any run.")
        run = Run(directory, RunMetadata.model_validate_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "its content"
        problem = one_line(f"{field}: {first['msg']}")
        raise RunError(f"{path} is damaged: {problem}.") from error
    except OSError as error:
        raise RunError(f"Cannot read {path}: {reason(error)}.") from error
    for part in (run.model_file, run.metrics_file, run.checkpoints, run.snapshots, run.figures):
        if part.is_symlink():
            raise RunError(f"{part} is a symbolic link: replace it by its target, if you trust the target.")
    return run
