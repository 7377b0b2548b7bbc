"""Recipes: YAML files, overrides of single fields, and messages about what is wrong in them."""

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cnnmnist.config import ConvLayer, Recipe
from cnnmnist.errors import RecipeError, raised_as, reason, suggestion
from cnnmnist.files import read_file

MAX_RECIPE_BYTES = 65_536  # far above any real recipe, far below what hurts to parse
LONGEST_VALUE = 60  # characters of a wrong value in a message
# Accuracy on the test split after so many iterations, from the notebook of the tutorial.
TUTORIAL_LADDER = {0: 0.104, 1: 0.109, 100: 0.663, 1_000: 0.933, 10_000: 0.985}


def load_recipe(name_or_file: str | Path = "tutorial", overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe and override some of its fields.

    Args:
        name_or_file: the name of a recipe of the program, such as ``tutorial``, or the path of a YAML file.
        overrides: values by dotted field name, such as ``{"training.learning_rate": 3e-4}``.

    Raises:
        RecipeError: no such recipe, not valid YAML, or a field that is unknown or not valid.
    """
    path = find_recipe(str(name_or_file))
    values = parse_yaml(_read(path), str(path))
    if not isinstance(values, dict):
        raise RecipeError(f"{path} is not a recipe: it must be a mapping of fields to values.")
    recipe = validate_recipe({"name": path.stem, **values}, str(path))
    if not overrides:
        return recipe
    changed = recipe.model_dump()
    for field, value in overrides.items():
        _check_field(field)
        section, _, name = field.rpartition(".")
        (changed[section] if section else changed)[name] = value
    return validate_recipe(changed)


def validate_recipe(values: Mapping[str, Any], where: str = "") -> Recipe:
    """Check plain values against the fields of a recipe.

    ``where``, the place that the values come from, begins the message of an error.

    Raises:
        RecipeError: a field is unknown or not valid; the message names the first one.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problem = _explain(error.errors()[0])
        raise RecipeError(f"{where}: {problem}" if where else problem) from error


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the program."""
    folder = _shipped_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def recipe_results() -> dict[str, dict[str, Any]]:
    """What each recipe that ships with the program costs and reaches, as ``benchmarks/`` measured it.

    Returns:
        By name: the accuracy on MNIST's test split (mean, standard_deviation, minimum, maximum) as fractions of 1,
        over so many seeds, without a deviation for one seed; and relative_time, a multiple of the tutorial's.
    """
    results: dict[str, dict[str, Any]] = json.loads((_shipped_folder() / "results.json").read_text("utf-8"))
    return results


def recipe_description(name_or_file: str) -> str:
    """The comment that the file of a recipe begins with.

    Raises:
        RecipeError: there is no such recipe, or it cannot be read.
    """
    lines = _read(find_recipe(name_or_file)).decode("utf-8", errors="replace").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.lstrip("# ") for line in comment)


def find_recipe(name_or_file: str) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: no recipe that ships with the program and no file has this name.
    """
    if name_or_file in recipe_names():
        return _shipped_folder() / f"{name_or_file}.yaml"
    path = Path(name_or_file)
    with contextlib.suppress(ValueError, OSError):  # a NUL in the name, or one that is too long
        if path.exists():
            return path
    known = ", ".join(recipe_names())
    hint = suggestion(name_or_file, recipe_names())
    raise RecipeError(f"There is no recipe or file {name_or_file!r}{hint} (the program has {known}).")


def recipe_fields() -> list[str]:
    """Dotted names of every field that an override may set, such as ``training.batch_size``."""
    return list(dict.fromkeys(name.partition("[")[0] for name in flatten(Recipe().model_dump())))


def get_field(values: Mapping[str, Any], field: str) -> Any:
    """The value of a dotted field in nested mappings."""
    for part in field.split("."):
        values = values[part]
    return values


def flatten(values: Any) -> dict[str, Any]:
    """Nested mappings as one with dotted names; mappings in a list have numbers, ``convolutions[0].filters``."""
    return dict(_flat(values, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{number}]")
    else:
        yield name, value


def parse_yaml(content: bytes | str, where: str) -> Any:
    """Parse YAML without aliases, duplicate keys or any type but plain ones.

    Raises:
        RecipeError: it is not valid, or larger than any recipe needs to be.
    """
    if len(content) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{where} is too large: a recipe has at most {MAX_RECIPE_BYTES:,} bytes.")
    try:
        return yaml.load(content, Loader=_RecipeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RecipeError(f"{where}{line} is not valid YAML: {error.problem or error.context}.") from error
    except Exception as error:  # PyYAML raises nearly anything for a wrong value
        cause = reason(error)
        if isinstance(error, UnicodeDecodeError | yaml.reader.ReaderError):
            cause = "it is not UTF-8 text"
        elif isinstance(error, RecursionError):
            cause = "it is nested too deeply"
        raise RecipeError(f"{where} is not valid YAML: {cause}.") from error


class _RecipeLoader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases (they can expand without bounds), tags and duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        alias = isinstance(event, yaml.AliasEvent)
        if alias or event.tag is not None:
            problem = f"{'aliases' if alias else 'tags'} are not allowed in a recipe"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the field {key.value!r} occurs twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot in a float, so that PyYAML reads 1e-4 as text; YAML 1.2 does not.
_RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d[\d_]*(?:\.\d*)?[eE][-+]?\d+\Z"), list("-+0123456789")
)


def _read(path: Path) -> bytes:
    with raised_as(RecipeError, f"Cannot read the recipe {path}"):
        return read_file(path, MAX_RECIPE_BYTES)


def _shipped_folder() -> Path:
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def _check_field(field: str) -> None:
    fields = recipe_fields()
    if field not in fields:
        full_names = {name.rpartition(".")[2]: name for name in fields}
        hint = suggestion(full_names.get(field, field), fields)
        raise RecipeError(f"A recipe has no field {field!r}{hint or '.'}")


def _explain(error: ErrorDetails) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section: Any = Recipe
        for part in error["loc"][:-1]:
            if isinstance(part, str):
                section = section.model_fields[part].annotation
                section = ConvLayer if section == list[ConvLayer] else section
        return f"unknown field {path!r}{suggestion(str(error['loc'][-1]), section.model_fields) or '.'}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{path}: {message[0].lower()}{message[1:]}, not {_short(error['input'])}."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
