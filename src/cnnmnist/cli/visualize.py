"""``cnnmnist visualize``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import cnnmnist
from cnnmnist.cli.command import Command
from cnnmnist.cli.options import CommonOptions, common_options, output_option, run_argument, split_option
from cnnmnist.cli.terminal import Terminal

if TYPE_CHECKING:
    from cnnmnist.cli.views import View

# For each option that chooses a view by itself, the others that it goes with.
COMPANIONS: dict[str, set[str]] = {
    "movie": {"layer", "image", "input_channel"},
    "saliency": {"image"},
    "maximize": set(),
    "embedding": set(),
    "images": set(),
}
SELECTIONS = ("layer", "image", "input_channel", *COMPANIONS)


@dataclass(frozen=True, kw_only=True)
class VisualizeOptions(CommonOptions):
    """What was asked of ``cnnmnist visualize``."""

    run_name: str
    layer: str | None
    image: int | None
    images: tuple[int, int] | None
    input_channel: int | None
    saliency: bool
    maximize: str | None
    embedding: bool
    movie: bool
    split: str
    output: Path | None
    show: bool

    @property
    def selections(self) -> set[str]:
        """Names of the options that say what to look at, as far as they are given."""
        given = {name: getattr(self, name) for name in SELECTIONS}
        return {name for name, value in given.items() if value is not None and value is not False}


def _range(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", value, re.ASCII)
    if not match or int(match[1]) > int(match[2]):
        raise click.BadParameter(f"{value!r} is not a range of images such as 0-8.")
    return int(match[1]), int(match[2])


@click.command(cls=Command)
@run_argument
@click.option(
    "--layer", metavar="LAYER", help="Filter weights of a layer, such as conv1; with --image its outputs."
)
@click.option("--image", type=int, metavar="N", help="An image of the split, by number from 0.")
@click.option("--images", callback=_range, metavar="FIRST-LAST", help="Several images, such as 0-8.")
@click.option("--input-channel", type=int, metavar="N", help="Weights for this input channel.  [default: 0]")
@click.option(
    "--saliency", is_flag=True, help="Pixels of the --image that speak for or against its predicted class."
)
@click.option("--maximize", metavar="LAYER", help="For each filter of a layer, the input that excites it most.")
@click.option("--embedding", is_flag=True, help="All images of the split as points in the plane (t-SNE).")
@click.option("--movie", is_flag=True, help="A movie of a training that kept snapshots (train --record).")
@split_option
@output_option("A .png, .svg or .pdf file; for --movie, .gif.  [default: in the run's figures/]")
@click.option("--show", is_flag=True, help="Open the figure in a window, too.")
@common_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Draw the filters and the layer outputs of the trained network of RUN, or images of the data.

    The default RUN is the latest.

    \b
    cnnmnist visualize --layer conv1                     filter weights
    cnnmnist visualize --layer conv2 --input-channel 3   filter weights for one input channel
    cnnmnist visualize --layer conv1 --image 13          the layer's outputs for test image 13
    cnnmnist visualize --image 13                        test image 13
    cnnmnist visualize --images 0-8                      nine images with their labels
    cnnmnist visualize --saliency --image 13             pixels for and against the predicted class
    cnnmnist visualize --maximize conv2                  the input that excites each filter most
    cnnmnist visualize --embedding                       all test images, similar ones close together
    cnnmnist visualize --movie                           how a run with snapshots learned
    """
    options = VisualizeOptions(**given)
    if not options.selections:
        click.echo(ctx.get_help())
        return
    _check_combination(options.selections)

    from cnnmnist.visualization.figures import UNDATED, check_figure_path  # imports matplotlib

    terminal = Terminal(options.as_json)
    if options.output:
        check_figure_path(options.output, [".gif"] if options.movie else list(UNDATED))
    run = cnnmnist.load_run(options.run_name, options.runs_dir)
    view = _view(run, options, terminal)
    if view.of_model:
        terminal.warn_about(run)
    path = options.output or run.figures / view.file_name
    view.save(path)
    if view.preview:
        terminal.preview(view.preview)
    terminal.out.print(f"Figure: {path}")
    if options.show and click.launch(str(path.resolve())):
        terminal.warn(f"no window could be opened here; the figure is in {path}.")
    terminal.result({"run": str(run.directory), "figures": [str(path)]})


def _view(run: "cnnmnist.Run", options: VisualizeOptions, terminal: Terminal) -> "View":
    from cnnmnist.cli import views  # imports NumPy

    layer, channel, split = options.layer, options.input_channel or 0, options.split
    if options.movie:
        from cnnmnist.runs.snapshots import snapshot_files

        snapshot_files(run)
        layer = layer or "conv1"
    if named := layer or options.maximize:
        views.check_layer(run, named, channel)
    if options.maximize:
        return views.maximized(run, options.maximize, terminal)
    if layer and options.image is None and not options.movie:
        return views.filters(run, layer, channel)
    dataset = terminal.with_drawable_names(run.load_dataset(options.dataset, options.data_dir))
    first, last = options.images or (options.image or 0, options.image or 0)
    views.check_image(dataset, split, last)
    if options.movie:
        assert layer
        return views.movie(run, dataset, split, layer, first, channel, terminal)
    if options.saliency:
        return views.saliency(run, dataset, split, first)
    if options.embedding:
        return views.embedding(run, dataset, split, terminal)
    if layer:
        return views.outputs(run, dataset, split, layer, first)
    return views.images(dataset, split, first, last)


def _check_combination(given: set[str]) -> None:
    for view, companions in COMPANIONS.items():
        if view in given and (others := given - companions - {view}):
            refused = " or ".join(map(_option, sorted(others)))
            raise click.UsageError(f"{_option(view)} cannot be combined with {refused}.")
    if "saliency" in given and "image" not in given:
        raise click.UsageError("--saliency needs an --image.")
    if "input_channel" in given and ("layer" not in given or "image" in given) and "movie" not in given:
        raise click.UsageError("--input-channel goes with the filter weights of a --layer, without --image.")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
