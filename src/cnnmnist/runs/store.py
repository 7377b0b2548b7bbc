"""The run directory: what one training leaves behind, how it is named and found."""

import contextlib
import itertools
import json
import math
import os
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.data.loading import Dataset, load_dataset
from cnnmnist.errors import DataError, MissingRunError, RunError, WriteError, in_one_sentence
from cnnmnist.files import replacing
from cnnmnist.runs.metadata import RunRecord, Status, new_record, versions

PRETRAINED = Path(__file__).parents[1] / "pretrained"
MAX_RECORD_BYTES = 1_000_000
MAX_METRICS_LINE = 1_000  # bytes


@dataclass(frozen=True)
class Metrics:
    """Of each iteration of a run, from the first."""

    losses: np.ndarray
    """Loss before the iteration's step, float32 (n,)."""
    accuracies: np.ndarray
    """Accuracy on its batch, likewise, float32 (n,)."""


class Run:
    """A training: its ``directory`` and its ``record``, which has the recipe, the data, how far it is, and the
    ``ladder`` of accuracies on the test split; :meth:`save` writes the record."""

    def __init__(self, directory: Path, record: RunRecord, figures: Path | None = None) -> None:
        self.directory = directory
        self.record = record
        self.figures = figures or directory / "figures"
        """Where figures of the run go."""

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.directory.name

    @property
    def model_file(self) -> Path:
        """The trained network, readable by plain Keras."""
        return self.directory / "model.keras"

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints are."""
        return self.directory / "checkpoints"

    @property
    def recording(self) -> Path:
        """Where the frames are that it recorded, if it was to record any."""
        return self.directory / "recording"

    @property
    def metrics_file(self) -> Path:
        """One JSON object per iteration: iteration, loss, accuracy, iterations_per_second."""
        return self.directory / "metrics.jsonl"

    def save(self) -> None:
        """Write the record.

        Raises:
            WriteError: it cannot be written.
        """
        with replacing(self.directory / "run.json") as temporary:
            temporary.write_text(self.record.model_dump_json(indent=2) + "\n", "utf-8")

    def note_end(self, status: Status) -> None:
        """Write how the training ended if that can still be written; whatever ended it matters more."""
        self.record.status = status
        with contextlib.suppress(WriteError):
            self.save()

    def version_changes(self) -> str:
        """What differs from when the run was made, such as ``keras 3.12.0 (now 3.13.1)``; empty for nothing."""
        then = self.record.versions
        changes = {name: now for name, now in versions().items() if then.get(name) != now}
        return ", ".join(f"{name} {then.get(name)} (now {now})" for name, now in changes.items())

    def append_metrics(
        self, last: int, losses: np.ndarray, accuracies: np.ndarray, iterations_per_second: float
    ) -> None:
        """Add a line for each of the iterations that ended with ``last``.

        Raises:
            WriteError: it cannot be written.
        """
        speed, lines = round(iterations_per_second, 2), []
        values = zip(losses, accuracies, strict=True)
        for iteration, (loss, accuracy) in enumerate(values, last - len(losses) + 1):
            rounded = {"loss": round(float(loss), 6), "accuracy": round(float(accuracy), 6)}
            lines.append(json.dumps({"iteration": iteration, **rounded, "iterations_per_second": speed}))
        try:
            with self.metrics_file.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise WriteError(f"Cannot write {self.metrics_file}: {in_one_sentence(error)}.") from error

    def load_metrics(self) -> Metrics:
        """Read what :meth:`append_metrics` wrote; a last line that a crash cut off is left out.

        Raises:
            RunError: the file is missing or damaged.
        """
        losses, accuracies = [], []
        try:
            with self.metrics_file.open("rb") as file:
                for number in itertools.count(1):
                    line = file.readline(MAX_METRICS_LINE)
                    if not line.endswith(b"\n") and len(line) < MAX_METRICS_LINE:
                        break
                    values = json.loads(line)
                    loss, accuracy = float(values["loss"]), float(values["accuracy"])
                    if values["iteration"] != number or not (math.isfinite(loss) and 0 <= accuracy <= 1):
                        raise ValueError("not what training writes")
                    losses.append(loss)
                    accuracies.append(accuracy)
        except OSError as error:
            raise RunError(f"Cannot read {self.metrics_file}: {in_one_sentence(error)}.") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise RunError(f"{self.metrics_file} is damaged in line {number}.") from error
        return Metrics(np.array(losses, np.float32), np.array(accuracies, np.float32))

    def truncate_metrics(self, iteration: int) -> None:
        """Forget the metrics of iterations after ``iteration``, which will be done again.

        Raises:
            WriteError: the file is missing or cannot be written.
        """
        with replacing(self.metrics_file) as temporary, self.metrics_file.open("rb") as old:
            temporary.write_bytes(b"".join(itertools.islice(old, iteration)))

    def load_dataset(self, name: str | None = None, data_dir: str | Path | None = None) -> Dataset:
        """The digits that the run was trained on, or others that the caller names.

        Raises:
            DataError: they are not there any more, not the same any more, or do not fit the network.
        """
        if name or data_dir:
            return self._fitting(load_dataset(name, data_dir))
        recorded = self.record.dataset
        dataset = load_dataset(recorded.name, recorded.data_dir)
        # Copies of MNIST are about that differ in a few faint pixels, so that its name is enough.
        if recorded.data_dir:
            self.check_same(dataset)
        return self._fitting(dataset)

    def check_same(self, dataset: Dataset) -> None:
        """Refuse other digits than those of the training.

        Raises:
            DataError: a pixel or a label differs.
        """
        if dataset.digest != self.record.dataset.digest:
            raise DataError(
                f"The digits of {dataset.source} are not those that the run {self.name} was trained on: "
                "name the ones to use with --data-dir or --dataset."
            )

    def _fitting(self, dataset: Dataset) -> Dataset:
        recorded, classes = self.record.dataset, len(dataset.class_names)
        if list(dataset.image_shape) != recorded.image_shape or classes > len(recorded.class_names):
            raise DataError(
                f"The run {self.name} is for {len(recorded.class_names)} classes of images of "
                f"{recorded.image_shape} pixels, which the digits of {dataset.source} are not: choose others."
            )
        if classes < len(recorded.class_names):  # a folder in which the last labels do not occur
            dataset = replace(dataset, class_names=tuple(recorded.class_names))
        return dataset

    def trained_on(self, dataset: Dataset, split: str) -> bool:
        """Whether images of this split were, or may have been, among those that the run was trained on."""
        if dataset.digest == self.record.dataset.digest or dataset.name == self.record.dataset.name:
            included = self.record.recipe.training.include_validation
            return split == "train" or (split == "validation" and included)
        # The embedded digits are training images of MNIST.
        pair = (self.record.dataset.name, dataset.name)
        return pair == ("mnist", "mnist5k") or (pair == ("mnist5k", "mnist") and split != "test")

    def load_model(self) -> Any:
        """The trained network, float32, from images in [0, 1] to logits.

        Raises:
            RunError: the run has not finished, or its model file is missing or damaged.
        """
        if not self.model_file.is_file():
            raise RunError(
                f"The run {self.name} has no trained network yet (status: {self.record.status}): "
                f"continue it with `cnnmnist train --resume {self.directory}`."
            )

        from cnnmnist.model import build_model, load_weights

        height, width = self.record.dataset.image_shape
        model = build_model(self.record.recipe.model, (height, width), len(self.record.dataset.class_names))
        load_weights(model, self.model_file)
        return model


def create_run(runs_dir: Path, name: str | None, recipe: Recipe, dataset: Dataset) -> Run:
    """Make a new run directory, named after the time and the recipe unless ``name`` is given.

    Raises:
        RunError: the name is not valid or taken.
        WriteError: the directory cannot be written.
    """
    started = datetime.now(UTC)
    record = new_record(recipe, dataset, started)
    if name is not None:
        _check_name(name)
    run = Run(_make_directory(runs_dir, name, f"{started.astimezone():%Y%m%d-%H%M%S}-{recipe.name}"), record)
    try:
        run.figures.mkdir()
        run.checkpoints.mkdir()
        run.metrics_file.touch()
    except OSError as error:
        raise WriteError(f"Cannot write to {run.directory}: {in_one_sentence(error)}.") from error
    run.save()
    return run


def load_run(name: str | Path = "latest", runs_dir: str | Path = "runs") -> Run:
    """Read what a training left behind.

    Args:
        name: a run directory, a run's name under ``runs_dir``, ``latest`` for the newest there, or ``pretrained``.
        runs_dir: where runs are kept.

    Raises:
        MissingRunError: there is no such run.
        RunError: its record is damaged.
    """
    name, runs_dir = str(name), Path(runs_dir)
    if name == "latest":
        newest = max(run_directories(runs_dir), key=_started, default=None)
        if newest is None:
            raise MissingRunError(f"There is no run in {runs_dir}: train one with `cnnmnist train`.")
        try:
            return _read_run(newest)
        except RunError as error:
            raise RunError(f"The latest run cannot be used, so name another one: {error}") from error
    if re.fullmatch(NAME_PATTERN, name) and _is_run(runs_dir / name):
        return _read_run(runs_dir / name)
    if name == "pretrained":
        # The program's own folder is not the place for what a user makes.
        return Run(PRETRAINED, _read_run(PRETRAINED).record, figures=runs_dir / "pretrained" / "figures")
    if _is_run(Path(name)):
        return _read_run(Path(name))
    raise MissingRunError(f"There is no run {name!r}, neither in {runs_dir} nor as a directory with a run.json.")


@dataclass(frozen=True)
class DamagedRun:
    """A run directory whose record cannot be read."""

    directory: Path
    reason: str


def list_runs(runs_dir: Path) -> list[Run | DamagedRun]:
    """All runs of a directory, newest first; none if it does not exist."""
    runs: list[Run | DamagedRun] = []
    for directory in sorted(run_directories(runs_dir), key=_started, reverse=True):
        try:
            runs.append(_read_run(directory))
        except RunError as error:
            runs.append(DamagedRun(directory, str(error)))
    return runs


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name) or name == "latest":
        raise RunError(
            f"{name!r} cannot name a run: use up to 64 letters, digits, dots, hyphens and underscores, "
            "other than 'latest'."
        )


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
        raise WriteError(f"Cannot write to the runs directory {runs_dir}: {in_one_sentence(error)}.") from error
    raise RunError(f"There is already a run {name!r} in {runs_dir}: choose another --name.")


def _is_run(directory: Path) -> bool:
    return os.path.isfile(directory / "run.json")  # noqa: PTH113 - Path.is_file raises for a name that is too long


def run_directories(runs_dir: Path) -> list[Path]:
    """The directories of all runs, whose records need not be readable; none if ``runs_dir`` does not exist."""
    try:
        return [path for path in runs_dir.iterdir() if _is_run(path)]
    except OSError:
        return []


def _started(directory: Path) -> str:
    """When a run started, in a form that sorts; a record that cannot be read counts by its file's age."""
    try:
        return _read_run(directory).record.started
    except RunError:
        with contextlib.suppress(OSError):
            changed = (directory / "run.json").stat().st_mtime
            return datetime.fromtimestamp(changed, UTC).isoformat(timespec="milliseconds")
        return ""


def _read_run(directory: Path) -> Run:
    path = directory / "run.json"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RECORD_BYTES + 1)
        if len(content) > MAX_RECORD_BYTES:
            raise RunError(f"{path} is larger than any run's record.")
        run = Run(directory, RunRecord.model_validate_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "its content"
        reason = in_one_sentence(ValueError(f"{field}: {first['msg']}"))
        raise RunError(f"{path} is damaged: {reason}.") from error
    except OSError as error:
        raise RunError(f"Cannot read {path}: {in_one_sentence(error)}.") from error
    for part in (run.model_file, run.metrics_file, run.checkpoints, run.recording, run.figures):
        if part.is_symlink():
            raise RunError(f"{part} is a symbolic link: put what it leads to in its place, if you trust it.")
    return run
