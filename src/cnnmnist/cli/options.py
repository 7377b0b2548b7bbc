"""Options that several commands have, and the help of options that set a field of the recipe."""

import ast
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from cnnmnist.cli.completion import DATASET, RUN

DIRECTORY = click.Path(file_okay=False, path_type=Path)
CONFIG_SOURCE = Path(__file__).parents[1] / "config.py"


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order in which help shows them."""
    return lambda function: functools.reduce(
        lambda inner, decorate: decorate(inner), reversed(decorators), function
    )


def recipe_option(field: str, **attributes: Any) -> Callable[[Any], Any]:
    """An option that sets a field of the recipe, as ``training.seed``; the field's docstring is its help."""
    name = field.rpartition(".")[2].replace("_", "-")
    return click.option(f"--{name}", help=field_docstrings()[field], **attributes)


@functools.cache
def field_docstrings() -> dict[str, str]:
    """The docstring of each field of a recipe, by dotted name.

    They are read in the source of :mod:`cnnmnist.config`, because importing it, and so pydantic, would delay help.
    """
    classes = {
        statement.name: list(pairwise(statement.body))
        for statement in ast.parse(CONFIG_SOURCE.read_text("utf-8")).body
        if isinstance(statement, ast.ClassDef)
    }

    def fields(section: str, prefix: str) -> Iterator[tuple[str, str]]:
        for field, after in classes[section]:
            match field, after:
                case ast.AnnAssign(ast.Name(name), annotation), ast.Expr(ast.Constant(str(docstring))):
                    inner = [each.id for each in ast.walk(annotation) if isinstance(each, ast.Name)]
                    yield prefix + name, docstring
                    for each in inner:
                        if each in classes:
                            yield from fields(each, f"{prefix}{name}.")

    return {name: " ".join(docstring.split()) for name, docstring in fields("Recipe", "")}


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """The values of :data:`common_options`: what most commands are told about runs and data."""

    dataset: str | None
    data_dir: Path | None
    runs_dir: Path
    as_json: bool


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document; messages go to standard error."
)
runs_dir_option = click.option(
    "--runs-dir",
    type=DIRECTORY,
    default="runs",
    envvar="CNNMNIST_RUNS_DIR",
    show_envvar=True,
    help="Folder of the runs.",
)
run_argument = click.argument("run_name", default="latest", type=RUN, metavar="[RUN]")
run_option = click.option(
    "--run",
    "run_name",
    type=RUN,
    metavar="RUN",
    help="Run to use.  [default: the latest or, if there is none, handwriting]",
)
split_option = click.option(
    "--split", type=click.Choice(["test", "validation", "train"]), default="test", help="Split to use."
)
data_dir_option = click.option(
    "--data-dir",
    type=DIRECTORY,
    help="Folder with the four IDX files, with or without .gz, with train.csv and test.csv, or with pictures in "
    "train/CLASS/ and test/CLASS/ or in CLASS/.  "
    "[default for mnist: $CNNMNIST_DATA_DIR]",
)
skip_damaged_option = click.option(
    "--skip-damaged", is_flag=True, help="Leave out pictures that cannot be read, and say how many."
)
data_options = options(
    click.option(
        "--dataset",
        type=DATASET,
        metavar="NAME",
        help="Data set: mnist, mnist5k (the 5,000 digits in the program), or another that `cnnmnist data list` "
        "shows; with --data-dir, the prefix of its files, or the data set of which IDX or CSV files are a part.",
    ),
    data_dir_option,
)
common_options = options(data_options, runs_dir_option, json_option)


def output_option(help: str, metavar: str = "FILE", *, folder_allowed: bool = False) -> Callable[[Any], Any]:
    """The option ``--output``."""
    kind = click.Path(dir_okay=folder_allowed, path_type=Path)
    return click.option("-o", "--output", type=kind, metavar=metavar, help=help)
