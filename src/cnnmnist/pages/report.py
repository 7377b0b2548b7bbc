"""A page that tells how a run went, for a person who was not there."""

from typing import Any

import numpy as np
import yaml
from matplotlib import colormaps
from numpy.typing import NDArray

from cnnmnist.calibration import Calibration
from cnnmnist.data.disputed import disputed_labels
from cnnmnist.data.loading import Dataset
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import DataError, RunError
from cnnmnist.evaluation import evaluate
from cnnmnist.pages.page import SCRIPTS, content, png, render, sprite
from cnnmnist.recipes import TUTORIAL_LADDER
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import load_snapshots

MOST_PIXELS = 10_000 * 28 * 28  # of the images in the file
GREY = 17  # of 255, from one level of grey to the next; so few suffice for looking, and need little space
MOST_ERRORS = 1_000  # written one by one
POINTS = 300  # of a learning curve
ENLARGED = 4  # side of a weight, in pixels of the page


def report_page(run: Run, dataset: Dataset | None) -> str:
    """Make the report of a run.

    Args:
        run: a run with a trained network.
        dataset: data set whose test split measures the network.

    Returns:
        The HTML file, complete in itself.

    Raises:
        DataError: there is no data set.
        RunError: the run has no trained network, its file is damaged, or it computes no finite numbers.
    """
    if dataset is None:
        raise DataError(f"The report of {run.name} needs the test images of its data: name them with --data-dir.")
    network, test = run.load_network(), dataset.test
    report = evaluate(network, test)
    errors = report.errors[(-report.losses[report.errors]).argsort(kind="stable")].tolist()
    right = np.flatnonzero(report.predicted == report.labels).tolist()
    shown = sorted([*errors, *right][: MOST_PIXELS // test.images[0].size])
    columns = max(1, round(len(shown) ** 0.5))
    return render(
        "report.html",
        (*SCRIPTS, "report"),
        ("style", "draw", "report"),
        **content(run, network, dataset),
        dataset=dataset,
        report=report,
        seen=run.has_seen(dataset, "test"),
        tutorial=TUTORIAL_LADDER if run.metadata.dataset.name == "mnist" else {},
        curves=_curves(run),
        reliability=Calibration(report),
        disputed=disputed_labels(test.labels),
        errors=errors[:MOST_ERRORS],
        places={index: place for place, index in enumerate(shown)},
        sprite=sprite((np.rint(test.images[shown] / GREY) * GREY).astype(np.uint8), columns),
        images={
            "columns": columns,
            "shape": dataset.image_shape,
            "index": shown,
            "label": report.labels[shown].tolist(),
            "predicted": report.predicted[shown].tolist(),
        },
        filters={name: _picture(kernel) for name, (kernel, _) in network.weights.items() if kernel.ndim == 4},
        movie=_movie(run, dataset),
        recipe=yaml.safe_dump(run.metadata.recipe.model_dump(), sort_keys=False),
        data_is_known=run.metadata.dataset.name in DATASETS,
    )


def _curves(run: Run) -> dict[str, list[float]]:
    """Loss and accuracy, each point the mean of several iterations; nothing if no iteration was kept."""
    try:
        metrics = run.load_metrics()
    except RunError:
        return {}
    count = min(POINTS, len(metrics.losses))
    curves = {"loss": metrics.losses, "accuracy": metrics.accuracies} if count else {}
    return {name: [float(part.mean()) for part in np.array_split(all_, count)] for name, all_ in curves.items()}


def _picture(kernel: NDArray[np.float32], largest: float | None = None) -> str:
    """Draw weights, float32 (height, width, channels, filters): a row for each channel, a column for each filter.

    0 is white, and ``largest`` the darkest red; the default is the largest size of these weights.
    """
    tiles = np.pad(kernel, [(0, 1), (0, 1), (0, 0), (0, 0)], constant_values=np.nan).transpose(2, 0, 3, 1)
    grid = tiles.reshape(tiles.shape[0] * tiles.shape[1], -1)[:-1, :-1]
    scale = 2 * max(largest or np.abs(kernel).max(), 1e-12)
    colors = colormaps["seismic"].with_extremes(bad="0.63")(grid / scale + 0.5, bytes=True)
    return png(colors[..., :3].repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1))


def _movie(run: Run, dataset: Dataset) -> list[dict[str, Any]]:
    """The filters of the first layer after each snapshot; nothing if there is none for these data."""
    try:
        snapshots = [snapshot for snapshot in load_snapshots(run, dataset) if snapshot.weights]
    except (DataError, RunError):
        return []
    kernels = [snapshot.weights["kernel_0"] for snapshot in snapshots]
    largest = max((float(np.abs(kernel).max()) for kernel in kernels), default=None)
    return [
        {
            "text": f"after {snapshot.iteration:,} iterations: {snapshot.accuracy:.1%}",
            "picture": _picture(kernel, largest),
        }
        for snapshot, kernel in zip(snapshots, kernels, strict=True)
    ]
