"""A page that tells how a run went, for a person who was not there."""

from itertools import pairwise
from typing import Any

import numpy as np
import yaml
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from cnnmnist.calibration import calibration
from cnnmnist.data.disputed import disputed_labels
from cnnmnist.data.loading import Dataset
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import DataError, RunError, shell_quoted
from cnnmnist.evaluation import evaluate
from cnnmnist.pages.page import PARTS, content, png, render, sprite
from cnnmnist.recipes import TUTORIAL_LADDER, flatten, load_recipe, recipe_names
from cnnmnist.runs.run import Run
from cnnmnist.runs.snapshots import load_snapshots

MOST_PIXELS = 10_000 * 28 * 28  # of the images in the file
MOST_ERRORS = 1_000  # written one by one
POINTS = 300  # of a learning curve


def report_page(run: Run, dataset: Dataset) -> str:
    """Make the report of a run.

    Args:
        run: a run with a trained network.
        dataset: data set whose test split measures the network.

    Returns:
        The HTML file, complete in itself.

    Raises:
        RunError: the run has no trained network, its file is damaged, or it computes no finite numbers.
    """
    network, test, metadata = run.load_network(), dataset.test, run.metadata
    report = evaluate(network, test)
    rows, losses = report.probabilities, report.losses
    disputed = disputed_labels(test.labels)
    errors = sorted(report.errors.tolist(), key=lambda index: -losses[index])
    right = np.flatnonzero(report.predicted == report.labels).tolist()
    shown = sorted([*errors, *right][: MOST_PIXELS // test.images[0].size])
    columns = max(1, round(len(shown) ** 0.5))
    height, width = dataset.image_shape
    return render(
        "report.html",
        (*PARTS, "report.js", "report.css"),
        **content(run, network, dataset),
        metadata=metadata,
        dataset=dataset,
        names=dataset.class_names,
        report=report,
        seen=run.has_seen(dataset, "test"),
        tutorial=TUTORIAL_LADDER if metadata.dataset.name == "mnist" else {},
        curves=_curves(run),
        reliability=calibration(report),
        disputed=disputed,
        undisputed=sum(index not in disputed for index in errors),
        errors=[(index, losses[index], rows[index].tolist()) for index in errors[:MOST_ERRORS]],
        places={index: (place % columns * width, place // columns * height) for place, index in enumerate(shown)},
        sprite=sprite(test.images[shown], columns, bits=4),
        sprite_size=(columns * width, -(-len(shown) // columns) * height),
        images={
            "columns": columns,
            "shape": [height, width],
            "index": shown,
            "label": report.labels[shown].tolist(),
            "predicted": report.predicted[shown].tolist(),
        },
        filters=[
            (name, *_picture(kernel, float(np.abs(kernel).max())))
            for name, (kernel, _) in network.weights.items()
            if kernel.ndim == 4
        ],
        movie=_movie(run, dataset),
        recipe=yaml.safe_dump(metadata.recipe.model_dump(), sort_keys=False),
        command=_command(run),
    )


def _curves(run: Run) -> dict[str, list[tuple[float, float]]]:
    """Loss and accuracy by iteration, each the mean of as many iterations as make few points."""
    try:
        metrics = run.load_metrics()
    except RunError:
        return {}
    count = len(metrics.losses)
    ends = np.linspace(0, count, min(POINTS, count) + 1).round().astype(int).tolist()
    curves = {"loss": metrics.losses, "accuracy": metrics.accuracies} if count else {}
    return {
        name: [(end, float(values[start:end].mean())) for start, end in pairwise(ends)]
        for name, values in curves.items()
    }


def _picture(kernel: NDArray[np.float32], largest: float) -> tuple[str, int, int]:
    """Draw weights, float32 (height, width, channels, filters): a row for each channel, a column for each filter.

    Return the picture, its width and its height; 0 is white.
    """
    tiles = np.pad(kernel, [(0, 1), (0, 1), (0, 0), (0, 0)], constant_values=np.nan).transpose(2, 0, 3, 1)
    grid = tiles.reshape(tiles.shape[0] * tiles.shape[1], -1)[:-1, :-1]
    colors = colormaps["seismic"].with_extremes(bad="0.63")(grid / max(largest, 1e-12) / 2 + 0.5, bytes=True)
    return png(Image.fromarray(colors[..., :3])), grid.shape[1], grid.shape[0]


def _movie(run: Run, dataset: Dataset) -> list[dict[str, Any]]:
    """The filters of the first layer after each snapshot; nothing if there is none for these data."""
    try:
        snapshots = list(load_snapshots(run, dataset))
    except (DataError, RunError):
        return []
    snapshots = [snapshot for snapshot in snapshots if snapshot.weights]
    largest = max((float(np.abs(each.weights["kernel_0"]).max()) for each in snapshots), default=1.0)
    return [
        {
            "text": f"after {each.iteration:,} iterations: {each.accuracy:.1%}",
            "picture": _picture(each.weights["kernel_0"], largest)[0],
        }
        for each in snapshots
    ]


def _command(run: Run) -> str:
    """The command that trains the same run again."""
    recipe, own = run.metadata.recipe, run.metadata.dataset
    given = ["cnnmnist", "train"]
    fields = flatten(recipe.model_dump())
    base = flatten(load_recipe(recipe.name).model_dump()) if recipe.name in recipe_names() else None
    changed = {name: value for name, value in fields.items() if base is None or base.get(name) != value}
    if base is None or any("[" in name for name in [*changed, *(set(base) - set(fields))]):
        given += ["--config", "recipe.yaml"]
    else:
        given += ["--config", recipe.name]
        for name, value in changed.items():
            text, *_ = yaml.safe_dump(value, default_flow_style=True, width=1_000_000).splitlines()
            given += ["--set", f"{name}={text}"]
    given += ["--dataset", own.name] if own.name in DATASETS else ["--data-dir", "DIR"]
    return " ".join(map(shell_quoted, given))
