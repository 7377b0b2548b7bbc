"""The network's shape and weights, and that a model file is data."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.errors import RecipeError, RunError, SelectionError
from cnnmnist.model import WEIGHTS_MEMBER, build_model
from cnnmnist.runtime import keras
from cnnmnist.weights import load_weights, save_model

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
MODEL = build_model(ModelConfig())


def test_the_default_network_is_the_tutorials() -> None:
    assert MODEL.count_params() == 242_062
    shapes = {layer.name: layer.output.shape[1:] for layer in MODEL.layers}
    assert shapes["conv1_activation"] == (14, 14, 16)
    assert shapes["conv2_activation"] == (7, 7, 36)
    assert shapes["flatten"] == (1764,)
    assert shapes["fc1"] == (128,)
    assert MODEL.output_shape == (None, 10)
    names = [layer.name for layer in MODEL.layers]
    assert names.index("conv1_pooling") < names.index("conv1_activation")
    assert names[-1] == "logits"


def test_initial_values_are_the_tutorials() -> None:
    weights, biases = MODEL.get_layer("fc1").get_weights()
    assert np.all(biases == np.float32(0.05))
    assert abs(weights.mean()) < 5e-4
    # Keras, like TensorFlow 1, cuts at two standard deviations without widening what remains.
    assert np.abs(weights).max() <= 0.1
    assert weights.std() == pytest.approx(0.05 * 0.8796, rel=0.01)


def test_weights_depend_on_the_seed_alone() -> None:
    again, other = build_model(ModelConfig()), build_model(ModelConfig(), seed=1)
    first = [each.numpy() for each in MODEL.trainable_variables]
    assert all(np.array_equal(a, b) for a, b in zip(first, again.get_weights(), strict=True))
    assert not np.array_equal(first[0], other.get_weights()[0])


def test_pooling_first_and_last_are_the_same_function() -> None:
    layers = [ConvLayer(filters=4, pooling_first=first) for first in (True, False)]
    outputs = [build_model(ModelConfig(convolutions=[layer]))(IMAGES[..., None] / 255.0) for layer in layers]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (ModelConfig(convolutions=[], dense=[]), (None, 10)),
        (
            ModelConfig(convolutions=[ConvLayer(filters=3, stride=2, pooling="none")], dense=[7, 5]),
            (None, 10),
        ),
        (
            ModelConfig(convolutions=[ConvLayer(filters=3, pooling="average", activation="sigmoid")]),
            (None, 10),
        ),
        (ModelConfig(output_activation="relu", dropout=0.5), (None, 10)),
    ],
)
def test_every_choice_builds_saves_and_loads(
    tmp_path: Path, config: ModelConfig, shape: tuple[int | None, int]
) -> None:
    model = build_model(config, seed=5)
    assert model.output_shape == shape
    save_model(model, tmp_path / "model.keras")
    restored = build_model(config, seed=6)
    load_weights(restored, tmp_path / "model.keras")
    images = IMAGES[..., None] / 255.0
    np.testing.assert_array_equal(model(images), restored(images))


@pytest.mark.parametrize(
    ("config", "shape", "classes"),
    [
        (ModelConfig(), (28, 28), 10),
        (
            ModelConfig(convolutions=[ConvLayer(filters=3, stride=3), ConvLayer(filters=2, pooling="none")]),
            (17, 30),
            47,
        ),
        (ModelConfig(convolutions=[], dense=[]), (9, 64), 2),
    ],
)
def test_a_network_larger_than_memory_is_refused_before_it_is_built(
    monkeypatch: pytest.MonkeyPatch, config: ModelConfig, shape: tuple[int, int], classes: int
) -> None:
    parameters = build_model(config, shape, classes).count_params()
    monkeypatch.setattr("cnnmnist.model.MAX_PARAMETERS", parameters)
    build_model(config, shape, classes)
    monkeypatch.setattr("cnnmnist.model.MAX_PARAMETERS", parameters - 1)
    with pytest.raises(RecipeError, match=f"would have {parameters:,} parameters"):
        build_model(config, shape, classes)


def test_other_image_sizes_and_classes() -> None:
    model = build_model(ModelConfig(), (17, 30), 47)
    assert (model.input_shape, model.output_shape) == ((None, 17, 30, 1), (None, 47))


@pytest.mark.parametrize("layer", ["conv3", "fc1", "conv1_pooling", "", "../conv1"])
def test_a_layer_that_is_no_convolution_is_refused(layer: str) -> None:
    with pytest.raises(SelectionError, match="choose one of conv1, conv2"):
        ModelConfig().input_channels(layer)
    assert [ModelConfig().input_channels(each) for each in ("conv1", "conv2")] == [1, 16]


def test_plain_keras_opens_the_file_without_this_package(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    save_model(build_model(ModelConfig(), precision="float32"), path)
    script = (
        "import sys, keras; m = keras.models.load_model(sys.argv[1]);"
        "assert not any(name.startswith('cnnmnist') for name in sys.modules);"
        "print(m.count_params(), m.dtype_policy.name, m.layers[0].name)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["242062", "float32", "conv1"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save_model(MODEL, path)
    return path.read_bytes()


def rewritten(content: bytes, change: Callable[[Any], None] | None = None, **members: bytes) -> bytes:
    """The same model file with its weights changed in place, or with other members beside them."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    parts = {name: archive.read(name) for name in archive.namelist()} | members
    if change:
        weights = io.BytesIO(parts[WEIGHTS_MEMBER])
        with h5py.File(weights, "r+") as file:
            change(file)
        parts[WEIGHTS_MEMBER] = weights.getvalue()
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in parts.items():
            target.writestr(name, data)
    return result.getvalue()


KERNEL = "layers/conv2d/vars/0"


def replace_kernel(make: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[KERNEL]
        make(file)

    return change


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "no archive": lambda good: b"PK\x03\x04 but no archive",
    "cut": lambda good: good[: len(good) // 2],
    "no weights": lambda good: rewritten(good, **{WEIGHTS_MEMBER: b""}),
    "weights of zeros": lambda good: rewritten(good, **{WEIGHTS_MEMBER: b"\0" * 100_000}),
    "a thousandfold": lambda good: rewritten(good, **{WEIGHTS_MEMBER: b"\0" * 500_000_000}),
    "external link": lambda good: rewritten(
        good, replace_kernel(lambda f: f.__setitem__(KERNEL, h5py.ExternalLink("/etc/hostname", "/x")))
    ),
    "soft link": lambda good: rewritten(
        good, replace_kernel(lambda f: f.__setitem__(KERNEL, h5py.SoftLink("/layers/conv2d_1/vars/0")))
    ),
    "external storage": lambda good: rewritten(
        good,
        replace_kernel(
            lambda f: f.create_dataset(KERNEL, (5, 5, 1, 16), "f4", external=[("/etc/hostname", 0, 1600)])
        ),
    ),
    "virtual": lambda good: rewritten(good, replace_kernel(lambda f: virtual(f))),
    "other shape": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (5, 5, 1, 17), "f4"))
    ),
    "absurd shape": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (2**30, 2**20), "f4", chunks=(1, 1024)))
    ),
    "other type": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (5, 5, 1, 16), h5py.string_dtype()))
    ),
    "a group": lambda good: rewritten(good, replace_kernel(lambda f: f.create_group(KERNEL))),
    "not a number": lambda good: rewritten(good, lambda f: f[KERNEL].__setitem__(0, np.nan)),
}


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((5, 5, 1, 16), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (5, 5, 1, 16))
    file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_crafted_file_is_refused_in_a_sentence(tmp_path: Path, good: bytes, name: str) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(HOSTILE[name](good))
    before = [each.numpy() for each in MODEL.trainable_variables]
    with pytest.raises(RunError) as caught:
        load_weights(MODEL, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    after = [each.numpy() for each in MODEL.trainable_variables]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]


def test_code_in_the_configuration_never_runs(tmp_path: Path, good: bytes) -> None:
    evidence = tmp_path / "evidence"
    attacks = [
        {"module": "os", "class_name": "system", "config": {"command": f"touch {evidence}"}},
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wA="}}},
        },
        {"module": "builtins", "class_name": "exec", "config": f"open({str(evidence)!r}, 'w')"},
    ]
    for attack in attacks:
        config = {
            "module": "keras",
            "class_name": "Sequential",
            "config": {"layers": [attack]},
            "safe_mode": False,
        }
        path = tmp_path / "model.keras"
        members = {"config.json": json.dumps(config).encode(), "../../outside": b"x", "/tmp/absolute": b"x"}
        path.write_bytes(rewritten(good, **members))
        load_weights(build_model(ModelConfig()), path)
        assert not evidence.exists()
        assert not (tmp_path.parents[1] / "outside").exists()


def test_flipped_bits_are_refused_or_harmless(tmp_path: Path, good: bytes) -> None:
    random = np.random.default_rng(7)
    path = tmp_path / "model.keras"
    model = build_model(ModelConfig())
    refused = 0
    for _ in range(150):
        damaged = bytearray(good)
        for place in random.integers(0, len(good), 3):
            damaged[place] ^= 1 << random.integers(0, 8)
        path.write_bytes(damaged)
        try:
            load_weights(model, path)
        except RunError:
            refused += 1
        assert all(np.isfinite(each).all() for each in model.get_weights())
    assert refused > 75, "the archive's checksum finds most of them"


def test_a_bfloat16_network_keeps_float32_weights() -> None:
    model = build_model(ModelConfig(), precision="mixed_bfloat16")
    assert {each.dtype for each in model.trainable_variables} == {"float32"}
    assert keras.backend.standardize_dtype(model(IMAGES[..., None] / 255.0).dtype) == "float32"
