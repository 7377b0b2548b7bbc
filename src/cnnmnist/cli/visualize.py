"""``cnnmnist visualize``."""

import re
from pathlib import Path

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

# What says what to look at; each of the latter goes only with those that are named.
SELECTIONS = ("layer", "image", "images", "input_channel", "saliency", "maximize", "embedding", "movie")
ALONE: dict[str, set[str]] = {
    "movie": {"layer", "image", "input_channel"},
    "saliency": {"image"},
    "maximize": set(),
    "embedding": set(),
    "images": set(),
}


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
@click.option("--saliency", is_flag=True, help="What in the --image speaks for the class that it is taken for.")
@click.option("--maximize", metavar="NAME", help="The input that excites each filter of a layer most.")
@click.option("--embedding", is_flag=True, help="The last activations of the split in two dimensions.")
@click.option("--movie", is_flag=True, help="How a run learned that was recorded with train --record.")
@split_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A .png, .svg or .pdf file; of a movie, .gif.  [default: in the run's figures/]",
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
    saliency: bool,
    maximize: str | None,
    embedding: bool,
    movie: bool,
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
    cnnmnist visualize --saliency --image 13             what in it speaks for and against its class
    cnnmnist visualize --maximize conv2                  what excites each filter most
    cnnmnist visualize --embedding                       all test images as the network groups them
    cnnmnist visualize --movie                           how a run that was recorded learned
    """
    given = {name for name in SELECTIONS if not (ctx.params[name] is None or ctx.params[name] is False)}
    if not given:
        click.echo(ctx.get_help())
        return
    _check_combination(given)

    from cnnmnist.cli import views
    from cnnmnist.runs.store import load_run
    from cnnmnist.visualization.figures import UNDATED, check_figure_path

    terminal = Terminal(as_json)
    if output:
        check_figure_path(output, [".gif"] if movie else list(UNDATED))
    found = load_run(run, runs_dir)
    if movie:
        from cnnmnist.runs.snapshots import recorded_files

        recorded_files(found)
        layer = layer or "conv1"
    channel = input_channel or 0
    if named := layer or maximize:
        views.check_layer(found, named, channel)
    if maximize:
        view = views.maximized(found, maximize, terminal)
    elif layer and image is None and not movie:
        view = views.filters(found, layer, channel)
    else:
        digits = found.load_dataset(dataset, data_dir)
        first, last = images or (image or 0, image or 0)
        views.check_image(digits, split, last)
        if movie:
            assert layer
            view = views.movie(found, digits, split, layer, first, channel, terminal)
        elif saliency:
            view = views.saliency(found, digits, split, first)
        elif embedding:
            view = views.embedding(found, digits, split, terminal)
        elif layer:
            view = views.outputs(found, digits, split, layer, first)
        else:
            view = views.images(digits, split, first, last)
    if view.of_network:
        terminal.warn_about(found)
    path = output or found.figures / view.file_name
    view.save(path)
    if view.preview:
        terminal.preview(view.preview)
    terminal.out.print(f"Figure: {path}")
    if show:
        _open_window(path, terminal)
    terminal.result({"run": str(found.directory), "figures": [str(path)]})


def _check_combination(given: set[str]) -> None:
    for view, companions in ALONE.items():
        if view in given and (others := given - companions - {view}):
            refused = " or ".join(map(_option, sorted(others)))
            raise click.UsageError(f"{_option(view)} cannot be combined with {refused}.")
    if "saliency" in given and "image" not in given:
        raise click.UsageError("--saliency needs an --image.")
    if "input_channel" in given and ("layer" not in given or "image" in given) and "movie" not in given:
        raise click.UsageError("--input-channel goes with the filter weights of a --layer, without --image.")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _open_window(path: Path, terminal: Terminal) -> None:
    if click.launch(str(path.resolve())):
        terminal.warn(f"no window could be opened here; the figure is in {path}.")
