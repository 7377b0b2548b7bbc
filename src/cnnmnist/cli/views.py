"""The views of ``cnnmnist visualize``: each function computes one and gives it a file name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import cnnmnist
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import SelectionError
from cnnmnist.interpretation import LARGEST_EMBEDDING, occluding_side
from cnnmnist.layers import list_layers
from cnnmnist.prediction import predict_logits
from cnnmnist.visualization.grids import MAX_IMAGES


@dataclass(frozen=True)
class View:
    """A figure, and how to save and preview it."""

    file_name: str
    """File name of the figure, unless the user chooses another one."""
    save: "Callable[[Path], None]"
    preview: "cnnmnist.ImageGrid | None" = None
    """The part of it that a terminal can show."""
    of_model: bool = True
    """Whether it shows the network that the run saved."""


def filters(run: "cnnmnist.Run", layer: str, channel: int) -> View:
    """The weights of a layer for one input channel."""
    network = run.load_network()
    title = f"Filter weights of {layer}{_of_channel(run, layer, channel, ', input channel {}')}"
    grid = cnnmnist.filter_grid(network.weights[layer][0], channel, title)
    return _of_grid(grid, f"{layer}-weights{_of_channel(run, layer, channel, '-channel-{}')}")


def outputs(run: "cnnmnist.Run", dataset: "cnnmnist.Dataset", split: str, layer: str, image: int) -> View:
    """The outputs of a layer for an image."""
    network = run.load_network()
    pixels = dataset.split(split).images[image]
    title = f"Outputs of {layer} for {split} image {image}"
    grid = cnnmnist.activation_grid(cnnmnist.layer_outputs(network, layer, pixels[None])[0], pixels, title)
    return _of_grid(grid, f"{layer}-outputs-{split}-image-{image}")


def images(dataset: "cnnmnist.Dataset", split: str, first: int, last: int) -> View:
    """Images with their labels."""
    chosen, part = dataset.split(split), slice(first, last + 1)
    name = f"image-{first}" if first == last else f"images-{first}-{last}"
    grid = cnnmnist.image_grid(chosen.images[part], chosen.labels[part], class_names=dataset.class_names)
    return replace(_of_grid(grid, f"{split}-{name}"), of_model=False)


def saliency(run: "cnnmnist.Run", dataset: "cnnmnist.Dataset", split: str, image: int) -> View:
    """The pixels of an image that speak for and against its predicted class."""
    network, model = run.load_network(), run.load_model()
    chosen, part = dataset.split(split), slice(image, image + 1)
    pixels, names = chosen.images[image], dataset.class_names
    predicted = predict_logits(network, chosen.images[part]).argmax(axis=1)
    target = int(predicted[0])
    title = f"What speaks for and against {names[target]} in {split} image {image}"
    shown = cnnmnist.image_grid(chosen.images[part], chosen.labels[part], predicted, names, title)
    gradient, occlusion = cnnmnist.gradient(model, pixels, target), cnnmnist.occlusion(network, pixels, target)
    grid = cnnmnist.saliency_grid(shown, gradient, occlusion, occluding_side(pixels.shape))
    return _of_grid(grid, f"saliency-{split}-image-{image}")


def maximized(run: "cnnmnist.Run", layer: str, terminal: Terminal) -> View:
    """The inputs that excite the filters of a layer most."""
    model, config = run.load_model(), run.metadata.recipe.model
    filters = model.get_layer(layer).output.shape[-1]
    with terminal.waiting("Gradient ascent"):
        found = cnnmnist.maximize(model, config, layer, min(filters, MAX_IMAGES))
    height, width = found.shape[1:]
    more = f" (the first {len(found)} of {filters})" if filters > len(found) else ""
    title = f"The {height}x{width} pixels that excite each filter of {layer} most{more}"
    return _of_grid(cnnmnist.maximization_grid(found, title), f"{layer}-maximized")


def embedding(run: "cnnmnist.Run", dataset: "cnnmnist.Dataset", split: str, terminal: Terminal) -> View:
    """The last activations of a split in two dimensions."""
    network = run.load_network()
    chosen = dataset.split(split)
    places = np.linspace(0, len(chosen) - 1, min(len(chosen), LARGEST_EMBEDDING)).astype(int)
    images, labels = chosen.images[places], chosen.labels[places]
    activations = cnnmnist.last_activations(network, images)
    with terminal.waiting(f"t-SNE of {len(places):,} images"):
        points = cnnmnist.embed(activations)
    of_all = f" of {len(chosen):,}" if len(places) < len(chosen) else ""
    title = f"{len(places):,}{of_all} {split} images by their {activations.shape[1]:,} last activations (t-SNE)"
    predicted = predict_logits(network, images).argmax(axis=1)
    figure = cnnmnist.draw_embedding(points, labels, predicted, dataset.class_names, title)
    return View(f"{split}-embedding.png", lambda path: cnnmnist.save_figure(figure, path))


def movie(
    run: "cnnmnist.Run",
    dataset: "cnnmnist.Dataset",
    split: str,
    layer: str,
    image: int,
    channel: int,
    terminal: Terminal,
) -> View:
    """How a layer's filters, its outputs for an image, and the hardest test images changed in a training."""
    from cnnmnist.visualization.movie import movie_grids, save_movie

    pixels, name = dataset.split(split).images[image], f"{split} image {image}"
    grids = movie_grids(run, dataset, layer, pixels, name, channel)

    def save(path: Path) -> None:
        with terminal.waiting(f"Drawing {len(grids)} frames"):
            save_movie(grids, dataset.class_names, path)

    of_channel = _of_channel(run, layer, channel, "-channel-{}")
    file_name = f"{layer}-movie{of_channel}-{split}-image-{image}.gif"
    return View(file_name, save, preview=grids[-1], of_model=False)


def check_layer(run: "cnnmnist.Run", layer: str, channel: int) -> None:
    """Refuse a layer or an input channel that does not exist.

    Raises:
        SelectionError: it does not exist; the message has the possible ones.
    """
    channels = _input_channels(run)
    if layer not in channels:
        choice = f"choose one of {', '.join(channels)}" if channels else "the network has no convolutional layers"
        raise SelectionError(f"There is no layer {layer!r}: {choice}.")
    if not 0 <= channel < channels[layer]:
        valid = f"choose from 0 to {channels[layer] - 1}" if channels[layer] > 1 else "the only one is 0"
        raise SelectionError(f"There is no input channel {channel} in {layer}: {valid}.")


def check_image(dataset: "cnnmnist.Dataset", split: str, number: int) -> None:
    """Refuse an image that does not exist.

    Raises:
        SelectionError: it does not exist; the message has the possible numbers.
    """
    count = len(dataset.split(split))
    if not 0 <= number < count:
        raise SelectionError(f"There is no image {number} in the {split} split: choose from 0 to {count - 1}.")


def _of_channel(run: "cnnmnist.Run", layer: str, channel: int, words: str) -> str:
    """Words that name the input channel, if there are several."""
    return words.format(channel) if _input_channels(run)[layer] > 1 else ""


def _input_channels(run: "cnnmnist.Run") -> dict[str, int]:
    layers = list_layers(*run.network_description)
    return {each.name: each.kernel_shape[2] for each in layers if each.kind == "Conv2D"}


def _of_grid(grid: "cnnmnist.ImageGrid", name: str) -> View:
    return View(f"{name}.png", lambda path: cnnmnist.save_figure(cnnmnist.draw_grid(grid), path), grid)
