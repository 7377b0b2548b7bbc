"""What must survive a crash: numbered files of arrays, written whole or not at all, the last two kept."""

from pathlib import Path

from cnnmnist.errors import RunError, in_one_sentence
from cnnmnist.runs.npz import Arrays, numbered_files, read_numbered, save_numbered

KEPT = 2


def save_checkpoint(folder: Path, state: Arrays) -> Path:
    """Write ``state``, named after its ``iteration``, and remove all but the last two checkpoints.

    Raises:
        WriteError: it cannot be written; the checkpoints already there are untouched.
    """
    path = save_numbered(folder, state)
    for old in numbered_files(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path, like: Arrays) -> Arrays | None:
    """The newest checkpoint that is whole, or nothing where there is none.

    Args:
        folder: of the checkpoints.
        like: arrays of the names, shapes and dtypes that a checkpoint must have.

    Raises:
        RunError: there are checkpoints, but each is damaged or of another network.
    """
    failures = []
    for path in reversed(numbered_files(folder)):
        try:
            return read_numbered(path, like)
        # A damaged archive makes zipfile and NumPy raise nearly anything; all of it means the same here.
        except Exception as error:
            failures.append(f"{path.name} ({in_one_sentence(error)})")
    if failures:
        raise RunError(f"No checkpoint in {folder} can be read: {', '.join(failures)}.")
    return None
