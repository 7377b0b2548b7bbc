"""Snapshots: the filters and the hardest test images of a run in training, after chosen iterations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnmnist.data.loading import Dataset
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import RunError, raised_as
from cnnmnist.layers import list_layers
from cnnmnist.prediction import cross_entropies
from cnnmnist.runs.npz import Arrays, numbered, numbered_files, read_numbered, save_numbered
from cnnmnist.runs.run import Run

if TYPE_CHECKING:
    from cnnmnist.runtime import keras

SNAPSHOTS = 50
HARDEST = 9


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The filters and the hardest test images after an iteration."""

    iteration: int
    accuracy: float
    """Fraction of the test split that is classified correctly."""
    weights: Arrays
    """Float32: ``kernel_0`` (height, width, input channels, filters), ``bias_0`` (filters,), ``kernel_1``, ..."""
    hardest: np.ndarray
    """Indices of the test images with the largest cross-entropy, the largest first, int64 (9,)."""
    predicted: np.ndarray
    """Predicted classes of the hardest images, int64 (9,)."""
    losses: np.ndarray
    """Cross-entropies of the hardest images, float32 (9,)."""


def snapshot_times(iterations: int) -> list[int]:
    """Choose about 50 iterations from 0 to the last; most are early, when a network changes most."""
    times = list(range(min(iterations, 1) + 1))
    while times[-1] < iterations:
        growth = (iterations / times[-1]) ** (1 / max(SNAPSHOTS - len(times), 1))
        times.append(max(times[-1] + 1, round(times[-1] * growth)))
    return times


def take_snapshot(
    iteration: int, accuracy: float, model: "keras.Model", logits: np.ndarray, labels: np.ndarray
) -> Snapshot:
    """Take a snapshot; logits, float32 (n, classes), and labels, uint8 (n,), are those of the test split."""
    losses = cross_entropies(logits, labels)
    hardest = np.argsort(-losses, kind="stable")[:HARDEST]
    convolutions = [layer for layer in model.layers if re.fullmatch(r"conv\d+", layer.name)]
    return Snapshot(
        iteration=iteration,
        accuracy=accuracy,
        weights={
            f"{part}_{number}": getattr(layer, part).numpy()
            for number, layer in enumerate(convolutions)
            for part in ("kernel", "bias")
        },
        hardest=hardest,
        predicted=logits[hardest].argmax(axis=1),
        losses=losses[hardest].astype(np.float32),
    )


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write a snapshot; its iteration is the file's name.

    Raises:
        WriteError: the file cannot be written.
    """
    arrays = {name: np.array(value) for name, value in vars(snapshot).items() if name != "weights"}
    save_numbered(folder, arrays | snapshot.weights)


def has_snapshot(folder: Path, iteration: int) -> bool:
    """Whether a snapshot of an iteration exists."""
    return numbered(folder, iteration).is_file()


def truncate_snapshots(folder: Path, iteration: int) -> None:
    """Remove the snapshots after ``iteration``, which will be taken again."""
    for path in numbered_files(folder):
        if int(path.stem) > iteration:
            path.unlink(missing_ok=True)


def snapshot_files(run: Run) -> list[Path]:
    """List the files of a run's snapshots in order, at least one.

    Raises:
        RunError: the run has no snapshots.
    """
    times = run.metadata.recipe.training.record_at
    if not times:
        raise RunError(f"The run {run.name} has no snapshots: train with `cnnmnist train --record` to keep some.")
    files = [numbered(run.snapshots, iteration) for iteration in times if has_snapshot(run.snapshots, iteration)]
    if not files:
        raise RunError(f"The run {run.name} has no snapshots yet: continue it with `{run.resume_command}`.")
    return files


def load_snapshots(run: Run, dataset: Dataset) -> Iterator[Snapshot]:
    """Read the snapshots of a run in order, one at a time; they hold indices of the data set's test images.

    Raises:
        DataError: the run was trained on another data set.
        RunError: the run has no snapshots, or one is damaged or belongs to another network.
    """
    # All copies of a known data set have the same test images.
    if dataset.name != run.metadata.dataset.name or dataset.name not in DATASETS:
        run.check_same(dataset)
    like = _expected_arrays(run, len(dataset.test))
    for path in snapshot_files(run):
        # zipfile and NumPy raise nearly anything for a damaged archive.
        with raised_as(RunError, f"{path} is damaged", Exception):
            snapshot = _snapshot(read_numbered(path, like), dataset)
        yield snapshot


def _expected_arrays(run: Run, test_images: int) -> Arrays:
    """Arrays with the names, shapes and dtypes of a snapshot's; the kernels take no memory."""
    indices = np.zeros(min(HARDEST, test_images), np.int64)
    arrays = {"iteration": np.array(0), "accuracy": np.array(0.0), "hardest": indices, "predicted": indices}
    arrays["losses"] = indices.astype(np.float32)
    layers = list_layers(run.metadata.recipe.model, run.metadata.dataset.image_shape)
    for number, layer in enumerate(each for each in layers if each.kind == "Conv2D"):
        for part, shape in zip(("kernel", "bias"), layer.weight_shapes, strict=True):
            arrays[f"{part}_{number}"] = np.broadcast_to(np.float32(0), shape)
    return arrays


def _snapshot(arrays: Arrays, dataset: Dataset) -> Snapshot:
    iteration, accuracy = int(arrays.pop("iteration")), float(arrays.pop("accuracy"))
    about_images = {name: arrays.pop(name) for name in ("hardest", "predicted", "losses")}
    snapshot = Snapshot(iteration, accuracy, weights=arrays, **about_images)
    bounds = ((snapshot.hardest, len(dataset.test)), (snapshot.predicted, len(dataset.class_names)))
    if not all(((values >= 0) & (values < bound)).all() for values, bound in bounds):
        raise ValueError("it names an image or a class that does not exist")
    if not 0 <= snapshot.accuracy <= 1:
        raise ValueError(f"its accuracy is {snapshot.accuracy}")
    return snapshot
