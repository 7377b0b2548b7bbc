"""Folders that one process has for itself."""

from pathlib import Path

import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import RunError
from cnnmnist.files import locked
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run

DATASET = load_dataset("mnist5k")


def test_a_run_that_another_process_is_training_is_left_alone(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine", load_recipe(), DATASET)
    with locked(run.directory), pytest.raises(RunError, match="Another process"), locked(run.directory):
        pass
    with locked(run.directory):
        pass
