"""``cnnmnist summary``."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import DIRECTORY, Command, Terminal, json_option, printable, runs_dir_option

if TYPE_CHECKING:
    from cnnmnist.config import ModelConfig
    from cnnmnist.summary import LayerSummary

NAMED_SHAPE = (28, 28)  # of the images of all data sets that have a name


@click.command(cls=Command)
@click.argument("name", required=False, metavar="[RUN|RECIPE]")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the network too, in a .png, .svg or .pdf file.",
)
@click.option("--dataset", metavar="NAME", help="Data that a recipe's network is for.  [default: mnist]")
@click.option("--data-dir", type=DIRECTORY, help="Folder of such data, as train takes it.")
@runs_dir_option
@json_option
def command(
    name: str | None,
    output: Path | None,
    dataset: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """See a network layer by layer: output shape, parameters, multiplications per image, share of the time.

    The network is that of a run, trained or not, or of a recipe; without a name, that of the latest run or, if
    there is none, of the recipe tutorial.

    Multiplications are those of values by weights: of a convolution, height x width x filters of its output times
    height x width x input channels of a filter, also where that extends beyond the image; of a dense layer, inputs
    x units. The time is that of a forward pass on this machine, in float32, each layer by itself.

    With --json: run or recipe, image_shape, classes, parameters, multiplications, figures, and layers, each with
    name, kind (Keras' class), output_shape, parameters, multiplications, and share (of the time, a fraction of 1).

    \b
    cnnmnist summary
    cnnmnist summary best --output network.svg
    """
    from cnnmnist.visualization.figures import check_figure_path

    if output:
        check_figure_path(output)
    terminal = Terminal(as_json)
    network = _run(name, dataset, data_dir, runs_dir) or _recipe(name or "tutorial", dataset, data_dir)
    with terminal.waiting("Measuring"):
        from cnnmnist.model import build_model
        from cnnmnist.summary import summarize, time_layers

        model = build_model(network.config, network.image_shape, len(network.class_names))
        layers, timing = summarize(model), time_layers(model)
    height, width = network.image_shape
    whole = f"The network of the {network.kind} {network.name}"
    terminal.out.print(f"{whole}, for images of {height}x{width} pixels, {len(network.class_names)} classes")
    terminal.out.print(_table(layers, timing.shares), soft_wrap=False)
    terminal.out.print(
        f"Time: of {timing.images:,} images at once, in float32, on this machine; each layer by itself, "
        f"the quickest of {timing.passes:,} passes."
    )
    parameters, multiplications = _totals(layers)
    if output:
        _draw(model, network, printable(f"{whole}: {parameters:,} parameters"), output)
        terminal.out.print(f"Figure: {output}")
    terminal.result(
        {
            network.kind: network.place,
            "image_shape": [height, width],
            "classes": len(network.class_names),
            "parameters": parameters,
            "multiplications": multiplications,
            "layers": [
                dataclasses.asdict(layer) | {"share": round(share, 4)}
                for layer, share in zip(layers, timing.shares, strict=True)
            ],
            "figures": [str(output)] if output else [],
        }
    )


@dataclasses.dataclass(frozen=True)
class _Network:
    kind: str
    """``run`` or ``recipe``."""
    name: str
    place: str
    """The run directory, or the recipe's name."""
    config: "ModelConfig"
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]


def _run(name: str | None, dataset: str | None, data_dir: Path | None, runs_dir: Path) -> _Network | None:
    """The network of the run of that name or of the latest one, or none if there is none."""
    from cnnmnist.config import recipe_names
    from cnnmnist.errors import MissingRunError
    from cnnmnist.runs.store import load_run

    try:
        run = load_run(name or "latest", runs_dir)
    except MissingRunError as error:
        if name is None or name in recipe_names() or os.path.isfile(name):  # noqa: PTH113 - as in cnnmnist.runs
            return None
        names = ", ".join(recipe_names())
        raise MissingRunError(f"{str(error)[:-1]}, and no recipe of that name: shipped are {names}.") from error
    if dataset or data_dir:
        raise click.UsageError(
            f"--dataset and --data-dir go with a recipe: the run {run.name} is for what it was trained on."
        )
    recorded = run.record.dataset
    height, width = recorded.image_shape
    place, config = str(run.directory), run.record.recipe.model
    return _Network("run", run.name, place, config, (height, width), tuple(recorded.class_names))


def _recipe(name: str, dataset: str | None, data_dir: Path | None) -> _Network:
    from cnnmnist.config import load_recipe
    from cnnmnist.data.loading import load_dataset
    from cnnmnist.data.registry import DATASETS

    recipe = load_recipe(name)
    dataset = dataset or recipe.dataset
    shape, class_names = NAMED_SHAPE, DATASETS.get(dataset or "mnist", DATASETS["mnist"]).class_names
    if data_dir or dataset not in (None, *DATASETS):
        digits = load_dataset(dataset, data_dir)
        shape, class_names = digits.image_shape, digits.class_names
    return _Network("recipe", recipe.name, recipe.name, recipe.model, shape, class_names)


def _totals(layers: "list[LayerSummary]") -> tuple[int, int]:
    return sum(layer.parameters for layer in layers), sum(layer.multiplications for layer in layers)


def _table(layers: "list[LayerSummary]", shares: list[float]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    table.add_column("layer", overflow="fold")
    for title in ("output", "parameters", "multiplications", "time"):
        table.add_column(title, justify="right", overflow="fold")
    for layer, share in zip(layers, shares, strict=True):
        shape = "x".join(f"{side:,}" for side in layer.output_shape)
        cells = (f"{each:,}" if each else "" for each in (layer.parameters, layer.multiplications))
        table.add_row(layer.name, shape, *cells, f"{share:.1%}")
    table.add_section()
    table.add_row("total", "", *(f"{total:,}" for total in _totals(layers)), "100.0%", style="bold")
    return table


def _draw(model: Any, network: _Network, title: str, path: Path) -> None:
    """With a digit in its first square if the network reads digits."""
    from cnnmnist.data.loading import load_dataset
    from cnnmnist.data.registry import DIGITS
    from cnnmnist.visualization.architecture import draw_network
    from cnnmnist.visualization.figures import save_figure

    reads_digits = (network.image_shape, network.class_names) == (NAMED_SHAPE, DIGITS)
    image = load_dataset("mnist5k").test.images[0] if reads_digits else None
    save_figure(draw_network(model, title, image), path)
