"""``cnnmnist visualize``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnmnist.cli.terminal import (
    Command,
    Terminal,
    data_options,
    json_option,
    run_argument,
    runs_dir_option,
    split_option,
)

if TYPE_CHECKING:
    from cnnmnist.data.sources import Dataset
    from cnnmnist.figures import ImageGrid
    from cnnmnist.runs import Run


def _range(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", value, re.ASCII)
    if not match or int(match[1]) > int(match[2]):
        raise click.BadParameter(f"{value!r} is not a range of images such as 0-8.")
    return int(match[1]), int(match[2])


@click.command(cls=Command)
@run_argument
@click.option("--layer", metavar="NAME", help="Filter weights of a layer, as conv1; with --image, its outputs.")
@click.option("--image", type=int, metavar="N", help="An image of the split, by number from 0.")
@click.option("--images", callback=_range, metavar="FIRST-LAST", help="Several images with their labels.")
@click.option("--input-channel", type=int, metavar="N", help="Input channel of the filters.  [default: 0]")
@split_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A .png, .svg or .pdf file.  [default: in the run's figures/]",
)
@click.option("--show", is_flag=True, help="Open a window with the figure too.")
@data_options
@runs_dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: str,
    layer: str | None,
    image: int | None,
    images: tuple[int, int] | None,
    input_channel: int | None,
    split: str,
    output: Path | None,
    show: bool,
    dataset: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Look inside of the trained network of RUN, and at the digits.

    \b
    cnnmnist visualize --layer conv1                     filter weights
    cnnmnist visualize --layer conv2 --input-channel 3   filter weights for one input channel
    cnnmnist visualize --layer conv1 --image 13          the layer's outputs for test image 13
    cnnmnist visualize --image 13                        that image
    cnnmnist visualize --images 0-8                      nine images with their labels
    """
    if layer is None and image is None and images is None:
        click.echo(ctx.get_help())
        return
    _check_combination(layer, image, images, input_channel)

    from cnnmnist.figures import check_figure_path, draw_grid, save_figure
    from cnnmnist.runs import load_run

    terminal = Terminal(as_json)
    if output:
        check_figure_path(output)
    found = load_run(run, runs_dir)
    if layer is not None:
        _check_channel(layer, found.record.recipe.model.input_channels(layer), input_channel or 0)
    if layer is not None and image is None:
        grid, name = _filters(found, layer, input_channel or 0)
    else:
        digits = found.load_dataset(dataset, data_dir)
        if image is not None:
            images = (image, image)
        assert images is not None
        _check_images(images[1], len(digits.split(split)), split)
        grid, name = _outputs(found, digits, split, layer, images[0]) if layer else _images(digits, split, images)
    if layer is not None:
        terminal.warn_about(found)
    path = output or found.figures / f"{name}.png"
    figure = draw_grid(grid)
    save_figure(figure, path)
    terminal.preview(grid)
    terminal.out.print(f"Figure: {path}")
    if show:
        _open_window(path, terminal)
    terminal.result({"run": str(found.directory), "figures": [str(path)]})


def _check_combination(
    layer: str | None, image: int | None, images: tuple[int, int] | None, input_channel: int | None
) -> None:
    if images and (layer or image is not None):
        raise click.UsageError("--images cannot be combined with --layer or --image.")
    if input_channel is not None and (layer is None or image is not None):
        raise click.UsageError("--input-channel goes with the filter weights of a --layer, without --image.")


def _check_channel(layer: str, channels: int, channel: int) -> None:
    from cnnmnist.errors import SelectionError

    if not 0 <= channel < channels:
        valid = f"choose from 0 to {channels - 1}" if channels > 1 else "the only one is 0"
        raise SelectionError(f"There is no input channel {channel} in {layer}: {valid}.")


def _check_images(last: int, count: int, split: str) -> None:
    from cnnmnist.errors import SelectionError

    if not 0 <= last < count:
        raise SelectionError(f"There is no image {last} in the {split} split: choose from 0 to {count - 1}.")


def _filters(run: "Run", layer: str, channel: int) -> "tuple[ImageGrid, str]":
    model = run.load_model()

    from cnnmnist.figures import filter_grid

    weights = model.get_layer(layer).kernel.numpy()
    several = weights.shape[2] > 1
    name = f"{layer}-weights" + (f"-channel-{channel}" if several else "")
    of_channel = f", input channel {channel}" if several else ""
    return filter_grid(weights, channel, title=f"Filter weights of {layer}{of_channel}"), name


def _outputs(run: "Run", digits: "Dataset", split: str, layer: str, image: int) -> "tuple[ImageGrid, str]":
    model = run.load_model()

    from cnnmnist.figures import activation_grid
    from cnnmnist.model import layer_outputs

    pixels = digits.split(split).images[image]
    outputs = layer_outputs(model, layer, pixels[None])[0]
    title = f"Outputs of {layer} for {split} image {image}"
    return activation_grid(outputs, pixels, title=title), f"{layer}-outputs-{split}-image-{image}"


def _images(digits: "Dataset", split: str, images: tuple[int, int]) -> "tuple[ImageGrid, str]":
    from cnnmnist.figures import image_grid

    first, last = images
    chosen, part = digits.split(split), slice(first, last + 1)
    name = f"image-{first}" if first == last else f"images-{first}-{last}"
    grid = image_grid(chosen.images[part], chosen.labels[part], class_names=digits.class_names)
    return grid, f"{split}-{name}"


def _open_window(path: Path, terminal: Terminal) -> None:
    if click.launch(str(path.resolve())):
        terminal.warn(f"no window could be opened here; the figure is in {path}.")
