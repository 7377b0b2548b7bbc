"""A model file keeps the weights, and the file of a stranger is data."""

import io
import json
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnnmnist.config import ModelConfig
from cnnmnist.errors import RunError
from cnnmnist.layers import list_layers
from cnnmnist.model import build_model
from cnnmnist.model_file import WEIGHTS_MEMBER, read_weights, save_model
from support.limits import SPECIAL_FILES, limited, make_sparse, make_special

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
MODEL, LAYERS = build_model(ModelConfig()), list_layers(ModelConfig())


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
    "a chunk that expands": lambda good: rewritten(good, replace_kernel(lambda f: bomb(f, deflated=1))),
    "a chunk that expands twice": lambda good: rewritten(good, replace_kernel(lambda f: bomb(f, deflated=2))),
    "compressed": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (5, 5, 1, 16), "f4", compression="gzip"))
    ),
    "chunked": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (5, 5, 1, 16), "f4", chunks=(5, 5, 1, 1)))
    ),
    "with a checksum": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (5, 5, 1, 16), "f4", fletcher32=True))
    ),
    "growing": lambda good: rewritten(
        good, replace_kernel(lambda f: f.create_dataset(KERNEL, (5, 5, 1, 16), "f4", maxshape=(None, 5, 1, 16)))
    ),
    "many members": lambda good: rewritten(good, **{f"x{number}": b"" for number in range(5_000)}),
    "not a number": lambda good: rewritten(good, lambda f: f[KERNEL].__setitem__(0, np.nan)),
}


def bomb(file: Any, deflated: int) -> None:
    """A chunk of 400 MB of zeros, deflated once or twice, in a data set of the right shape."""
    chunk = (5, 5, 1, 4_000_000)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    for _ in range(deflated):
        properties.set_deflate(9)
    space = h5py.h5s.create_simple((5, 5, 1, 16), (5, 5, 1, h5py.h5s.UNLIMITED))
    name = KERNEL.encode()
    data = h5py.h5d.create(file.id, name, h5py.h5t.IEEE_F32LE, space, dcpl=properties)
    packer = zlib.compressobj(9)
    content = b"".join([*(packer.compress(bytes(4_000_000)) for _ in range(100)), packer.flush()])
    for _ in range(deflated - 1):
        content = zlib.compress(content, 9)
    data.write_direct_chunk((0, 0, 0, 0), content)


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((5, 5, 1, 16), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (5, 5, 1, 16))
    file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_crafted_file_is_refused_in_a_sentence(tmp_path: Path, good: bytes, name: str) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(HOSTILE[name](good))
    with limited(), pytest.raises(RunError) as caught:
        read_weights(LAYERS, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("kind", SPECIAL_FILES)
def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    make_special(tmp_path / "model.keras", kind)
    with limited(seconds=5), pytest.raises(RunError, match="is not this run's trained network"):
        read_weights(LAYERS, tmp_path / "model.keras")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    make_sparse(tmp_path / "model.keras", 3_000_000_000, b"PK\x03\x04")
    with limited(), pytest.raises(RunError, match="3,000,000,000 bytes"):
        read_weights(LAYERS, tmp_path / "model.keras")


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
        read_weights(LAYERS, path)
        assert not evidence.exists()
        assert not (tmp_path.parents[1] / "outside").exists()


def test_flipped_bits_are_refused_or_harmless(tmp_path: Path, good: bytes) -> None:
    random = np.random.default_rng(7)
    path = tmp_path / "model.keras"
    refused = 0
    for _ in range(150):
        damaged = bytearray(good)
        for place in random.integers(0, len(good), 3):
            damaged[place] ^= 1 << random.integers(0, 8)
        path.write_bytes(damaged)
        try:
            weights = read_weights(LAYERS, path)
        except RunError:
            refused += 1
        else:
            assert [each.shape for each in weights] == [each.shape for each in MODEL.get_weights()]
            assert all(np.isfinite(each).all() for each in weights)
    assert refused > 75, "the archive's checksum finds most of them"
