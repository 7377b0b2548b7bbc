"""Checkpoints: the state of a training, from which it continues to the same bits; the last two are kept."""

import contextlib
from pathlib import Path

import numpy as np

from cnnmnist.errors import RunError, raised_as, reason
from cnnmnist.runs.metadata import MAX_SECONDS
from cnnmnist.runs.npz import Arrays, numbered_files, read_numbered, save_numbered

KEPT = 2


def save_checkpoint(folder: Path, state: Arrays) -> Path:
    """Write a checkpoint, whose name is the number in the array ``iteration``, and remove all but the last two.

    Raises:
        WriteError: the file cannot be written; older checkpoints are unchanged.
    """
    path = save_numbered(folder, state)
    for old in numbered_files(folder)[:-KEPT]:
        with contextlib.suppress(OSError):  # it does no harm
            old.unlink()
    return path


def load_checkpoint(folder: Path, like: Arrays) -> Arrays | None:
    """Read the newest checkpoint with the names, shapes and dtypes of ``like``; None if there are no checkpoints.

    Raises:
        RunError: there are checkpoints, but each is damaged or belongs to another network; or the folder cannot be
            read.
    """
    failures = []
    with raised_as(RunError, f"Cannot read {folder}"):
        files = numbered_files(folder)
    for path in reversed(files):
        try:
            state = read_numbered(path, like)
            if not 0 <= float(state.get("seconds", np.array(0))) <= MAX_SECONDS:
                raise ValueError("its time is out of range")
            return state
        except Exception as error:  # zipfile and NumPy raise nearly anything for a damaged archive
            failures.append(f"{path.name} ({reason(error)})")
    if failures:
        raise RunError(f"No checkpoint in {folder} can be read: {', '.join(failures)}.")
    return None
