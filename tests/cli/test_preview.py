import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from cnnmnist.cli.preview import preview
from cnnmnist.visualization.grids import activation_grid, filter_grid, image_grid, saliency_grid


def lines_of(renderable):
    return [[part for part in line if part.text] for line in Segment.split_lines(renderable.segments)]


def text_of(renderable):
    return ["".join(part.text for part in line) for line in lines_of(renderable)]


def pixels_of(renderable):
    """The drawn pixels from the colours of the half blocks, (height, width, 3); -1 where nothing is drawn."""
    rows = []
    for line in lines_of(renderable):
        cells = [(character, part.style) for part in line for character in part.text]
        if not any(character == "▀" for character, _ in cells):
            continue
        upper, lower = [], []
        for character, style in cells:
            block = character == "▀"
            upper.append(tuple(style.color.triplet) if block else (-1,) * 3)
            lower.append(tuple(style.bgcolor.triplet) if block and style.bgcolor else (-1,) * 3)
        rows += [upper, lower]
    width = max(map(len, rows))
    return np.array([row + [(-1,) * 3] * (width - len(row)) for row in rows])


def colors(image, low, high, colormap):
    return matplotlib.colormaps[colormap]((image - low) / (high - low), bytes=True)[..., :3]


def test_every_pixel_has_the_colour_of_the_figure(rng):
    images = rng.integers(0, 256, (2, 28, 28), np.uint8)
    images[0, 0, 0], images[1, 27, 27] = 0, 255
    pixels = pixels_of(preview(image_grid(images, [3, 4]), width=80, color=True))
    assert pixels.shape == (28, 58, 3)
    assert (pixels[:, :28] == colors(images[0], 0, 255, "binary")).all()
    assert (pixels[:, 28:30] == -1).all()
    assert (pixels[:, 30:] == colors(images[1], 0, 255, "binary")).all()
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[27, 57].tolist() == [0, 0, 0]


def test_filters_are_enlarged_and_keep_their_shared_range(rng):
    weights = rng.normal(size=(5, 5, 2, 4))
    shown = preview(filter_grid(weights, 1, "Filter weights"), width=80, color=True)
    bar = 2
    pixels = pixels_of(shown)[:-bar, :15]
    expected = colors(weights[:, :, 1, 0], weights.min(), weights.max(), "seismic")
    assert (pixels[:15] == expected.repeat(3, axis=0).repeat(3, axis=1)).all()
    assert (pixels[15] == -1).all(), "below an odd number of rows is the terminal's own background"
    assert text_of(shown)[0] == "Filter weights"
    legend = text_of(shown)[-1]
    assert legend.startswith(f"Weight {weights.min():.3g} ")
    assert legend.endswith(f" {weights.max():.3g}")


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(rng, width, color):
    names = ["Ankle boot", "T-shirt/top"]
    images = rng.integers(0, 256, (9, 28, 28), np.uint8)
    grids = [
        image_grid(images, [0] * 9, [1] * 9, names, title="The first misclassified images"),
        filter_grid(rng.normal(size=(5, 5, 16, 36)), 3, "Filter weights of conv2, input channel 3"),
        activation_grid(rng.random((7, 7, 36)), images[0], "Outputs of conv2 for test image 13"),
        activation_grid(rng.random((1, 3, 2)), images[0]),
        saliency_grid(image_grid(images[:1], [1], [2]), rng.normal(size=(28, 28)), np.zeros((28, 28)), 5),
    ]
    for grid in grids:
        lines = text_of(preview(grid, width, color))
        assert max(map(cell_len, lines)) <= width
        console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        console.print(preview(grid, width, color))
        assert console.file.getvalue().splitlines() == lines


@pytest.mark.parametrize(("width", "columns"), [(28, 1), (57, 1), (58, 2), (80, 2), (88, 3), (200, 3)])
def test_as_many_columns_as_fit_and_the_figure_has(rng, width, columns):
    grid = image_grid(rng.integers(0, 256, (9, 28, 28), np.uint8), range(9))
    titles = [line.split("True: ")[1:] for line in text_of(preview(grid, width, True)) if "True" in line]
    assert len(titles[0]) == columns
    assert [int(title) for row in titles for title in row] == list(range(9))


def test_long_titles_are_broken_and_centred(rng):
    grid = image_grid(np.zeros((1, 28, 28), np.uint8), [1], [0], ["Sneaker", "Ankle boot"])
    first, second, third, *_ = text_of(preview(grid, 80, True))
    assert first == "True: Ankle boot,".center(28)
    assert second.strip() == "Pred: Sneaker"
    assert third == "▀" * 28


def test_an_image_wider_than_the_terminal_is_averaged():
    image = np.zeros((28, 28), np.uint8)
    image[:2, 2:4] = [[255, 255], [0, 0]]
    pixels = pixels_of(preview(image_grid(image[None], [1]), width=14, color=True))
    assert pixels.shape == (14, 14, 3)
    assert (pixels[0, 1] == colors(np.array([127.5]), 0, 255, "binary")).all()
    pixels[0, 1] = 255
    assert (pixels == 255).all()


def test_without_colours_ink_is_denser(rng):
    image = np.zeros((28, 28), np.uint8)
    image[4:6], image[6] = 255, 255  # three rows: a line and a half
    shown = preview(image_grid(image[None], [1]), width=80, color=False)
    _, *lines = text_of(shown)
    assert lines[2] == "@" * 28
    assert set(lines[3]) < set("-=+*")
    assert "".join(lines[:2] + lines[4:]).strip() == ""
    assert all(part.style is None or part.style.color is None for line in lines_of(shown) for part in line)
    assert "".join(lines).isascii()


def test_outputs_are_beside_their_image_if_there_is_room(rng):
    image = rng.integers(0, 256, (28, 28), np.uint8)
    grid = activation_grid(rng.random((14, 14, 16)), image)
    wide = pixels_of(preview(grid, 120, True))
    assert (wide[:28, :28] == colors(image, 0, 255, "binary"))[:14].all()
    side_by_side, stacked = text_of(preview(grid, 120, True)), text_of(preview(grid, 80, True))
    assert side_by_side[0].split() == ["Input", "image", "0", "1", "2", "3"]
    assert stacked[0].split() == ["Input", "image"]
    assert stacked[16].split() == ["0", "1", "2", "3"]
    assert len(side_by_side) < len(stacked)


def test_each_of_several_grids_has_its_heading_and_its_range(rng):
    image = rng.integers(0, 256, (28, 28), np.uint8)
    digit = replace(image_grid(image[np.newaxis], [1], title="All"), heading="A digit")
    maps = np.full((28, 28), 0.5), np.full((28, 28), -2.0)
    wide = text_of(preview(saliency_grid(digit, *maps, 5), 220, True))
    assert wide[0] == "All"
    assert wide[1].split("  ")[0] == "A digit"
    (bars,) = (line for line in wide if "Drop of the logit" in line)
    assert [bars.count(each) for each in ("-0.5 ", " 0.5", "-2 ", " 2")] == [1, 1, 1, 1]
    narrow = text_of(preview(saliency_grid(digit, *maps, 5), 60, True))
    assert len(narrow) > 2 * len(wide)
