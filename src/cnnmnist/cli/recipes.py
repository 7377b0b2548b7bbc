"""``cnnmnist recipes``."""

import json
from collections.abc import Iterator
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.completion import RECIPE
from cnnmnist.cli.options import field_docstrings, json_option
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal


@click.command(cls=Command)
@click.argument("name", required=False, type=RECIPE, metavar="[NAME|FILE]")
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the recipes with their iterations, time and accuracy, or explain every field of one.

    The explanation is itself a recipe file: save it, change it, and train with `--config FILE`.

    \b
    cnnmnist recipes
    cnnmnist recipes fast
    cnnmnist recipes fast > mine.yaml
    """
    terminal = Terminal(as_json)
    if name is None:
        _list(terminal)
    else:
        _explain(name, terminal)


def _list(terminal: Terminal) -> None:
    from cnnmnist.recipes import recipe_description, recipe_names, recipe_results

    results, rows, documents = recipe_results(), [], []
    for name in sorted(recipe_names(), key=lambda name: ("/" in name, name)):
        result, iterations = results[name], cnnmnist.load_recipe(name).training.iterations
        deviation = "-" if result["seeds"] == 1 else f"{100 * result['standard_deviation']:.2f}"
        rows.append(
            (name, f"{iterations:,}", f"{result['relative_time']:.2f}", f"{result['mean']:.2%}", deviation)
        )
        description = recipe_description(name)
        documents.append({"name": name, "description": description, "iterations": iterations, **result})
    table = make_table(["recipe", "iterations", "time", "accuracy", "deviation"], rows)
    terminal.out.print(table)
    for document in documents:
        terminal.out.print(f"{document['name']}: {document['description']}")
    terminal.out.print(
        "\nTime: the time of the training divided by the tutorial's. Accuracy: mean and standard deviation over 5 "
        "seeds on MNIST's test split; a recipe without a deviation was trained with one seed."
    )
    terminal.result(documents)


def _explain(name: str, terminal: Terminal) -> None:
    from cnnmnist.recipes import recipe_description

    recipe, description = cnnmnist.load_recipe(name), recipe_description(name)
    heading = [f"# {description}"] if description else []
    terminal.out.print("\n".join([*heading, *_explained(recipe)]))
    document = {"name": name, "description": description}
    terminal.result(document | {"recipe": recipe.model_dump(), "fields": field_docstrings()})


def _explained(recipe: "cnnmnist.Recipe") -> Iterator[str]:
    """The lines of a YAML file with every field of a recipe, each below its docstring."""
    docstrings = field_docstrings()

    def lines(values: dict[str, Any], prefix: str, indent: str) -> Iterator[str]:
        for name, value in values.items():
            yield f"{indent}# {docstrings[prefix + name]}"
            if isinstance(value, dict):
                yield f"{indent}{name}:"
                yield from lines(value, f"{prefix}{name}.", indent + "  ")
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                yield from (f"{indent}#   {key}: {docstrings[f'{prefix}{name}.{key}']}" for key in value[0])
                yield f"{indent}{name}:"
                yield from (f"{indent}  - {json.dumps(each)}" for each in value)
            else:
                yield f"{indent}{name}: {json.dumps(value)}"

    return lines(recipe.model_dump(), "", "")
