"""In what several runs differ."""

from collections.abc import Iterator, Sequence
from typing import Any

from cnnmnist.runs.metadata import RunRecord


def differences(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """What is not the same in all records, by dotted name: a value for each, none where it has no such field.

    Of the recipe, fields go by the names under which they are set, such as ``training.learning_rate``; layers are
    numbered, as in ``model.convolutions[0].filters``. What the runs reached is left out.
    """
    all_fields = [_fields(record) for record in records]
    names = list(dict.fromkeys(name for fields in all_fields for name in fields))
    values = {name: [fields.get(name) for fields in all_fields] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def _fields(record: RunRecord) -> dict[str, Any]:
    fields = dict(_flat(record.recipe.model_dump(exclude={"dataset"}), ""))
    data = record.dataset
    fields |= {
        "data": data.name,
        "data.digest": data.digest[:12],
        "data.image_shape": data.image_shape,
        "data.classes": len(data.class_names),
        "status": record.status,
        "precision": record.precision,
        "strategy": record.strategy,
        "replicas": record.replicas,
        "processor": record.processor,
    }
    return fields | {f"versions.{name}": version for name, version in record.versions.items()}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{number}]")
    else:
        yield name, value
