"""The run directory: what one training leaves behind, how it is named and found."""

import itertools
import json
import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnnmnist import __version__
from cnnmnist.config import NAME_PATTERN, Recipe
from cnnmnist.data.sources import DATASETS, Dataset, load_dataset
from cnnmnist.errors import DataError, RunError, in_one_sentence
from cnnmnist.files import replacing

PRETRAINED = Path(__file__).parent / "pretrained"
MAX_RECORD_BYTES = 1_000_000
# Record fields are printed: no control character may reach the terminal from a run of a stranger.
Text = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Rung(_Record):
    """Accuracy on the test split after some iterations."""

    iteration: int = Field(ge=0)
    accuracy: Fraction


class DatasetRecord(_Record):
    """Which digits a run was trained on."""

    name: Text
    source: Text
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    data_dir: Text | None
    class_names: list[Text] = Field(min_length=2, max_length=100)
    image_shape: list[Annotated[int, Field(ge=8, le=64)]] = Field(min_length=2, max_length=2)
    splits: dict[Literal["train", "validation", "test"], Annotated[int, Field(ge=1)]]


class RunRecord(_Record):
    """The content of ``run.json``."""

    status: Literal["running", "finished", "interrupted", "failed"] = "running"
    started: Text
    recipe: Recipe
    dataset: DatasetRecord
    versions: dict[Text, Text]
    processor: Text
    strategy: Text = "single"
    replicas: int = Field(1, ge=1)
    precision: Literal["float32", "mixed_bfloat16"] | None = None
    iteration: int = Field(0, ge=0)
    seconds: float = Field(0.0, ge=0.0)
    ladder: list[Rung] = []


class Run:
    """A run directory and its record; :meth:`save` writes the record."""

    def __init__(self, directory: Path, record: RunRecord) -> None:
        self.directory = directory
        self.record = record

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.directory.name

    @property
    def model_file(self) -> Path:
        """The trained network, readable by plain Keras."""
        return self.directory / "model.keras"

    @property
    def figures(self) -> Path:
        """Where figures of the run go."""
        return self.directory / "figures"

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints are."""
        return self.directory / "checkpoints"

    @property
    def metrics_file(self) -> Path:
        """One JSON object per iteration: iteration, loss, accuracy, iterations_per_second."""
        return self.directory / "metrics.jsonl"

    def save(self) -> None:
        """Write the record.

        Raises:
            RunError: it cannot be written.
        """
        with replacing(self.directory / "run.json") as temporary:
            temporary.write_text(self.record.model_dump_json(indent=2) + "\n", "utf-8")

    def append_metrics(
        self, last: int, losses: np.ndarray, accuracies: np.ndarray, iterations_per_second: float
    ) -> None:
        """Add a line for each of the iterations that ended with ``last``.

        Raises:
            RunError: it cannot be written.
        """
        first = last - len(losses) + 1
        lines = [
            json.dumps(
                {
                    "iteration": first + number,
                    "loss": round(float(loss), 6),
                    "accuracy": round(float(accuracy), 6),
                    "iterations_per_second": round(iterations_per_second, 2),
                }
            )
            for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
        ]
        try:
            with self.metrics_file.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise RunError(f"Cannot write {self.metrics_file}: {in_one_sentence(error)}.") from error

    def truncate_metrics(self, iteration: int) -> None:
        """Forget the metrics of iterations after ``iteration``, which will be done again.

        Raises:
            RunError: the file is missing or cannot be written.
        """
        with replacing(self.metrics_file) as temporary, self.metrics_file.open(encoding="utf-8") as old:
            temporary.write_text("".join(itertools.islice(old, iteration)), "utf-8")

    def load_dataset(self, name: str | None = None, data_dir: Path | None = None) -> Dataset:
        """The digits that the run was trained on, or others that the caller names.

        Raises:
            DataError: they are not there any more, or not the same any more.
        """
        if name or data_dir:
            return load_dataset(name, data_dir)
        recorded = self.record.dataset
        folder = Path(recorded.data_dir) if recorded.data_dir else None
        known = recorded.name in DATASETS
        dataset = load_dataset(recorded.name if known else None, folder)
        # Copies of MNIST are about that differ in a few faint pixels, so that its name is enough.
        if dataset.digest != recorded.digest and (folder or not known):
            raise DataError(
                f"The digits of {dataset.source} are not those that the run {self.name} was trained on: "
                "name the ones to use with --data-dir or --dataset."
            )
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
        from cnnmnist.model import build_model, load_weights

        if not self.model_file.exists():
            raise RunError(
                f"The run {self.name} has no trained network yet (status: {self.record.status}): "
                f"continue it with `cnnmnist train --resume {self.name}`."
            )
        height, width = self.record.dataset.image_shape
        model = build_model(self.record.recipe.model, (height, width), len(self.record.dataset.class_names))
        load_weights(model, self.model_file)
        return model


def create_run(runs_dir: Path, name: str | None, recipe: Recipe, dataset: Dataset) -> Run:
    """Make a new run directory, named after the time and the recipe unless ``name`` is given.

    Raises:
        RunError: the name is not valid or taken, or the directory cannot be written.
    """
    started = datetime.now(UTC)
    record = RunRecord(
        started=started.isoformat(timespec="milliseconds"),
        recipe=recipe,
        dataset=DatasetRecord(
            name=dataset.name,
            source=dataset.source,
            digest=dataset.digest,
            data_dir=str(dataset.data_dir) if dataset.data_dir else None,
            class_names=list(dataset.class_names),
            image_shape=list(dataset.image_shape),
            splits={
                "train": len(dataset.train),
                "validation": len(dataset.validation),
                "test": len(dataset.test),
            },
        ),
        versions=versions(),
        processor=_processor(),
    )
    if name is not None:
        _check_name(name)
    run = Run(_make_directory(runs_dir, name, f"{started.astimezone():%Y%m%d-%H%M%S}-{recipe.name}"), record)
    run.figures.mkdir()
    run.checkpoints.mkdir()
    run.metrics_file.touch()
    run.save()
    return run


def find_run(name: str, runs_dir: Path) -> Run:
    """Read the run of a directory, of a name under ``runs_dir``, the ``latest`` there, or ``pretrained``.

    Raises:
        RunError: there is no such run, or its record is damaged.
    """
    if name == "latest":
        newest = max(_run_directories(runs_dir), key=_started, default=None)
        if newest is None:
            raise RunError(f"There is no run in {runs_dir}: train one with `cnnmnist train`.")
        return _read_run(newest)
    if name == "pretrained" and not (runs_dir / name).exists():
        return _read_run(PRETRAINED)
    inside = runs_dir / name
    if re.match(NAME_PATTERN, name) and (inside / "run.json").is_file():
        return _read_run(inside)
    if (Path(name) / "run.json").is_file():
        return _read_run(Path(name))
    raise RunError(f"There is no run {name!r}, neither in {runs_dir} nor as a directory with a run.json.")


def versions() -> dict[str, str]:
    """Versions of all that decides a run's bits."""
    packages = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"cnnmnist": __version__, "python": platform.python_version(), **packages}


def _check_name(name: str) -> None:
    if not re.match(NAME_PATTERN, name) or name == "latest":
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
        raise RunError(f"Cannot write to the runs directory {runs_dir}: {in_one_sentence(error)}.") from error
    raise RunError(f"There is already a run {name!r} in {runs_dir}: choose another --name.")


def _run_directories(runs_dir: Path) -> Iterator[Path]:
    try:
        yield from (path for path in runs_dir.iterdir() if (path / "run.json").is_file())
    except OSError:
        return


def _started(directory: Path) -> str:
    """When a run started, in a form that sorts; a record that cannot be read counts by its file's age."""
    try:
        return _read_run(directory).record.started
    except RunError:
        changed = (directory / "run.json").stat().st_mtime
        return datetime.fromtimestamp(changed, UTC).isoformat(timespec="milliseconds")


def _read_run(directory: Path) -> Run:
    path = directory / "run.json"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RECORD_BYTES + 1)
        if len(content) > MAX_RECORD_BYTES:
            raise RunError(f"{path} is larger than any run's record.")
        return Run(directory, RunRecord.model_validate_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "its content"
        raise RunError(f"{path} is damaged: {field}: {in_one_sentence(ValueError(first['msg']))}.") from error
    except OSError as error:
        raise RunError(f"Cannot read {path}: {in_one_sentence(error)}.") from error


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} threads"
