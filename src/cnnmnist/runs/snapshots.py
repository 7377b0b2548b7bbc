"""How a run learned: its filters, and the test images that were hardest for it, after chosen iterations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnmnist.data.loading import Dataset
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import RunError, in_one_sentence
from cnnmnist.runs.metadata import RunRecord
from cnnmnist.runs.npz import Arrays, numbered, numbered_files, read_numbered, save_numbered
from cnnmnist.runs.store import Run

FRAMES = 50
HARDEST = 9


@dataclass(frozen=True, eq=False)
class Frame:
    """What is recorded after an iteration."""

    iteration: int
    accuracy: float
    """Fraction of the test split that is classified correctly."""
    kernels: tuple[np.ndarray, ...]
    """Of each convolutional layer, float32 (height, width, input channels, filters)."""
    biases: tuple[np.ndarray, ...]
    """Of each convolutional layer, float32 (filters,)."""
    hardest: np.ndarray
    """Indices of the test images with the largest cross-entropy, that with the largest first, int64 (9,)."""
    predicted: np.ndarray
    """What each of them was taken for, int64 (9,)."""
    losses: np.ndarray
    """Cross-entropy of each, float32 (9,)."""


def recording_times(iterations: int) -> list[int]:
    """About 50 iterations from 0 to the last, farther and farther apart: a network changes most at first."""
    times = list(range(min(iterations, 1) + 1))
    while times[-1] < iterations:
        growth = (iterations / times[-1]) ** (1 / max(FRAMES - len(times), 1))
        times.append(max(times[-1] + 1, round(times[-1] * growth)))
    return times


def make_frame(iteration: int, accuracy: float, model: Any, logits: np.ndarray, labels: np.ndarray) -> Frame:
    """Look at a network after an iteration.

    Args:
        iteration: how many were done.
        accuracy: on the test split.
        model: as :func:`cnnmnist.model.build_model` makes it.
        logits: of the test split, float32 (n, classes).
        labels: its true classes, uint8 (n,).
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    hardest = np.argsort(-losses, kind="stable")[:HARDEST]
    convolutions = [layer for layer in model.layers if re.fullmatch(r"conv\d+", layer.name)]
    return Frame(
        iteration=iteration,
        accuracy=accuracy,
        kernels=tuple(layer.kernel.numpy() for layer in convolutions),
        biases=tuple(layer.bias.numpy() for layer in convolutions),
        hardest=hardest,
        predicted=logits[hardest].argmax(axis=1),
        losses=losses[hardest].astype(np.float32),
    )


def save_frame(folder: Path, frame: Frame) -> None:
    """Write a frame under the number of its iteration.

    Raises:
        WriteError: it cannot be written.
    """
    arrays = {
        "iteration": np.array(frame.iteration, np.int64),
        "accuracy": np.array(frame.accuracy),
        "hardest": frame.hardest,
        "predicted": frame.predicted,
        "losses": frame.losses,
    }
    for number, (kernel, bias) in enumerate(zip(frame.kernels, frame.biases, strict=True)):
        arrays |= {f"kernel_{number}": kernel, f"bias_{number}": bias}
    save_numbered(folder, arrays)


def is_recorded(folder: Path, iteration: int) -> bool:
    """Whether there is a frame of an iteration."""
    return numbered(folder, iteration).is_file()


def truncate_recording(folder: Path, iteration: int) -> None:
    """Forget the frames after ``iteration``, which will be recorded again."""
    for path in numbered_files(folder):
        if int(path.stem) > iteration:
            path.unlink(missing_ok=True)


def recorded_files(run: Run) -> list[Path]:
    """The files of a run's frames, at least one, in their order.

    Raises:
        RunError: nothing was recorded.
    """
    times = run.record.recipe.training.record_at
    if not times:
        raise RunError(f"The run {run.name} was not recorded: record one with `cnnmnist train --record`.")
    recorded = [numbered(run.recording, iteration) for iteration in times if is_recorded(run.recording, iteration)]
    if not recorded:
        raise RunError(
            f"Nothing of the run {run.name} was recorded yet: continue it with "
            f"`cnnmnist train --resume {run.directory}`."
        )
    return recorded


def load_frames(run: Run, dataset: Dataset) -> Iterator[Frame]:
    """The frames of a run in their order, one at a time.

    Args:
        run: it need not have finished.
        dataset: the digits that it was trained on, whose test images the frames name.

    Raises:
        DataError: they are others.
        RunError: nothing was recorded, or a frame is damaged or belongs to something else.
    """
    # The test images of a data set that is known by its name are the same in all copies of it.
    if dataset.name != run.record.dataset.name or dataset.name not in DATASETS:
        run.check_same(dataset)
    for path in recorded_files(run):
        try:
            yield _frame(read_numbered(path, _like(run.record, len(dataset.test))), dataset)
        # A damaged archive makes zipfile and NumPy raise nearly anything; all of it means the same here.
        except Exception as error:
            raise RunError(f"{path} is damaged: {in_one_sentence(error)}.") from error


def _like(record: RunRecord, test_images: int) -> Arrays:
    """Arrays of the names, shapes and types of a frame's, which take no memory."""
    shown = (min(HARDEST, test_images),)
    kinds: dict[str, tuple[type, tuple[int, ...]]] = {
        "iteration": (np.int64, ()),
        "accuracy": (np.float64, ()),
        "hardest": (np.int64, shown),
        "predicted": (np.int64, shown),
        "losses": (np.float32, shown),
    }
    channels = 1
    for number, layer in enumerate(record.recipe.model.convolutions):
        kernel = (layer.filter_size, layer.filter_size, channels, layer.filters)
        kinds |= {f"kernel_{number}": (np.float32, kernel), f"bias_{number}": (np.float32, kernel[-1:])}
        channels = layer.filters
    return {name: np.broadcast_to(kind(0), shape) for name, (kind, shape) in kinds.items()}


def _frame(arrays: Arrays, dataset: Dataset) -> Frame:
    def group(name: str) -> tuple[np.ndarray, ...]:
        return tuple(arrays[f"{name}_{each}"] for each in range(sum(key.startswith(name) for key in arrays)))

    frame = Frame(
        iteration=int(arrays["iteration"]),
        accuracy=float(arrays["accuracy"]),
        kernels=group("kernel"),
        biases=group("bias"),
        hardest=arrays["hardest"],
        predicted=arrays["predicted"],
        losses=arrays["losses"],
    )
    bounds = ((frame.hardest, len(dataset.test)), (frame.predicted, len(dataset.class_names)))
    if not all(((values >= 0) & (values < bound)).all() for values, bound in bounds):
        raise ValueError("it names an image or a class that does not exist")
    if not 0 <= frame.accuracy <= 1:
        raise ValueError(f"its accuracy is {frame.accuracy}")
    return frame
