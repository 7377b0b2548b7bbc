"""The model file ``model.keras``: written for Keras, and read as data, because it may come from a stranger."""

import collections
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from cnnmnist.errors import RunError, raised_as
from cnnmnist.files import open_zip, replacing
from cnnmnist.layers import Layer

if TYPE_CHECKING:
    from cnnmnist.runtime import keras

WEIGHTS_MEMBER = "model.weights.h5"
OTHER_BYTES = 1_000_000  # more than Keras' configuration has


def save_model(model: "keras.Model", path: Path) -> None:
    """Write a float32 network as a ``.keras`` file that Keras can load, whole or not at all.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path) as temporary:
        model.save(temporary)


def read_weights(layers: Sequence[Layer], path: Path) -> list[np.ndarray]:
    """Read the weights of a network from a ``.keras`` file, and nothing else.

    The file may come from a stranger. Its configuration is not deserialised, so that no code from it can run. Its
    weights must be plain float32 arrays, all finite, with exactly the names and shapes of the network's weights.

    Returns:
        Kernel and bias of each layer that has them, in order, as :class:`cnnmnist.network.Network` takes them.

    Raises:
        RunError: the file is missing or damaged, or its weights are not valid for this network.
    """
    shapes = _shapes(layers)
    # HDF5's own structures and the unused optimizer groups need some space beside the arrays.
    limit = 4 * sum(layer.parameters for layer in layers) + 1_000_000
    # h5py and zipfile raise nearly anything for a damaged file.
    with raised_as(RunError, f"{path} is not this run's trained network", Exception):
        with open_zip(path, limit + OTHER_BYTES) as archive:
            size = archive.getinfo(WEIGHTS_MEMBER).file_size
            if size > limit:
                raise ValueError(f"{WEIGHTS_MEMBER} has {size:,} bytes, more than {limit:,}")
            with archive.open(WEIGHTS_MEMBER) as member:
                content = member.read(limit + 1)
        with h5py.File(io.BytesIO(content), "r") as file:
            return [_read_array(file, name, shape) for name, shape in shapes.items()]


def _shapes(layers: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    """Shapes by path in the HDF5 file: Keras numbers the layers of each class, and ignores their names."""
    shapes: dict[str, tuple[int, ...]] = {}
    counts = collections.Counter[str]()
    for layer in layers:
        kind = layer.kind.lower()
        name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        shapes |= {f"layers/{name}/vars/{i}": shape for i, shape in enumerate(layer.weight_shapes)}
    return shapes


def _read_array(file: h5py.File, name: str, shape: tuple[int, ...]) -> np.ndarray:
    place = ""
    for part in name.split("/"):
        place = f"{place}/{part}"
        if not isinstance(file.get(place, getlink=True), h5py.HardLink):
            raise ValueError(f"the weights {name} are missing or only a link")
    array = file[name]
    if not isinstance(array, h5py.Dataset) or array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"the weights {name} are not float32 of shape {shape}")
    if array.external or array.is_virtual:
        raise ValueError(f"the weights {name} lie outside the file")
    if array.chunks is not None:  # a small chunk can expand to any size
        raise ValueError(f"the weights {name} are not stored as they are, but in chunks")
    values: np.ndarray = array[()]
    if not np.isfinite(values).all():
        raise ValueError(f"the weights {name} are not all finite")
    return values
