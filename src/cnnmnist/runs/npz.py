"""NumPy archives (.npz) with iterations as names: written whole or not at all, and read as a stranger's data."""

import zipfile
from pathlib import Path

import numpy as np

from cnnmnist.files import open_zip, replacing

MEMBER_BYTES = 1_024  # more than the headers of an array, in NumPy's format and in the archive's

Arrays = dict[str, np.ndarray]


def save_numbered(folder: Path, arrays: Arrays) -> Path:
    """Write arrays to an archive; the number in ``iteration`` is its name.

    Raises:
        WriteError: the file cannot be written; an older file of that name is unchanged.
    """
    path = numbered(folder, int(arrays["iteration"]))
    with replacing(path, make_folder=True) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # the stub confuses them with allow_pickle
    return path


def read_numbered(path: Path, like: Arrays) -> Arrays:
    """Read an archive with exactly the names, shapes and dtypes of ``like``, and finite values only.

    Raises:
        Exception: any that zipfile and NumPy raise for a damaged archive, or ValueError for other arrays.
    """
    limit = sum(array.nbytes + MEMBER_BYTES for array in like.values())
    with open_zip(path, limit) as archive:
        if {member.filename for member in archive.infolist()} != {f"{name}.npy" for name in like}:
            raise ValueError("it belongs to another network")
        for name, array in like.items():
            if archive.getinfo(f"{name}.npy").file_size > array.nbytes + MEMBER_BYTES:
                raise ValueError(f"{name} is larger than it can be")
        arrays = {name: _read_array(archive, name, array) for name, array in like.items()}
    if int(arrays["iteration"]) != int(path.stem):
        raise ValueError("it is of another iteration than its name says")
    return arrays


def _read_array(archive: zipfile.ZipFile, name: str, like: np.ndarray) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        # NumPy touches no more memory than it reads, whatever shape the header announces.
        array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(f"{name} has another shape or type")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def numbered(folder: Path, iteration: int) -> Path:
    """Return the path of the archive of an iteration."""
    return folder / f"{iteration:09d}.npz"


def numbered_files(folder: Path) -> list[Path]:
    """List the archives in a folder by iteration, whether they can be read or not.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".npz" and path.stem.isdecimal())
    except FileNotFoundError:
        return []
