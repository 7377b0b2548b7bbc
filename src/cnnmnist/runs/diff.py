"""Differences between runs: recipe, data, versions and machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnmnist.recipes import flatten
from cnnmnist.runs.metadata import RunMetadata


def differences(runs: Sequence[RunMetadata]) -> dict[str, list[Any]]:
    """Find the fields that differ between runs, but for their results.

    Returns:
        A value for each run by dotted name of the field, None where a run lacks the field. A field of the recipe
        has the name that ``--set`` takes, such as ``training.learning_rate``, or, in a layer, a number, as in
        ``model.convolutions[0].filters``.
    """
    return differing([_fields(metadata) for metadata in runs])


def differing(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The fields in which records differ, with a value for each record, None where it lacks the field."""
    names = dict.fromkeys(name for fields in records for name in fields)
    values = {name: [fields.get(name) for fields in records] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def recipe_and_data(metadata: RunMetadata) -> dict[str, Any]:
    """What a training begins with, by dotted name: the fields of its recipe, and the digest of its data."""
    fields = flatten(metadata.recipe.model_dump(exclude={"dataset"}))
    return fields | {"data.digest": metadata.dataset.digest[:12]}


def _fields(metadata: RunMetadata) -> dict[str, Any]:
    dataset = metadata.dataset
    fields = recipe_and_data(metadata) | {
        "data": dataset.name,
        "data.image_shape": dataset.image_shape,
        "data.classes": len(dataset.class_names),
        "status": metadata.status,
        "precision": metadata.precision,
        "strategy": metadata.strategy,
        "replicas": metadata.replicas,
        "processor": metadata.processor,
    }
    return fields | {f"versions.{name}": version for name, version in metadata.versions.items()}
