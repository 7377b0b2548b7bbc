import contextlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from cnnmnist.errors import SelectionError, WriteError
from cnnmnist.visualization.charts import draw_confusion_matrix
from cnnmnist.visualization.figures import Drawing, Figure, check_figure_path, draw_grid, save_figure
from cnnmnist.visualization.grids import activation_grid, filter_grid, image_grid, maximization_grid, saliency_grid
from support.limits import limited
from support.pixels import FASHION, digits, overlapping, render


def drawn_pixels(figure, axes, shape):
    """The colours of an image's pixels as they are drawn, and whether each is one even rectangle."""
    picture = render(figure)
    box = axes.get_window_extent()
    left, right = round(box.x0), round(box.x1)
    top, bottom = round(len(picture) - box.y1), round(len(picture) - box.y0)
    height, width = (bottom - top) / shape[0], (right - left) / shape[1]
    assert height == width == int(width), "a pixel of the image is not a square of whole pixels"
    side = int(width)
    blocks = picture[top:bottom, left:right].reshape(shape[0], side, shape[1], side, 3)
    inner = blocks[:, 1:-1, :, 1:-1]  # the frame lies over the outermost ones
    assert (inner == inner[:, :1, :, :1]).all(), "a pixel of the image is not crisp"
    return inner[:, 0, :, 0]


def expected_colors(image, low, high, colormap):
    return matplotlib.colormaps[colormap]((image - low) / (high - low), bytes=True)[..., :3]


@pytest.mark.parametrize("count", [1, 9, 10])
def test_pixels_of_images_are_drawn_exactly_with_dark_ink(rng, count):
    images, labels = digits(rng, count)
    images[0, 10, 10], images[0, 20, 20] = 255, 0
    figure = draw_grid(image_grid(images, labels))
    first = drawn_pixels(figure, figure.axes[0], (28, 28))
    assert (first == expected_colors(images[0], 0, 255, "binary")).all()
    assert first[10, 10].tolist() == [0, 0, 0]
    assert first[20, 20].tolist() == [255, 255, 255]
    last = drawn_pixels(figure, figure.axes[-1], (28, 28))
    assert (last == expected_colors(images[-1], 0, 255, "binary")).all()


def test_images_that_do_not_fill_the_grid_leave_no_frames(rng):
    figure = draw_grid(image_grid(*digits(rng, 10)))
    assert len(figure.axes) == 10
    assert all(not len(axes.get_xticks()) and not len(axes.get_yticks()) for axes in figure.axes)
    picture = render(figure)
    last = figure.axes[-1].get_window_extent()
    beside = picture[round(len(picture) - last.y1) - 5 :, round(last.x1) + 5 :]
    assert (beside == 255).all()


@pytest.mark.parametrize("count", [1, 9, 36, 100])
def test_long_titles_neither_overlap_nor_leave_the_figure(rng, count):
    title = "The first misclassified images of the test split, for a person with much patience"
    images, labels = digits(rng, count)
    labels[:] = 9
    figure = draw_grid(image_grid(images, labels, labels * 0 + 7, FASHION, title))
    render(figure)
    texts = [axes.title.get_window_extent() for axes in figure.axes]
    texts += [text.get_window_extent() for text in figure.texts]
    assert overlapping([*texts, *(axes.get_window_extent() for axes in figure.axes)]) == []
    for text in texts:
        assert figure.bbox.x0 <= text.x0 < text.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= text.y0 < text.y1 <= figure.bbox.y1


def test_filters_share_the_range_of_all_weights_of_the_layer(rng):
    weights = rng.normal(0, 0.05, (5, 5, 3, 10))
    weights[0, 0, 0, 0], weights[4, 4, 2, 9] = -1.0, 3.0  # neither is in the channel that is shown
    grid = filter_grid(weights, input_channel=1)
    assert set(grid.value_ranges) == {(-1.0, 3.0)}
    figure = draw_grid(grid)
    *panels, bar = figure.axes
    assert len(panels) == 10
    for number, axes in enumerate(panels):
        expected = expected_colors(weights[:, :, 1, number], -1.0, 3.0, "seismic")
        assert (drawn_pixels(figure, axes, (5, 5)) == expected).all()
    assert bar.get_ylim() == (-1.0, 3.0)
    assert bar.get_ylabel() == "Weight"


def test_filters_that_are_not_square_keep_their_shape(rng):
    weights = rng.normal(size=(3, 7, 1, 4))
    figure = draw_grid(filter_grid(weights))
    expected = expected_colors(weights[:, :, 0, 3], weights.min(), weights.max(), "seismic")
    assert (drawn_pixels(figure, figure.axes[3], (3, 7)) == expected).all()


def test_outputs_are_drawn_beside_their_image(rng):
    (image,), _ = digits(rng, 1)
    outputs = rng.random((14, 14, 16))
    outputs[..., 5] = 0  # a filter that is silent
    figure = draw_grid(activation_grid(outputs, image, title="Outputs of conv1"))
    input_panel, *panels = figure.axes
    assert len(panels) == 16
    assert input_panel.get_title() == "Input image"
    assert all(input_panel.get_window_extent().x1 < axes.get_window_extent().x0 for axes in panels)
    pixels = drawn_pixels(figure, input_panel, (28, 28))
    assert (pixels == expected_colors(image, 0, 255, "binary")).all()
    own_range = outputs[..., 3].min(), outputs[..., 3].max()
    pixels = drawn_pixels(figure, panels[3], (14, 14))
    assert (pixels == expected_colors(outputs[..., 3], *own_range, "binary")).all()
    assert (drawn_pixels(figure, panels[5], (14, 14)) == 255).all()


def test_what_speaks_for_a_class_is_red_and_against_it_blue(rng):
    (image,), _ = digits(rng, 1)
    gradient, drops = rng.normal(size=(28, 28)), rng.normal(size=(28, 28)) * 5
    shown = image_grid(image[np.newaxis], [4], [2], title="What speaks for 2")
    figure = draw_grid(saliency_grid(shown, gradient, drops, patch=5))
    panel, of_gradient, first_bar, of_drops, second_bar = figure.axes
    assert panel.get_title() == "True: 4, Pred: 2"
    assert [text.get_text() for text in figure.texts] == ["What speaks for 2"]
    for axes, bar, values in ((of_gradient, first_bar, gradient), (of_drops, second_bar, drops)):
        extent = np.abs(values).max()
        assert bar.get_ylim() == (-extent, extent)
        assert (drawn_pixels(figure, axes, (28, 28)) == expected_colors(values, -extent, extent, "seismic")).all()
    render(figure)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert overlapping([*boxes, figure.texts[0].get_window_extent()]) == []
    assert boxes[-1].x1 <= figure.bbox.x1


def test_made_inputs_are_numbered_by_their_filters(rng):
    grid = maximization_grid(rng.random((10, 5, 5)).astype(np.float32), "Excited")
    assert grid.titles == tuple("0123456789")
    assert set(grid.value_ranges) == {(0, 1)}
    figure = draw_grid(grid)
    expected = expected_colors(grid.images[7], 0, 1, "binary")
    assert (drawn_pixels(figure, figure.axes[7], (5, 5)) == expected).all()


def test_another_grid_takes_the_place_of_a_drawn_one(rng):
    images, labels = digits(rng, 8)
    weights = rng.normal(size=(2, 5, 5, 1, 4))

    def row(number):
        filters = replace(filter_grid(weights[number]), heading="Filters", scale="")
        own = slice(4 * number, 4 * number + 4)
        shown = image_grid(images[own], labels[own], labels[own], title=f"Number {number}")
        return replace(shown, heading="Images", beside=filters)

    drawing = Drawing(row(0))
    before = render(drawing.figure).copy()
    drawing.show(row(1))
    after = render(drawing.figure)
    assert (after != before).any()
    assert (after == render(draw_grid(row(1)))).all()
    headings = [text for text in drawing.figure.texts if text.get_text() in ("Filters", "Images")]
    tops = {round(text.get_window_extent().y1) for text in headings}
    assert len(headings) == 2
    assert len(tops) == 1, "headings are on one line"


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG\r\n"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF-")])
def test_files_have_their_format_and_always_the_same_bytes(tmp_path, rng, name, magic):
    grid = image_grid(*digits(rng, 2))
    first, second = tmp_path / "new" / "folder" / name, tmp_path / name
    for path in (first, second):
        save_figure(draw_grid(grid), path)
    assert first.read_bytes().startswith(magic)
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == [name]
    assert not re.search(rb"(?i)CreationDate|<dc:date>", first.read_bytes())


@pytest.mark.parametrize("name", ["figure", "figure.jpg", ".png"])
def test_other_formats_are_refused_with_the_valid_ones(tmp_path, rng, name):
    path = tmp_path / name
    for refuse in (check_figure_path, lambda path: save_figure(draw_grid(image_grid(*digits(rng, 1))), path)):
        with pytest.raises(SelectionError, match=r"\.png, \.svg or \.pdf") as caught:
            refuse(path)
        assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SelectionError, match=r"end its name in \.gif\."):
        check_figure_path(Path("movie.png"), [".gif"])


def test_a_figure_that_cannot_be_written_leaves_what_was_there(tmp_path, rng):
    figure = draw_grid(image_grid(*digits(rng, 1)))
    (tmp_path / "file").write_text("kept")
    (tmp_path / "taken.png").mkdir()
    for path in (tmp_path / "file" / "a.png", tmp_path / "taken.png"):
        with pytest.raises(WriteError) as caught:
            save_figure(figure, path)
        assert str(path) in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.png"]


def test_a_write_that_breaks_off_keeps_the_old_figure(tmp_path, rng, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = draw_grid(image_grid(*digits(rng, 1)))

    def full_disk(temporary, **_):
        Path(temporary).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full_disk)
    with pytest.raises(WriteError, match="No space left on device"):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_pyplot_and_no_change_of_global_settings(tmp_path):
    script = """
import sys
from cnnmnist.visualization import grids
assert "matplotlib" not in sys.modules, "what is shown is said without it"
from cnnmnist.visualization import charts, figures
import matplotlib, numpy as np
from pathlib import Path
def settings():  # reading that of the backend would choose one, which is what imports pyplot
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
before = settings()
figure = figures.draw_grid(grids.filter_grid(np.eye(3)[..., None, None]))
figures.save_figure(figure, Path(sys.argv[1]))
charts.draw_confusion_matrix(np.eye(2, dtype=int), "ab")
assert settings() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.svg"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("width", "height"), [(400, 10), (10, 500), (60, 60), (1e6, 1e6), (2, 1e9)])
def test_no_figure_is_too_large_for_the_memory(width: float, height: float) -> None:
    with (
        limited(megabytes=100, seconds=5),
        pytest.raises(SelectionError, match=r"would have [\d,]+x[\d,]+ pixels"),
    ):
        Figure(figsize=(width, height), dpi=150)


@pytest.mark.parametrize("length", [64, 250])
def test_long_names_of_classes_take_little_memory(rng, tmp_path, length: int) -> None:
    images, labels = digits(rng, 100)
    names = [f"{number}{'m' * length}" for number in range(10)]
    with limited(megabytes=1_500, seconds=60), contextlib.suppress(SelectionError):
        save_figure(draw_grid(image_grid(images, labels, labels, names)), tmp_path / "images.png")
    with limited(megabytes=1_500, seconds=60), contextlib.suppress(SelectionError):
        save_figure(draw_confusion_matrix(np.eye(10, dtype=int), names), tmp_path / "matrix.png")
