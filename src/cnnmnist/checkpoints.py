"""What must survive a crash: numbered files of arrays, written whole or not at all, the last two kept."""

import zipfile
from pathlib import Path

import numpy as np

from cnnmnist.errors import RunError, in_one_sentence
from cnnmnist.files import replacing

KEPT = 2


def save_checkpoint(folder: Path, state: dict[str, np.ndarray]) -> Path:
    """Write ``state``, named after its ``iteration``, and remove all but the last two checkpoints.

    Raises:
        RunError: it cannot be written; the checkpoints already there are untouched.
    """
    path = folder / f"{int(state['iteration']):09d}.npz"
    with replacing(path) as temporary:
        folder.mkdir(exist_ok=True)
        np.savez(temporary, **state)  # type: ignore[arg-type]  # the stub confuses them with allow_pickle
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path, like: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The newest checkpoint that is whole, or nothing where there is none.

    Args:
        folder: of the checkpoints.
        like: arrays of the names, shapes and dtypes that a checkpoint must have.

    Raises:
        RunError: there are checkpoints, but each is damaged or of another network.
    """
    failures = []
    for path in reversed(_checkpoints(folder)):
        try:
            return _read(path, like)
        # A damaged archive makes zipfile and NumPy raise nearly anything; all of it means the same here.
        except Exception as error:
            failures.append(f"{path.name} ({in_one_sentence(error)})")
    if failures:
        raise RunError(f"No checkpoint in {folder} can be read: {', '.join(failures)}.")
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.npz") if path.stem.isdecimal() and path.is_file())


def _read(path: Path, like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
    if sizes.keys() != like.keys():
        raise ValueError("it belongs to another network")
    for name, size in sizes.items():
        # The header of an array has at most a few hundred bytes; so nothing larger is ever expanded.
        if size > like[name].nbytes + 1024:
            raise ValueError(f"{name} is larger than it can be")
    with np.load(path, allow_pickle=False) as arrays:
        state = {name: arrays[name] for name in like}
    for name, array in state.items():
        if array.shape != like[name].shape or array.dtype != like[name].dtype:
            raise ValueError(f"{name} has another shape or type")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    if int(state["iteration"]) != int(path.stem):
        raise ValueError("it is of another iteration than its name says")
    return state
