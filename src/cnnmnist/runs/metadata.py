"""Metadata of a run: the content of ``run.json``, with types and bounds as a recipe has."""

import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from cnnmnist.config import LEAST_TEMPERATURE, MOST_TEMPERATURE, Precision, Recipe
from cnnmnist.data.registry import DATASETS, Preparation
from cnnmnist.errors import RunError, one_line
from cnnmnist.processor import CORES, processor_name

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

# The program prints these fields, so the run of a stranger must not have control characters in them.
Text = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
MAX_METADATA_BYTES = 1_000_000
MAX_SECONDS = 1e10
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
MAX_ITERATIONS = 100_000_000  # the limit of a recipe
Iteration = Annotated[int, Field(ge=0, le=MAX_ITERATIONS)]
Side = Annotated[int, Field(ge=8, le=64)]
Instant = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$")]
Status = Literal["running", "finished", "interrupted", "failed"]


class Metadata(BaseModel):
    """The content of a file that may come from a stranger."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_assignment=True)


class Rung(Metadata):
    """Accuracy on the test split after some iterations."""

    iteration: Iteration
    accuracy: Fraction


class DatasetMetadata(Metadata):
    """The data set of a training, with the fields of :class:`cnnmnist.data.loading.Dataset`."""

    name: Text
    source: Text
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    data_dir: Annotated[Text | None, BeforeValidator(lambda path: str(path) if isinstance(path, Path) else path)]
    class_names: tuple[Annotated[Text, Field(max_length=255)], ...] = Field(
        min_length=2, max_length=100, strict=False
    )
    from_pictures: bool = False
    image_shape: tuple[Side, Side] = Field(strict=False)
    splits: dict[Literal["train", "validation", "test"], Annotated[int, Field(ge=1, le=2**32)]]
    preparation: Preparation
    background: int | None = Field(None, ge=0, le=255)

    @model_validator(mode="before")
    @classmethod
    def _derive_preparation(cls, values: Any) -> Any:
        """Runs of earlier versions do not say how pictures are prepared: the name of their data set does."""
        if not isinstance(values, dict) or "preparation" in values:
            return values
        known = None if values.get("from_pictures") else DATASETS.get(str(values.get("name")))
        return values | {"preparation": known.preparation if known else "whole"}


class RunMetadata(Metadata):
    """The content of ``run.json``."""

    status: Status = "running"
    started: Instant
    recipe: Recipe
    dataset: DatasetMetadata
    versions: dict[Text, Text]
    processor: Text
    strategy: Text = "single"
    replicas: int = Field(1, ge=1, le=100_000)
    batch_per_replica: int | None = Field(None, ge=1, le=65_536)
    precision: Precision | None = None
    iteration: Iteration = 0
    temperature: float = Field(1.0, ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE)
    seconds: float = Field(0.0, ge=0.0, le=MAX_SECONDS)
    ladder: list[Rung] = []


def parse_metadata(content: bytes, path: Path) -> RunMetadata:
    """Check the content of the file ``path``.

    Raises:
        RunError: a field is not valid; the message names the first one.
    """
    try:
        return RunMetadata.model_validate_json(content)
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {_problem(error)}.") from error


def new_metadata(recipe: Recipe, dataset: "Dataset", started: datetime) -> RunMetadata:
    """Make the metadata of a run that has not begun; ``started`` is in UTC.

    Raises:
        RunError: a name or the path of the data set is too long.
    """
    try:
        return RunMetadata(
            started=started.isoformat(timespec="milliseconds"),
            recipe=recipe,
            dataset=DatasetMetadata.model_validate(dataset, from_attributes=True),
            versions=versions(),
            processor=f"{processor_name()}, {CORES} threads",
        )
    except ValidationError as error:
        raise RunError(f"A run cannot record this data set: {_problem(error)}; rename it.") from error


def versions() -> dict[str, str]:
    """Return the versions of the packages that affect the bits of a run."""
    packages = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"cnnmnist": version("cnnmnist"), "python": platform.python_version(), **packages}


def _problem(error: ValidationError) -> str:
    """The first field that is wrong, and why."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "its content"
    return one_line(f"{field}: {first['msg']}")
