"""The movie of a recorded run, read back by Pillow."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import WriteError
from cnnmnist.prediction import layer_outputs
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import Snapshot, save_snapshot
from cnnmnist.runs.store import create_run
from cnnmnist.visualization.figures import Drawing
from cnnmnist.visualization.grids import ImageGrid
from cnnmnist.visualization.movie import LAYOUT, movie_grids, save_movie
from support.networks import build_network
from support.pixels import FASHION, overlapping, render

DATASET = load_dataset("mnist5k")
TIMES = [0, 9, 100, 12_345]
IMAGE = DATASET.test.images[3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Recorded, but never trained: each frame has other random weights, which grow."""
    fields = {"training.record_at": TIMES, "training.iterations": 12_345, "model.dense": []}
    run = create_run(tmp_path_factory.mktemp("runs"), "mine", load_recipe(overrides=fields), DATASET)
    run.metadata.iteration = 12_345
    for number, iteration in enumerate(TIMES):
        network = build_network(run.metadata.recipe.model, seed=number)
        weights = {}
        for place, (kernel, bias) in enumerate(network.weights[name] for name in ("conv1", "conv2")):
            weights |= {f"kernel_{place}": kernel * np.float32(1 + number), f"bias_{place}": bias}
        frame = Snapshot(
            iteration=iteration,
            accuracy=number / 3,
            weights=weights,
            hardest=np.arange(9) + 100 * number,
            predicted=np.arange(9),
            losses=np.ones(9, np.float32),
        )
        save_snapshot(run.snapshots, frame)
    return run


@pytest.fixture(scope="module")
def grids(run: Run) -> list[ImageGrid]:
    return movie_grids(run, DATASET, "conv1", IMAGE, "test image 3")


def test_each_frame_shows_filters_outputs_and_the_hardest_images(run: Run, grids: list[ImageGrid]) -> None:
    assert len(grids) == len(TIMES)
    rows = [grid.row() for grid in grids]
    assert [part.heading for part in rows[0]] == [
        "Filters of conv1", "Outputs for test image 3", "Hardest test images",
    ]  # fmt: skip
    ranges = {value_range for filters, _, _ in rows for value_range in filters.value_ranges}
    ((low, high),) = ranges
    assert low == -high
    assert high == max(np.abs(filters.images).max() for filters, _, _ in rows), "one range over the whole movie"
    filters, outputs, hardest = rows[2]
    network = build_network(run.metadata.recipe.model, seed=2)
    for name in ("conv1", "conv2"):
        kernel, bias = network.weights[name]
        network.weights[name] = kernel * np.float32(3), bias
    np.testing.assert_array_equal(filters.images, np.moveaxis(network.weights["conv1"][0][:, :, 0], -1, 0))
    expected = layer_outputs(network, "conv1", IMAGE[np.newaxis])[0]
    np.testing.assert_array_equal(outputs.images, np.moveaxis(expected, -1, 0))
    np.testing.assert_array_equal(hardest.images, DATASET.test.images[200:209])
    assert hardest.titles[4] == f"True: {DATASET.test.labels[204]}, Pred: 4"
    deeper = movie_grids(run, DATASET, "conv2", IMAGE, "it", 5)[2].row()
    assert [len(part.images) for part in deeper] == [36, 36, 9]
    kernel, _ = network.weights["conv2"]
    np.testing.assert_array_equal(deeper[0].images, np.moveaxis(kernel[:, :, 5], -1, 0))


def test_its_title_says_iteration_and_accuracy_and_stands_still(grids: list[ImageGrid]) -> None:
    plain = [" ".join(grid.title.replace("\u2007", " ").replace("\u2008", " ").split()) for grid in grids]
    assert plain == [
        "Accuracy on Test-Set: 0.0% after 0 iterations",
        "Accuracy on Test-Set: 33.3% after 9 iterations",
        "Accuracy on Test-Set: 66.7% after 100 iterations",
        "Accuracy on Test-Set: 100.0% after 12,345 iterations",
    ]
    drawing = Drawing(grids[0], LAYOUT)
    places = []
    for grid in grids[:-1]:
        drawing.show(grid)
        render(drawing.figure)
        places.append(drawing.figure.texts[0].get_window_extent().bounds)
    np.testing.assert_allclose(places, places[:1] * 3, atol=1)


def test_the_file_is_a_small_endless_movie_of_one_palette(tmp_path: Path, grids: list[ImageGrid]) -> None:
    path = tmp_path / "new" / "movie.gif"
    save_movie(grids, DATASET.class_names, path)
    assert path.stat().st_size < 40_000 * len(grids)
    drawing = Drawing(grids[0], LAYOUT)
    axes = drawing.figure.axes
    with Image.open(path) as movie:
        assert (movie.format, movie.n_frames, movie.info["loop"]) == ("GIF", len(grids), 0)
        assert movie.width <= 1_000
        durations, colors = [], set()
        for number, grid in enumerate(grids):
            movie.seek(number)
            durations.append(movie.info["duration"])
            frame = np.asarray(movie.convert("RGB")).astype(int)
            colors |= set(map(tuple, frame.reshape(-1, 3)))
            edge = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
            assert (edge == 255).all(), "its own white ground, whatever page it is on"
            for panel, part, index in ((0, 0, 0), (15, 0, 15), (16, 1, 0), (-1, 2, 8)):
                shown = grid.row()[part]
                low, high = shown.value_ranges[index]
                image = (shown.images[index] - low) / ((high - low) or 1)
                expected = matplotlib.colormaps[shown.colormap](image, bytes=True)[..., :3].astype(int)
                box, side = axes[panel].get_window_extent(), round(axes[panel].bbox.width / image.shape[1])
                top, left = round(frame.shape[0] - box.y1), round(box.x0)
                inner = np.arange(len(image) * side) % side == side // 2
                drawn = frame[top : top + len(inner), left : left + len(inner)][inner][:, inner]
                assert np.abs(drawn - expected).max() <= 12, "the nearest colour, and no noise"
    assert len(colors) < 256
    assert durations == [160, 160, 160, 3_000]


def test_names_of_classes_have_room_in_every_frame(tmp_path: Path, run: Run) -> None:
    named = replace(DATASET, class_names=tuple(FASHION))
    grids = movie_grids(run, named, "conv1", IMAGE, "test image 3")
    widest = "True: T-shirt/top, Pred: T-shirt/top"
    drawing = Drawing(replace(grids[0], titles=(widest,) * 9), LAYOUT)
    for grid in grids:
        drawing.show(grid)
        render(drawing.figure)
        texts = [axes.title.get_window_extent() for axes in drawing.figure.axes]
        texts += [text.get_window_extent() for text in drawing.figure.texts]
        assert overlapping([*texts, *(axes.get_window_extent() for axes in drawing.figure.axes)]) == []
    save_movie(grids, named.class_names, tmp_path / "movie.gif")
    with Image.open(tmp_path / "movie.gif") as movie:
        assert movie.size == tuple(drawing.figure.get_size_inches() * LAYOUT.dpi)


def test_a_movie_of_one_frame_is_a_picture(tmp_path: Path, grids: list[ImageGrid]) -> None:
    save_movie(grids[:1], DATASET.class_names, tmp_path / "movie.gif")
    with Image.open(tmp_path / "movie.gif") as movie:
        assert movie.n_frames == 1


def test_a_movie_that_cannot_be_written_is_a_sentence(tmp_path: Path, grids: list[ImageGrid]) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(WriteError, match=r"Cannot write .*movie\.gif"):
        save_movie(grids, DATASET.class_names, tmp_path / "file" / "movie.gif")
