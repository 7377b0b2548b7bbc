"""How runs differ in recipe, data, versions and machine."""

from collections.abc import Sequence
from typing import Any

from cnnmnist.recipes import flatten
from cnnmnist.runs.metadata import RunMetadata


def differences(runs: Sequence[RunMetadata]) -> dict[str, list[Any]]:
    """Fields that differ between runs, by dotted name: a value for each run, None where it lacks the field.

    Of the recipe, fields go by the names under which they are set, such as ``training.learning_rate``; layers are
    numbered, as in ``model.convolutions[0].filters``. The results of the runs are left out.
    """
    all_fields = [_fields(metadata) for metadata in runs]
    names = list(dict.fromkeys(name for fields in all_fields for name in fields))
    values = {name: [fields.get(name) for fields in all_fields] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def _fields(metadata: RunMetadata) -> dict[str, Any]:
    fields = flatten(metadata.recipe.model_dump(exclude={"dataset"}))
    data = metadata.dataset
    fields |= {
        "data": data.name,
        "data.digest": data.digest[:12],
        "data.image_shape": data.image_shape,
        "data.classes": len(data.class_names),
        "status": metadata.status,
        "precision": metadata.precision,
        "strategy": metadata.strategy,
        "replicas": metadata.replicas,
        "processor": metadata.processor,
    }
    return fields | {f"versions.{name}": version for name, version in metadata.versions.items()}
