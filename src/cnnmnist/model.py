"""From a ModelConfig to a plain ``keras.Model`` of named layers, and back from its file."""

import io
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.errors import RecipeError, RunError, in_one_sentence
from cnnmnist.files import replacing
from cnnmnist.runtime import keras

WEIGHTS_MEMBER = "model.weights.h5"
MAX_PARAMETERS = 100_000_000  # 400 MB, and three times that in training


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int] = (28, 28),
    classes: int = 10,
    *,
    precision: str = "float32",
    seed: int = 0,
) -> Any:
    """Build the network with fresh weights.

    Args:
        config: layers and initial values.
        image_shape: height and width in pixels.
        classes: number of logits.
        precision: Keras dtype policy, ``float32`` or ``mixed_bfloat16``; weights and logits are float32
            under both.
        seed: seed of the initial weights.

    Returns:
        A ``keras.Sequential`` from images, float32 (n, height, width, 1) in [0, 1], to logits, float32
        (n, classes). Layers are named conv1, conv1_pooling, conv1_activation, ..., fc1, ..., logits.

    Raises:
        RecipeError: the network would have more than 100 million parameters; nothing was allocated for it.
    """
    _check_size(config, image_shape, classes)
    layers = keras.layers
    seeds = np.random.SeedSequence(seed).generate_state(len(config.convolutions) + len(config.dense) + 1)
    remaining_seeds = iter(seeds.tolist())

    def initial_values() -> dict[str, Any]:
        normal = keras.initializers.TruncatedNormal(stddev=config.weight_stddev, seed=next(remaining_seeds))
        return {
            "kernel_initializer": normal,
            "bias_initializer": keras.initializers.Constant(config.bias),
        }

    def activation(name: str, layer: str, dtype: str = precision) -> list[Any]:
        return [] if name == "none" else [layers.Activation(name, name=f"{layer}_activation", dtype=dtype)]

    def pooling(convolution: ConvLayer, layer: str) -> list[Any]:
        kinds = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}
        if convolution.pooling == "none":
            return []
        kind = kinds[convolution.pooling]
        return [kind(2, strides=2, padding="same", name=f"{layer}_pooling", dtype=precision)]

    network: list[Any] = [keras.Input((*image_shape, 1), name="image")]
    for number, convolution in enumerate(config.convolutions, 1):
        name = f"conv{number}"
        network.append(
            layers.Conv2D(
                convolution.filters,
                convolution.filter_size,
                strides=convolution.stride,
                padding="same",
                name=name,
                dtype=precision,
                **initial_values(),
            )
        )
        after = [pooling(convolution, name), activation(convolution.activation, name)]
        for sublayers in after if convolution.pooling_first else reversed(after):
            network += sublayers
    network.append(layers.Flatten(name="flatten", dtype=precision))
    for number, units in enumerate(config.dense, 1):
        name = f"fc{number}"
        network.append(layers.Dense(units, name=name, dtype=precision, **initial_values()))
        network += activation(config.dense_activation, name)
        if config.dropout:
            network.append(layers.Dropout(config.dropout, name=f"{name}_dropout", dtype=precision))
    network.append(layers.Dense(classes, name="logits", dtype="float32", **initial_values()))
    network += activation(config.output_activation, "logits", "float32")
    return keras.Sequential(network, name="cnnmnist")


def _check_size(config: ModelConfig, image_shape: tuple[int, int], classes: int) -> None:
    height, width = image_shape
    channels, parameters = 1, 0
    for layer in config.convolutions:
        parameters += layer.filters * (channels * layer.filter_size**2 + 1)
        channels = layer.filters
        step = layer.stride * (1 if layer.pooling == "none" else 2)
        height, width = -(-height // step), -(-width // step)
    units = [height * width * channels, *config.dense, classes]
    parameters += sum((before + 1) * after for before, after in itertools.pairwise(units))
    if parameters > MAX_PARAMETERS:
        raise RecipeError(
            f"The network would have {parameters:,} parameters, more than {MAX_PARAMETERS:,}: choose fewer "
            "filters or units."
        )


def save_model(model: Any, path: Path) -> None:
    """Write a float32 network as a ``.keras`` file that plain Keras opens; ``path`` changes only when whole.

    Raises:
        WriteError: it cannot be written.
    """
    with replacing(path) as temporary:
        model.save(temporary)


def load_weights(model: Any, path: Path) -> None:
    """Fill a network with the weights of a ``.keras`` file, and read nothing else of that file.

    The file is treated as data from a stranger: its configuration is not deserialised, so that no code of
    it can run, and the weights must be plain float32 arrays of exactly the names and shapes expected.

    Raises:
        RunError: the file is missing, damaged, or holds anything but this network's weights.
    """
    arrays = _read_weights(path, {name: variable.shape for name, variable in _named_variables(model)})
    for name, variable in _named_variables(model):
        variable.assign(arrays[name])


def _named_variables(model: Any) -> Iterator[tuple[str, Any]]:
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
    # h5py and zipfile raise whatever a damaged file leads them to; all of it means the same here.
    except Exception as error:
        raise RunError(f"{path} is not this run's trained network: {in_one_sentence(error)}.") from error


def _read_array(file: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
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
