"""``cnnmnist summary``."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.table import Table

import cnnmnist
from cnnmnist.cli.command import Command, printable
from cnnmnist.cli.completion import DATASET, RUN_OR_RECIPE
from cnnmnist.cli.options import DIRECTORY, CommonOptions, json_option, output_option, runs_dir_option
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.data.registry import DATASETS, DIGITS
from cnnmnist.errors import MissingRunError

if TYPE_CHECKING:
    from cnnmnist.config import ModelConfig

COUNTS = ("parameters", "multiplications")
NAMED_SHAPE = (28, 28)  # of the images of all data sets that have a name


@dataclass(frozen=True, kw_only=True)
class SummaryOptions(CommonOptions):
    """What was asked of ``cnnmnist summary``."""

    name: str | None
    output: Path | None
    time: bool


@click.command(cls=Command)
@click.argument("name", required=False, type=RUN_OR_RECIPE, metavar="[RUN|RECIPE]")
@output_option("Draw the network, too, in a .png, .svg or .pdf file.")
@click.option("--time", is_flag=True, help="Measure the share of the time that each layer takes, too.")
@click.option("--dataset", type=DATASET, metavar="NAME", help="For a recipe: the data set.  [default: mnist]")
@click.option("--data-dir", type=DIRECTORY, help="For a recipe: the folder of the data set.")
@runs_dir_option
@json_option
def command(**given: Any) -> None:
    """Show a network layer by layer: output shape, parameters, and multiplications per image.

    The argument is a run, trained or not, or a recipe. The default is the latest run or, if there is none, the
    recipe tutorial.

    A convolution has output height x output width x filters x filter height x filter width x input channels
    multiplications; a filter that reaches beyond the image counts in full. A dense layer has inputs x units. With
    --time, TensorFlow computes forward passes on this machine, in float32, and each layer is measured alone.

    The JSON document has run or recipe, image_shape, classes, parameters, multiplications, figures, and layers.
    Each layer has name, kind (Keras' class), output_shape, parameters, multiplications, and, with --time, share
    (of the time, from 0 to 1).

    \b
    cnnmnist summary
    cnnmnist summary best --output network.svg
    """
    options = SummaryOptions(**given)
    output = options.output
    if output:
        from cnnmnist.visualization.figures import check_figure_path  # imports matplotlib

        check_figure_path(output)
    from cnnmnist.layers import list_layers  # imports pydantic

    terminal = Terminal(options.as_json)
    subject = _run(options) or _recipe(options)
    layers = list_layers(*subject.network)
    timing = None
    if options.time:
        with terminal.waiting("Measuring"):
            from cnnmnist.summary import time_layers  # imports TensorFlow

            timing = time_layers(*subject.network)
    _, (height, width), classes = subject.network
    title = f"The network of the {subject.kind} {subject.name}"
    terminal.out.print(f"{title}, for images of {height}x{width} pixels, {classes} classes")
    documents = [
        {key: getattr(layer, key) for key in ("name", "kind", "output_shape", *COUNTS)} for layer in layers
    ]
    total = {key: sum(document[key] for document in documents) for key in COUNTS}
    for document, share in zip(documents, timing.shares if timing else [], strict=False):
        document["share"] = round(share, 4)
    terminal.out.print(_table(documents, total, timed=timing is not None))
    if timing:
        terminal.out.print(
            f"Time: for {timing.images:,} images at once, in float32, on this machine. Each layer was measured "
            f"alone; the fastest of {timing.passes:,} passes counts."
        )
    if output:
        shows_digit = subject.reads_digits and (height, width) == NAMED_SHAPE
        image = cnnmnist.load_dataset("mnist5k").test.images[0] if shows_digit else None
        heading = printable(f"{title}: {total['parameters']:,} parameters")
        cnnmnist.save_figure(cnnmnist.draw_network(*subject.network, title=heading, image=image), output)
        terminal.out.print(f"Figure: {output}")
    terminal.result(
        {
            subject.kind: subject.place,
            "image_shape": [height, width],
            "classes": classes,
            **total,
            "layers": documents,
            "figures": [str(output)] if output else [],
        }
    )


class _Subject(NamedTuple):
    """The owner of a network, a ``run`` or a ``recipe``: its kind, its name, and its directory or its name."""

    kind: str
    name: str
    place: str
    network: "tuple[ModelConfig, tuple[int, int], int]"
    """What the functions take that describe or build a network."""
    reads_digits: bool


def _run(options: SummaryOptions) -> _Subject | None:
    """The run of that name or, without a name, the latest; None if there is none."""
    from cnnmnist.recipes import recipe_names

    name = options.name
    try:
        run = cnnmnist.load_run(name or "latest", options.runs_dir)
    except MissingRunError as error:
        if name is None or name in recipe_names() or os.path.isfile(name):  # noqa: PTH113 - as in cnnmnist.runs
            return None
        names = ", ".join(recipe_names())
        raise MissingRunError(f"{str(error)[:-1]}, and no recipe: the program has {names}.") from error
    if options.dataset or options.data_dir:
        raise click.UsageError(
            f"--dataset and --data-dir go with a recipe: the run {run.name} is for the data of its training."
        )
    reads_digits = run.metadata.dataset.class_names == DIGITS
    return _Subject("run", run.name, str(run.directory), run.network_description, reads_digits)


def _recipe(options: SummaryOptions) -> _Subject:
    recipe = cnnmnist.load_recipe(options.name or "tutorial")
    name = options.dataset or recipe.dataset
    shape, class_names = NAMED_SHAPE, DATASETS.get(name or "mnist", DATASETS["mnist"]).class_names
    if options.data_dir or name not in (None, *DATASETS):
        dataset = cnnmnist.load_dataset(name, options.data_dir)
        shape, class_names = dataset.image_shape, dataset.class_names
    network = recipe.model, shape, len(class_names)
    return _Subject("recipe", recipe.name, recipe.name, network, class_names == DIGITS)


def _table(documents: list[dict[str, Any]], total: dict[str, int], *, timed: bool) -> Table:
    def cells(name: str, shape: tuple[int, ...], counts: dict[str, Any]) -> list[str]:
        numbers = [f"{counts[key]:,}" if counts[key] else "" for key in COUNTS]
        share = [f"{counts.get('share', 1):.1%}"] if timed else []
        return [name, "x".join(f"{side:,}" for side in shape), *numbers, *share]

    rows = [cells(each["name"], each["output_shape"], each) for each in documents]
    columns = ["layer", "output", *COUNTS, *(["time"] if timed else [])]
    return make_table(columns, rows, total=cells("total", (), total))
