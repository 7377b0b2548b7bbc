"""Movies: the snapshots of a run as a GIF file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from cnnmnist.data.loading import Dataset
from cnnmnist.files import replacing
from cnnmnist.layers import list_layers
from cnnmnist.network import Network
from cnnmnist.prediction import layer_outputs
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import load_snapshots
from cnnmnist.visualization.figures import Drawing, Layout
from cnnmnist.visualization.grids import ImageGrid, activation_grid, filter_grid, image_grid, symmetric_range

LAYOUT = Layout(dpi=110, row=255, smallest_panel=40, largest_panel=84, gap=10, margin=22)
FRAME, LAST_FRAME = 160, 3_000  # milliseconds
SHADES = 127  # of each colour map; two of a GIF's 256 colours are left for pixels that do not change
DIGIT_SPACE, COMMA_SPACE = "\u2007", "\u2008"  # as wide as a digit and a comma, so that the title does not move


def movie_grids(
    run: Run, dataset: Dataset, layer: str, image: np.ndarray, image_name: str, input_channel: int = 0
) -> list[ImageGrid]:
    """Make the grids of each frame: filters of a layer, its outputs for an image, and the hardest test images.

    The filters have one colour range for the whole movie, in which 0 is white.

    Args:
        run: a run with snapshots.
        dataset: the data set of the training.
        layer: ``conv1``, ``conv2``, ...
        image: uint8 (height, width).
        image_name: name of the image in the heading.
        input_channel: input channel of the filters, from 0.

    Raises:
        DataError: the run was trained on another data set.
        RunError: the run has no snapshots, or one is damaged.
    """
    test, names = dataset.test, dataset.class_names
    # A snapshot has the weights of the convolutions only, and the movie shows no other layer.
    dense = [each for each in list_layers(*run.network_description) if each.kind == "Dense"]
    others = [np.zeros(shape, np.float32) for each in dense for shape in each.weight_shapes]
    frames, largest = [], 0.0
    for snapshot in load_snapshots(run, dataset):
        network = Network(*run.network_description, [*snapshot.weights.values(), *others])
        kernel = network.weights[layer][0]
        largest = max(largest, *symmetric_range(kernel))
        # The index is a list, which copies one channel, so that the memory of all others is released.
        filters = replace(filter_grid(kernel[:, :, [input_channel]]), scale="", heading=f"Filters of {layer}")
        outputs = activation_grid(layer_outputs(network, layer, image[np.newaxis])[0], image)
        hardest = image_grid(
            test.images[snapshot.hardest], test.labels[snapshot.hardest], snapshot.predicted, names
        )
        title = _title(snapshot.iteration, run.metadata.iteration, snapshot.accuracy)
        hardest = replace(hardest, title=title, heading="Hardest test images")
        frames.append((filters, replace(outputs, heading=f"Outputs for {image_name}"), hardest))
    ranges = ((-largest, largest),) * len(frames[0][0].images)
    return [
        replace(hardest, beside=replace(outputs, beside=replace(filters, value_ranges=ranges)))
        for filters, outputs, hardest in frames
    ]


def save_movie(grids: Sequence[ImageGrid], class_names: Sequence[str], path: Path) -> None:
    """Write the grids of :func:`movie_grids` as a GIF that repeats for ever; its last frame stays longer.

    Args:
        grids: one for each snapshot.
        class_names: names of the classes; all frames have space for the longest name.
        path: the file.

    Raises:
        WriteError: the file cannot be written.
    """
    first, *others = _pictures(grids, max(class_names, key=len))
    durations = [FRAME] * len(others) + [LAST_FRAME]
    with replacing(path, make_folder=True) as temporary:
        first.save(temporary, "gif", save_all=True, append_images=others, duration=durations, loop=0)


def _title(iteration: int, last: int, accuracy: float) -> str:
    done, widest = f"{iteration:,}", f"{last:,}"
    blank = "".join(COMMA_SPACE if each == "," else DIGIT_SPACE for each in widest[: len(widest) - len(done)])
    percent = f"{accuracy:5.1%}".replace(" ", DIGIT_SPACE)
    return f"Accuracy on Test-Set: {percent} after {done} iterations{blank}"


def _pictures(grids: Sequence[ImageGrid], longest_name: str) -> Iterator[Image.Image]:
    """Draw the frames with one palette, in which the nearest colour replaces each colour."""
    shades = [colormaps[name](np.linspace(0, 1, SHADES), bytes=True)[:, :3] for name in ("binary", "seismic")]
    palette = np.concatenate(shades)
    widest = f"True: {longest_name}, Pred: {longest_name}"
    drawing = Drawing(replace(grids[0], titles=(widest,) * len(grids[0].images)), LAYOUT)
    canvas: Any = FigureCanvasAgg(drawing.figure)
    for grid in grids:
        drawing.show(grid)
        canvas.draw()
        red, green, blue = np.moveaxis(np.asarray(canvas.buffer_rgba())[..., :3].astype(np.int32), -1, 0)
        colors, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
        channels = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1)
        # Pillow's quantize() chooses a colour nearby, not the nearest: white would become grey.
        distances = ((channels[:, np.newaxis] - palette.astype(np.int32)) ** 2).sum(axis=2)
        picture = Image.fromarray(distances.argmin(axis=1).astype(np.uint8)[places].reshape(red.shape))
        picture.putpalette(palette.tobytes())
        yield picture
