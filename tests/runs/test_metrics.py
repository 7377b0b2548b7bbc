"""The metrics of a run: what is written is read, and what is damaged is named."""

from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import RunError, WriteError
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metrics import append_metrics, load_metrics, truncate_metrics
from cnnmnist.runs.store import create_run
from support.limits import SPECIAL_FILES, limited, make_sparse, make_special

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
        '{"iteration": 2, "loss": 1e300, "accuracy": 1}',
        '{"iteration": 2, "loss": -1e39, "accuracy": 1}',
        f'{{"iteration": 2, "loss": {"9" * 400}, "accuracy": 1}}',
        f'{{"iteration": 2, "loss": 1, "accuracy": {"9" * 400}}}',
        f'{{"iteration": {"9" * 400}, "loss": 1, "accuracy": 1}}',
        '{"iteration": 2, "loss": "", "accuracy": 1}',
        '{"iteration": 2, "loss": null, "accuracy": 1}',
        "null",
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


def test_there_are_no_more_metrics_than_the_recipe_has_iterations(tmp_path: Path) -> None:
    recipe = load_recipe(overrides={"training.iterations": 3})
    run = create_run(tmp_path, "mine", recipe, DATASET)
    values = np.ones(4, np.float32)
    append_metrics(run.metrics_file, 4, values, values, 10.0)
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged in line 4\.$"):
        run.load_metrics()


@pytest.mark.parametrize("kind", SPECIAL_FILES)
def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    make_special(tmp_path / "metrics.jsonl", kind)
    with limited(seconds=5):
        with pytest.raises(RunError, match=r"Cannot read .*metrics\.jsonl"):
            load_metrics(tmp_path / "metrics.jsonl")
        with pytest.raises(WriteError, match=r"Cannot write .*metrics\.jsonl"):
            truncate_metrics(tmp_path / "metrics.jsonl", 10)
    assert not list(tmp_path.glob(".*.tmp*"))


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    make_sparse(tmp_path / "metrics.jsonl", 4_000_000_000)
    with limited(megabytes=50):
        with pytest.raises(RunError, match=r"damaged in line 1\."):
            load_metrics(tmp_path / "metrics.jsonl")
        with pytest.raises(RunError, match=r"damaged in line 1\."):
            truncate_metrics(tmp_path / "metrics.jsonl", 10)
