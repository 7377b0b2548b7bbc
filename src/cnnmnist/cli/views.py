"""The views of ``cnnmnist visualize``: each is computed here, and named."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnnmnist.cli.terminal import Terminal

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset
    from cnnmnist.runs.store import Run
    from cnnmnist.visualization.grids import ImageGrid


@dataclass(frozen=True)
class View:
    """Something to look at."""

    file_name: str
    """Of the figure, unless the user names another one."""
    save: "Callable[[Path], None]"
    preview: "ImageGrid | None" = None
    """What a terminal can show of it."""
    of_network: bool = True
    """Whether it shows the network that the run kept."""


def filters(run: "Run", layer: str, channel: int) -> View:
    """The weights of a layer for one input channel."""
    model = run.load_model()

    from cnnmnist.visualization.grids import filter_grid

    title = f"Filter weights of {layer}{_of_channel(run, layer, channel, ', input channel {}')}"
    grid = filter_grid(model.get_layer(layer).kernel.numpy(), channel, title)
    return _of_grid(grid, f"{layer}-weights{_of_channel(run, layer, channel, '-channel-{}')}")


def outputs(run: "Run", digits: "Dataset", split: str, layer: str, image: int) -> View:
    """What a layer makes of an image."""
    model = run.load_model()

    from cnnmnist.interpretation import layer_outputs
    from cnnmnist.visualization.grids import activation_grid

    pixels = digits.split(split).images[image]
    title = f"Outputs of {layer} for {split} image {image}"
    grid = activation_grid(layer_outputs(model, layer, pixels[None])[0], pixels, title)
    return _of_grid(grid, f"{layer}-outputs-{split}-image-{image}")


def images(digits: "Dataset", split: str, first: int, last: int) -> View:
    """Images with their labels."""

    from cnnmnist.visualization.grids import image_grid

    chosen, part = digits.split(split), slice(first, last + 1)
    name = f"image-{first}" if first == last else f"images-{first}-{last}"
    grid = image_grid(chosen.images[part], chosen.labels[part], class_names=digits.class_names)
    return replace(_of_grid(grid, f"{split}-{name}"), of_network=False)


def saliency(run: "Run", digits: "Dataset", split: str, image: int) -> View:
    """Which pixels of an image speak for and against the class that it is taken for."""
    model = run.load_model()

    from cnnmnist.evaluation import predict_logits
    from cnnmnist.interpretation import gradient, occluding_side, occlusion
    from cnnmnist.visualization.grids import image_grid, saliency_grid

    chosen, part = digits.split(split), slice(image, image + 1)
    pixels = chosen.images[image]
    predicted = predict_logits(model, chosen.images[part]).argmax(axis=1)
    target = int(predicted[0])
    title = f"What speaks for and against {digits.class_names[target]} in {split} image {image}"
    shown = image_grid(chosen.images[part], chosen.labels[part], predicted, digits.class_names, title)
    side = occluding_side(pixels.shape)
    grid = saliency_grid(shown, gradient(model, pixels, target), occlusion(model, pixels, target), side)
    return _of_grid(grid, f"saliency-{split}-image-{image}")


def maximized(run: "Run", layer: str, terminal: Terminal) -> View:
    """The inputs that excite the filters of a layer most."""
    model, config = run.load_model(), run.record.recipe.model

    from cnnmnist.interpretation import maximize
    from cnnmnist.visualization.grids import MAX_IMAGES, maximization_grid

    filters = model.get_layer(layer).output.shape[-1]
    with terminal.waiting("Gradient ascent"):
        found = maximize(model, config, layer, min(filters, MAX_IMAGES))
    height, width = found.shape[1:]
    more = f" (the first {len(found)} of {filters})" if filters > len(found) else ""
    title = f"The {height}x{width} pixels that excite each filter of {layer} most{more}"
    return _of_grid(maximization_grid(found, title), f"{layer}-maximized")


def embedding(run: "Run", digits: "Dataset", split: str, terminal: Terminal) -> View:
    """The last activations of a split in two dimensions."""
    model = run.load_model()

    import numpy as np

    from cnnmnist.evaluation import predict_logits
    from cnnmnist.interpretation import LARGEST_EMBEDDING, embed, last_activations
    from cnnmnist.visualization.charts import draw_embedding
    from cnnmnist.visualization.figures import save_figure

    chosen = digits.split(split)
    places = np.linspace(0, len(chosen) - 1, min(len(chosen), LARGEST_EMBEDDING)).astype(int)
    pixels, labels = chosen.images[places], chosen.labels[places]
    activations = last_activations(model, pixels)
    with terminal.waiting(f"t-SNE of {len(places):,} images"):
        points = embed(activations)
    of_all = f" of {len(chosen):,}" if len(places) < len(chosen) else ""
    title = f"{len(places):,}{of_all} {split} images by their {activations.shape[1]:,} last activations (t-SNE)"
    figure = draw_embedding(
        points, labels, predict_logits(model, pixels).argmax(axis=1), digits.class_names, title
    )
    return View(f"{split}-embedding.png", lambda path: save_figure(figure, path))


def movie(
    run: "Run", digits: "Dataset", split: str, layer: str, image: int, channel: int, terminal: Terminal
) -> View:
    """How the filters of a layer, its outputs for an image, and the hardest images changed while a run learned."""
    from cnnmnist.visualization.movie import movie_grids, save_movie

    pixels, name = digits.split(split).images[image], f"{split} image {image}"
    grids = movie_grids(run, digits, layer, pixels, name, channel)

    def save(path: Path) -> None:
        with terminal.waiting(f"Drawing {len(grids)} frames"):
            save_movie(grids, digits.class_names, path)

    of_channel = _of_channel(run, layer, channel, "-channel-{}")
    file_name = f"{layer}-movie{of_channel}-{split}-image-{image}.gif"
    return View(file_name, save, preview=grids[-1], of_network=False)


def check_layer(run: "Run", layer: str, channel: int) -> None:
    """Refuse a layer or an input channel that does not exist.

    Raises:
        SelectionError: with those that do.
    """
    from cnnmnist.errors import SelectionError

    channels = run.record.recipe.model.input_channels(layer)
    if not 0 <= channel < channels:
        valid = f"choose from 0 to {channels - 1}" if channels > 1 else "the only one is 0"
        raise SelectionError(f"There is no input channel {channel} in {layer}: {valid}.")


def check_image(digits: "Dataset", split: str, number: int) -> None:
    """Refuse an image that does not exist.

    Raises:
        SelectionError: with the numbers of those that do.
    """
    from cnnmnist.errors import SelectionError

    count = len(digits.split(split))
    if not 0 <= number < count:
        raise SelectionError(f"There is no image {number} in the {split} split: choose from 0 to {count - 1}.")


def _of_channel(run: "Run", layer: str, channel: int, words: str) -> str:
    """Words that name the input channel, if there are several."""
    return words.format(channel) if run.record.recipe.model.input_channels(layer) > 1 else ""


def _of_grid(grid: "ImageGrid", name: str) -> View:
    from cnnmnist.visualization.figures import draw_grid, save_figure

    return View(f"{name}.png", lambda path: save_figure(draw_grid(grid), path), grid)
