"""Checkpoints: the state of a training, from which it goes on to the same bits; the last two are kept."""

from pathlib import Path

from cnnmnist.errors import RunError, reason
from cnnmnist.runs.npz import Arrays, numbered_files, read_numbered, save_numbered

KEPT = 2


def save_checkpoint(folder: Path, state: Arrays) -> Path:
    """Write ``state``, named after its ``iteration``, and remove all but the last two checkpoints.

    Raises:
        WriteError: it cannot be written; older checkpoints are untouched.
    """
    path = save_numbered(folder, state)
    for old in numbered_files(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path, like: Arrays) -> Arrays | None:
    """Read the newest checkpoint that is whole; None where the folder has no checkpoint.

    Args:
        folder: where the checkpoints are.
        like: arrays of the names, shapes and dtypes that a checkpoint must have.

    Raises:
        RunError: there are checkpoints, but each is damaged or of another network.
    """
    failures = []
    for path in reversed(numbered_files(folder)):
        try:
            return read_numbered(path, like)
        # zipfile and NumPy raise nearly anything for a damaged archive; all of it means the same here.
        except Exception as error:
            failures.append(f"{path.name} ({reason(error)})")
    if failures:
        raise RunError(f"No checkpoint in {folder} can be read: {', '.join(failures)}.")
    return None
