"""The weights of a network: written to a ``.keras`` file, and read from a stranger's as data, never as code."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from cnnmnist.errors import RunError, reason
from cnnmnist.files import replacing
from cnnmnist.runtime import keras

WEIGHTS_MEMBER = "model.weights.h5"


def save_model(model: keras.Model, path: Path) -> None:
    """Write a float32 network as a ``.keras`` file that plain Keras opens; ``path`` never holds half a file.

    Raises:
        WriteError: it cannot be written.
    """
    with replacing(path) as temporary:
        model.save(temporary)


def load_weights(model: keras.Model, path: Path) -> None:
    """Fill a network with the weights of a ``.keras`` file, and read nothing else of that file.

    The file counts as data from a stranger: its configuration is not deserialised, so that none of its code can
    run, and the weights must be plain float32 arrays of exactly the names and shapes that the network has.

    Raises:
        RunError: the file is missing, damaged, or holds anything but this network's weights.
    """
    arrays = _read_weights(path, {name: variable.shape for name, variable in _named_variables(model)})
    for name, variable in _named_variables(model):
        variable.assign(arrays[name])


def _named_variables(model: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    """Each weight with its place in the HDF5 file: Keras counts layers by class, not by their names."""
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = type(layer).__name__.lower()
        number = counts[kind] = counts.get(kind, -1) + 1
        for index, variable in enumerate(layer.trainable_variables):
            yield f"layers/{kind}{f'_{number}' if number else ''}/vars/{index}", variable


def _read_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    # HDF5's own structures and the unused optimizer groups need some space beside the arrays.
    limit = 4 * sum(int(np.prod(shape)) for shape in shapes.values()) + 1_000_000
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(WEIGHTS_MEMBER).file_size
            if size > limit:
                raise ValueError(f"{WEIGHTS_MEMBER} has {size:,} bytes where at most {limit:,} belong")
            with archive.open(WEIGHTS_MEMBER) as member:
                content = member.read(limit + 1)
        with h5py.File(io.BytesIO(content), "r") as file:
            return {name: _read_array(file, name, shape) for name, shape in shapes.items()}
    # h5py and zipfile raise nearly anything for a damaged file; all of it means the same here.
    except Exception as error:
        raise RunError(f"{path} is not this run's trained network: {reason(error)}.") from error


def _read_array(file: h5py.File, name: str, shape: tuple[int, ...]) -> np.ndarray:
    place = ""
    for part in name.split("/"):
        place = f"{place}/{part}"
        if not isinstance(file.get(place, getlink=True), h5py.HardLink):
            raise ValueError(f"the weights {name} are missing or only a link")
    array = file[name]
    if not isinstance(array, h5py.Dataset) or array.shape != tuple(shape) or array.dtype != np.float32:
        raise ValueError(f"the weights {name} are not float32 of shape {tuple(shape)}")
    if array.external or array.is_virtual:
        raise ValueError(f"the weights {name} lie outside the file")
    values = np.empty(shape, np.float32)
    array.read_direct(values)
    if not np.isfinite(values).all():
        raise ValueError(f"the weights {name} are not all finite")
    return values
