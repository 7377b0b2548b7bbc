"""The diagram of a network: what it shows, in true proportions, with words that can be read."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.visualization.architecture import draw_network
from cnnmnist.visualization.figures import save_figure

DEEP = [ConvLayer(filters=2**power, pooling="average", filter_size=3) for power in range(4, 9)]
WIDE = ConvLayer(filters=9, filter_size=31, stride=2, pooling="none")
NETWORKS = {
    "tutorial": (ModelConfig(), (28, 28)),
    "deep": (ModelConfig(convolutions=DEEP, dense=[512, 256, 64], dropout=0.5), (28, 28)),
    "one convolution": (ModelConfig(convolutions=[ConvLayer(filters=1)], dense=[]), (28, 28)),
    "no convolution": (ModelConfig(convolutions=[], output_activation="sigmoid"), (9, 64)),
    "no pooling": (ModelConfig(convolutions=[WIDE] * 3), (17, 30)),
}
TITLE = "The network of the run 20261124-025413-tutorial: 242,062 parameters"


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", NETWORKS)
def test_all_is_inside_of_the_figure_and_no_words_overlap(name: str) -> None:
    figure = draw_network(*NETWORKS[name], title=TITLE)
    FigureCanvasAgg(figure).draw()
    texts = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not [(a, b) for a, b in itertools.combinations(texts, 2) if a.overlaps(b)]
    width, height = figure.get_size_inches() * figure.dpi
    patches = [patch.get_window_extent() for patch in figure.axes[0].patches]
    for box in texts + patches:
        assert 0 < box.x0 < box.x1 < width
        assert 0 < box.y0 < box.y1 < height
    assert max(box.y1 for box in texts[1:]) < min(box.y0 for box in patches), "the words are below all pictures"


def test_maps_are_as_large_as_their_shapes_and_grow_in_number() -> None:
    axes = draw_network(ModelConfig()).axes[0]
    pixel = axes.patches[0].get_width() / 28
    sides = Counter(
        (round(each.get_width() / pixel, 2), round(each.get_height() / pixel, 2)) for each in axes.patches
    )
    image, conv1, conv2, flatten, fc1, logits = 1, 16, 21, 43, 28, 10  # drawn of 1, 16, 36, 1,764, 128 and 10
    assert sides == {
        (28, 28): image + conv1,
        (14, 14): conv1 + conv2,
        (7, 7): conv2,
        (5, 5): 2,  # windows of convolutions
        (2, 2): 2,  # and of poolings
        (1.88, 0.94): flatten + fc1 + logits,
    }


def test_the_words_say_what_each_layer_does() -> None:
    assert words(draw_network(ModelConfig(), title="Mine")) == [
        "Mine",
        *("image", "28x28x1"),
        *("conv1", "28x28x16", "convolution", "5x5"),
        *("conv1_pooling", "14x14x16", "max pooling", "2x2", "ReLU"),
        *("conv2", "14x14x36", "convolution", "5x5"),
        *("conv2_pooling", "7x7x36", "max pooling", "2x2", "ReLU"),
        *("flatten", "1,764"),
        *("fc1", "128", "dense", "ReLU"),
        *("logits", "10", "dense"),
    ]
    assert "31x31, stride 2" in words(draw_network(*NETWORKS["no pooling"]))
    deep = words(draw_network(*NETWORKS["deep"]))
    assert {"average pooling", "dropout 50%"} <= set(deep)
    assert words(draw_network(*NETWORKS["no convolution"]))[-1] == "sigmoid"


def test_the_image_is_shown_upright_where_the_network_begins(tmp_path: Path) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[0, 0] = 255
    figure = draw_network(ModelConfig(), image=image)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., 0]
    box = figure.axes[0].patches[0].get_window_extent()
    side, left, top = box.width / 28, box.x0, len(pixels) - box.y1
    corner = pixels[round(top + 0.3 * side) : round(top + side), round(left + 0.3 * side) : round(left + side)]
    assert (corner == 0).all()
    assert pixels[round(top + 3 * side), round(left + 3 * side)] == 255
    for suffix, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        save_figure(figure, tmp_path / f"network{suffix}")
        assert (tmp_path / f"network{suffix}").read_bytes().startswith(magic)
