"""Metrics of a run: one line of JSON for each iteration, appended during the training."""

import itertools
import json
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnmnist.errors import RunError, WriteError, raised_as
from cnnmnist.files import open_file, replacing
from cnnmnist.runs.metadata import MAX_ITERATIONS

MAX_LINE = 1_000  # bytes
LARGEST_LOSS = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Metrics:
    """Loss and accuracy of each iteration of a run, from the first."""

    losses: np.ndarray
    """Loss of each iteration before its step, float32 (n,)."""
    accuracies: np.ndarray
    """Accuracy of each iteration on its batch before its step, float32 (n,)."""


def append_metrics(
    path: Path, last: int, losses: np.ndarray, accuracies: np.ndarray, iterations_per_second: float
) -> None:
    """Append the losses and accuracies, float32 (n,), of the latest iterations, of which the last has a number.

    Raises:
        WriteError: the file cannot be written.
    """
    speed, lines = round(iterations_per_second, 2), []
    values = zip(losses, accuracies, strict=True)
    for iteration, (loss, accuracy) in enumerate(values, last - len(losses) + 1):
        rounded = {"loss": round(float(loss), 6), "accuracy": round(float(accuracy), 6)}
        lines.append(json.dumps({"iteration": iteration, **rounded, "iterations_per_second": speed}))
    with raised_as(WriteError, f"Cannot write {path}"), path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def load_metrics(path: Path, iterations: int = MAX_ITERATIONS) -> Metrics:
    """Read the metrics of a run of at most so many iterations, without a last line that a crash cut off.

    Raises:
        RunError: the file is missing or damaged.
    """
    losses, accuracies = array("f"), array("f")
    with raised_as(RunError, f"Cannot read {path}"), open_file(path) as file:
        for number in itertools.count(1):
            line = file.readline(MAX_LINE)
            if not line.endswith(b"\n") and len(line) < MAX_LINE:
                break
            try:
                values = json.loads(line)
                loss, accuracy = float(values["loss"]), float(values["accuracy"])
                if values["iteration"] != number or number > iterations:
                    raise ValueError("another iteration")
                if not (abs(loss) <= LARGEST_LOSS and 0 <= accuracy <= 1):
                    raise ValueError("not finite, or no fraction")
            except Exception as error:  # there are many ways in which a stranger's file can be wrong
                raise RunError(f"{path} is damaged in line {number}.") from error
            losses.append(loss)
            accuracies.append(accuracy)
    return Metrics(np.array(losses, np.float32), np.array(accuracies, np.float32))


def truncate_metrics(path: Path, iteration: int) -> None:
    """Remove the metrics of iterations after ``iteration``, which will be repeated.

    Raises:
        RunError: a line is longer than any line of metrics.
        WriteError: the file is missing or cannot be read or written.
    """
    with replacing(path) as temporary, open_file(path) as old, temporary.open("wb") as new:
        for number in range(1, iteration + 1):
            line = old.readline(MAX_LINE)
            if not line.endswith(b"\n") and len(line) == MAX_LINE:
                raise RunError(f"{path} is damaged in line {number}.")
            if not line:
                break
            new.write(line)
