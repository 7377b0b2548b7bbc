"""NumPy archives (.npz) with iterations as names: written whole or not at all, and read as a stranger's data."""

import zipfile
from pathlib import Path

import numpy as np

from cnnmnist.files import replacing

Arrays = dict[str, np.ndarray]


def save_numbered(folder: Path, arrays: Arrays) -> Path:
    """Write arrays to an archive; the number in ``iteration`` is its name.

    Raises:
        WriteError: the file cannot be written; an older file of that name is unchanged.
    """
    path = numbered(folder, int(arrays["iteration"]))
    with replacing(path) as temporary:
        folder.mkdir(exist_ok=True)
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # the stub confuses them with allow_pickle
    return path


def read_numbered(path: Path, like: Arrays) -> Arrays:
    """Read an archive with exactly the names, shapes and dtypes of ``like``, and finite values only.

    An archive that would expand to more memory is not expanded.

    Raises:
        Exception: any that zipfile and NumPy raise for a damaged archive, or ValueError for other arrays.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
    if sizes.keys() != like.keys():
        raise ValueError("it belongs to another network")
    for name, size in sizes.items():
        # The header of an array has at most a few hundred bytes.
        if size > like[name].nbytes + 1024:
            raise ValueError(f"{name} is larger than it can be")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in like}
    for name, array in arrays.items():
        if array.shape != like[name].shape or array.dtype != like[name].dtype:
            raise ValueError(f"{name} has another shape or type")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    if int(arrays["iteration"]) != int(path.stem):
        raise ValueError("it is of another iteration than its name says")
    return arrays


def numbered(folder: Path, iteration: int) -> Path:
    """Return the path of the archive of an iteration."""
    return folder / f"{iteration:09d}.npz"


def numbered_files(folder: Path) -> list[Path]:
    """List the archives in a folder by iteration."""
    return sorted(path for path in folder.glob("*.npz") if path.stem.isdecimal() and path.is_file())
