"""The runs directory: new runs, runs by name, and all runs."""

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.errors import MissingRunError, RunError, WriteError, raised_as
from cnnmnist.files import TEMPORARY_NAME, remove_leftovers, temporary
from cnnmnist.layers import check_memory, list_layers
from cnnmnist.runs.metadata import new_metadata
from cnnmnist.runs.run import Run

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file, also where a run may be copied to Windows
RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?|.*\.", re.IGNORECASE)
SHIPPED = {name: Path(__file__).parents[1] / name for name in ("handwriting", "pretrained")}


def create_run(runs_dir: Path, name: str | None, recipe: Recipe, dataset: "Dataset", replicas: int = 1) -> Run:
    """Make a new run directory; its default name is the time and the recipe's name.

    Raises:
        RecipeError: the network is too large, or a step takes more memory than this machine has.
        RunError: the name is not valid, or there is a run of this name.
        WriteError: the directory cannot be written.
    """
    layers = list_layers(recipe.model, dataset.image_shape, len(dataset.class_names))
    check_memory(layers, recipe.training.batch_size // replicas)
    started = datetime.now(UTC)
    metadata = new_metadata(recipe, dataset, started)
    check_new_name(runs_dir, name)
    default = f"{started.astimezone():%Y%m%d-%H%M%S}-{recipe.name.rstrip('.')}"
    names = [name] if name else itertools.chain([default], (f"{default}-{n}" for n in itertools.count(2)))
    with raised_as(WriteError, f"Cannot write to the runs directory {runs_dir}"):
        runs_dir.mkdir(parents=True, exist_ok=True)
        remove_leftovers(runs_dir)
        # A kill leaves no run directory without its metadata, because the directory gets its name last.
        with temporary(runs_dir / default, folder=True) as folder:
            run = Run(folder, metadata)
            run.figures.mkdir()
            run.checkpoints.mkdir()
            run.metrics_file.touch()
            run.save()
            for candidate in names:
                try:
                    folder.rename(runs_dir / candidate)  # which replaces an empty folder
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                        raise
                else:
                    return Run.read(runs_dir / candidate)
    raise RunError(f"There is already something else {name!r} in {runs_dir}: choose another name.")


def check_new_name(runs_dir: Path, name: str | None) -> None:
    """Check that a new run or a sweep can have the name.

    Raises:
        RunError: it is not valid, or there is a run of this name.
    """
    if name is None:
        return
    if not re.fullmatch(NAME_PATTERN, name) or name == "latest" or RESERVED.fullmatch(name):
        raise RunError(
            f"{name!r} cannot name a run or a sweep: use up to 64 letters, digits, dots, hyphens and underscores, "
            "other than 'latest', without a dot at the end and names that Windows reserves, such as 'con'."
        )
    if is_run(runs_dir / name):
        raise RunError(f"There is already a run {name!r} in {runs_dir}: choose another name.")


def load_run(name: str | Path = "latest", runs_dir: str | Path = "runs") -> Run:
    """Load a run.

    Args:
        name: name of a run in ``runs_dir``, or of a sweep there and of one of its runs, as ``rates/seed-0``;
            ``latest`` for the newest there, ``handwriting`` or ``pretrained``,
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
    if all(re.fullmatch(NAME_PATTERN, part) for part in name.split("/", 1)) and is_run(runs_dir / name):
        return Run.read(runs_dir / name)
    if name in SHIPPED:
        # A figure that the user draws must not go to the folder of the program.
        return Run(SHIPPED[name], Run.read(SHIPPED[name]).metadata, figures=runs_dir / name / "figures")
    if is_run(Path(name)):
        return Run.read(Path(name))
    if find_sweep(name, runs_dir):
        raise MissingRunError(
            f"{name!r} is a sweep: name one of its runs, which `cnnmnist runs` lists with its name."
        )
    raise MissingRunError(f"There is no run {name!r}, neither in {runs_dir} nor as a directory with a run.json.")


@dataclass(frozen=True)
class DamagedRun:
    """A run directory whose metadata cannot be read."""

    directory: Path
    reason: str
    started: str
    """When its file ``run.json`` changed last, as a run says when it started; empty where nobody knows."""


def list_runs(runs_dir: Path) -> list[Run | DamagedRun]:
    """Load all runs of a directory, newest first; return no runs if it does not exist.

    A damaged run is as old as its file ``run.json``.
    """
    runs: list[Run | DamagedRun] = []
    for directory in run_directories(runs_dir):
        try:
            runs.append(Run.read(directory))
        except RunError as error:
            started = ""
            with contextlib.suppress(OSError):
                changed = datetime.fromtimestamp((directory / "run.json").stat().st_mtime, UTC)
                started = changed.isoformat(timespec="milliseconds")
            runs.append(DamagedRun(directory, str(error), started))
    return sorted(
        runs, key=lambda run: run.metadata.started if isinstance(run, Run) else run.started, reverse=True
    )


def run_directories(folder: Path) -> Iterator[Path]:
    """The run directories in a folder, in no order; none if it does not exist."""
    with contextlib.suppress(OSError, ValueError):  # such as a name that is too long, or has a NUL
        yield from filter(is_run, folder.iterdir())


def is_run(directory: Path) -> bool:
    """Whether a folder is a run directory, and none that a killed process left before it was whole."""
    # Path.is_file raises for a name that is too long.
    return os.path.isfile(directory / "run.json") and not TEMPORARY_NAME.fullmatch(directory.name)  # noqa: PTH113


def is_sweep(directory: Path) -> bool:
    """Whether a folder is that of a sweep: it holds runs, and is no run itself."""
    return not is_run(directory) and any(run_directories(directory))


def find_sweep(name: str, runs_dir: Path) -> Path | None:
    """The folder of the sweep of that name in a runs directory, or else in that folder; None if there is none."""
    for folder in (runs_dir / name, Path(name)):
        if is_sweep(folder) and folder.resolve() != runs_dir.resolve():
            return folder
    return None


def list_sweeps(runs_dir: Path) -> list[Path]:
    """The folders of the sweeps in a runs directory, by name; none if it does not exist."""
    return sorted(filter(is_sweep, runs_dir.glob("*")))
