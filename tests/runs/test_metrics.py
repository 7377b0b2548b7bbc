"""The metrics of a run: what is written is read, and what is damaged is named."""

from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import RunError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metrics import append_metrics
from cnnmnist.runs.store import create_run

DATASET = load_dataset("mnist5k")


def test_metrics_are_read_as_they_were_written(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    assert len(run.load_metrics().losses) == 0
    losses, accuracies = np.array([2.5, 1.25], np.float32), np.array([0.0, 1.0], np.float32)
    append_metrics(run.metrics_file, 2, losses, accuracies, 10.0)
    append_metrics(run.metrics_file, 4, losses, accuracies, 10.0)
    metrics = run.load_metrics()
    assert metrics.losses.tolist() == [2.5, 1.25, 2.5, 1.25]
    assert metrics.accuracies.tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "line",
    [
        '{"iteration": 3, "loss": 1, "accuracy": 1}',
        '{"iteration": 2, "loss": NaN, "accuracy": 1}',
        '{"iteration": 2, "loss": 1e999, "accuracy": 1}',
        '{"iteration": 2, "loss": 1, "accuracy": 1.5}',
        '{"iteration": 2, "loss": [], "accuracy": 1}',
        '{"iteration": 2}',
        "[]",
        "",
        "[" * 900,
        " " * 100_000,
        "\x00\udcff",
    ],
)
def test_damaged_metrics_are_named_with_their_line(tmp_path: Path, line: str) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    first = '{"iteration": 1, "loss": 2.0, "accuracy": 0.1, "iterations_per_second": 9.0}'
    run.metrics_file.write_text(f"{first}\n{line}\n", errors="surrogateescape")
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged in line 2\.$"):
        run.load_metrics()
