"""``cnnmnist export``: every format in its own runtime, as docs/export.md shows it, agrees with Keras."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from safetensors.numpy import load_file

from cnnmnist.config import ModelConfig
from cnnmnist.conversion import export_saved_model, export_tflite
from cnnmnist.data.loading import load_dataset
from cnnmnist.errors import WriteError
from cnnmnist.export import export_onnx, export_weights
from cnnmnist.model import build_model
from cnnmnist.network import Network
from cnnmnist.runs.store import SHIPPED, load_run
from conftest import Cli, run_cli
from test_docs import ROOT, blocks

pytestmark = pytest.mark.xdist_group("export")
FORMATS = {
    "onnx": "pretrained.onnx",
    "saved-model": "pretrained-saved-model",
    "tflite": "pretrained.tflite",
    "weights": "pretrained.safetensors",
}
SMALL = ModelConfig.model_validate({"convolutions": [{"filters": 2}], "dense": []})
SMALL_MODEL = build_model(SMALL)
EXAMPLES = dict(zip(FORMATS, blocks(ROOT / "docs" / "export.md", "python"), strict=True))


INT8 = ["--format", "tflite", "--int8", "--dataset", "mnist5k", "--json"]


@dataclass(frozen=True)
class Exported:
    """A folder with the pretrained network in all formats, and what the command said of each."""

    folder: Path
    said: dict[str, str]
    err: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """All in one process, because TensorFlow takes seconds to start."""
    folder = tmp_path_factory.mktemp("exported")
    commands = [*(["--format", kind] for kind in FORMATS), INT8]
    script = f"""
from cnnmnist.cli import main
for options in {commands}:
    main(["export", "pretrained", *options], standalone_mode=False)
    print("END", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(zip((*FORMATS, "int8"), done.stdout.split("END\n"), strict=False))
    return Exported(folder, said, done.stderr)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_dataset("mnist5k").test.images


@pytest.fixture(scope="module")
def of_keras(digits: np.ndarray) -> np.ndarray:
    run = load_run("pretrained", Path("runs"))
    assert run.metadata.temperature == 0.542
    return np.asarray(tf.nn.softmax(run.load_model()(as_input(digits)) / 0.542))


def as_input(images: np.ndarray) -> np.ndarray:
    return (images / 255).astype(np.float32)[..., np.newaxis]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_documented_use_agrees_with_keras_at_any_batch_size(
    exported: Exported,
    kind: str,
    digits: np.ndarray,
    of_keras: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(exported.folder)
    assert len(digits) == 1_000
    images = as_input(digits)
    names: dict[str, Any] = {"images": images}
    exec(EXAMPLES[kind], names)
    classify = compile(EXAMPLES[kind].splitlines()[-1], kind, "exec")
    for batch_size in (1, 7, 1_000):
        parts = []
        for first in range(0, len(images), batch_size):
            names["images"] = images[first : first + batch_size]
            exec(classify, names)
            parts.append(names["probabilities"])
        found = np.concatenate(parts)
        assert found.dtype == np.float32
        assert np.abs(found - of_keras).max() < 1e-5
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-5


def test_names_and_shapes(exported: Exported) -> None:
    folder = exported.folder
    session = onnxruntime.InferenceSession(folder / FORMATS["onnx"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("image", "tensor(float)", ["n", 28, 28, 1])
    assert (returned.name, returned.type, returned.shape) == ("probabilities", "tensor(float)", ["n", 10])

    signature = tf.saved_model.load(folder / FORMATS["saved-model"]).signatures["serving_default"]
    assert signature.structured_input_signature[1] == {"image": tf.TensorSpec((None, 28, 28, 1), name="image")}
    assert {name: spec.shape.as_list() for name, spec in signature.structured_outputs.items()} == {
        "probabilities": [None, 10]
    }

    interpreter = Interpreter(str(folder / FORMATS["tflite"]))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}
    }
    assert interpreter.get_input_details()[0]["shape_signature"].tolist() == [-1, 28, 28, 1]

    shapes = {name: array.shape for name, array in load_file(folder / FORMATS["weights"]).items()}
    assert shapes["conv2.kernel"] == (5, 5, 16, 36)
    assert set(shapes) == {
        f"{layer}.{part}" for layer in ("conv1", "conv2", "fc1", "logits") for part in ("kernel", "bias")
    }
    for kind, name in FORMATS.items():
        assert f": {name} (" in exported.said[kind]
    told = json.loads(exported.said["int8"])  # with --json, words for people go to standard error
    made_with = "Warning: the run pretrained was made with"  # other versions than these, for each format
    words = [line for line in exported.err.splitlines() if not line.startswith(made_with)]
    assert len(words) == 4, "chatter of a library"
    assert words[0].endswith(f"({told['bytes'] / 1000:,.0f} kB)")
    assert words[-1].startswith(("Accuracy on Test-Set: 99.", "Accuracy on Test-Set: 100."))


def test_int8_states_what_it_costs(exported: Exported, digits: np.ndarray) -> None:
    folder, report = exported.folder, json.loads(exported.said["int8"])
    assert report["path"] == "pretrained-int8.tflite"
    assert report["bytes"] < 0.3 * (folder / FORMATS["tflite"]).stat().st_size
    interpreter = Interpreter(str(folder / report["path"]))
    types = {detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert np.int8 in types
    assert interpreter.get_input_details()[0]["dtype"] == np.float32
    found = interpreter.get_signature_runner()(image=as_input(digits))["probabilities"]
    right = found.argmax(axis=1) == load_dataset("mnist5k").test.labels
    assert right.mean() == report["accuracy"]
    assert report["float_accuracy"] - report["accuracy"] < 0.005
    # In a run's folder there is nothing new.
    assert {path.name for path in SHIPPED["pretrained"].iterdir()} == {"model.keras", "run.json"}


@pytest.mark.full
def test_int8_of_the_pretrained_network_loses_nothing_to_speak_of(cli: Cli, mnist_dir: Path) -> None:
    report = cli("export", "--format", "tflite", "--int8", "pretrained", "--data-dir", mnist_dir, "--json").json
    assert report["float_accuracy"] - report["accuracy"] < 0.002


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_other_shapes_classes_and_temperatures(tmp_path: Path, temperature: float) -> None:
    config = ModelConfig.model_validate({"convolutions": [{"filters": 3, "pooling": "average"}], "dense": [8]})
    model = build_model(config, (17, 9), 26, seed=1)
    images = np.random.default_rng(0).integers(0, 256, (5, 17, 9), np.uint8)
    network = Network(config, (17, 9), 26, model.get_weights(), temperature)
    expected = tf.nn.softmax(model(as_input(images)) / temperature)
    export_onnx(network, tmp_path / "a.onnx")
    export_tflite(model, tmp_path / "new" / "a.tflite", temperature=temperature)
    export_saved_model(model, tmp_path / "new" / "a", temperature)
    assert (b"temperature" in (tmp_path / "a.onnx").read_bytes()) == (temperature != 1), (
        "old runs keep their bytes"
    )
    given = as_input(images)
    saved_model = tf.saved_model.load(tmp_path / "new" / "a")
    answers = [
        onnxruntime.InferenceSession(tmp_path / "a.onnx").run(["probabilities"], {"image": given})[0],
        Interpreter(str(tmp_path / "new" / "a.tflite")).get_signature_runner()(image=given)["probabilities"],
        saved_model.serve(given)["probabilities"],
    ]
    for answer in answers:
        assert np.abs(answer - expected).max() < 1e-5
    assert export_weights(network, tmp_path / "a.safetensors")["logits.bias"] == (26,)


def test_a_saved_model_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    export_saved_model(SMALL_MODEL, again)
    (again / "of before").touch()
    export_saved_model(SMALL_MODEL, again)
    assert (again / "saved_model.pb").exists()
    assert not (again / "of before").exists()

    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    for output in (tmp_path / "precious", tmp_path / "precious" / "file"):
        refused = run_cli("export", "pretrained", "--format", "saved-model", "--output", output, cwd=tmp_path)
        assert (refused.status, refused.out) == (1, "")
        assert "is not a SavedModel: name another" in refused.err
    assert (tmp_path / "precious" / "file").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"again", "precious"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--format", "onnx", "--output", "."], 1, "is a folder: name a file"),
        (["--format", "onnx", "--int8"], 2, "--int8 goes with --format tflite."),
        (["--format", "tflite", "--data-dir", "."], 2, "that --int8 is calibrated on"),
        (["--format", "tflite", "--int8", "--data-dir", "nowhere"], 1, "nowhere"),
        ([], 2, "Missing option '--format'"),
    ],
)
def test_what_cannot_be_done(cli: Cli, arguments: list[str], status: int, message: str) -> None:
    result = cli("export", "pretrained", *arguments)
    assert (result.status, result.out) == (status, "")
    assert message in result.err


@pytest.mark.parametrize(
    ("options", "module"),
    [
        (["--format", "onnx"], "onnx"),
        (["--format", "weights"], "safetensors"),
        (["--format", "tflite", "--int8"], "ai_edge_litert"),
    ],
)
def test_a_missing_package_is_named_with_its_command(tmp_path: Path, options: list[str], module: str) -> None:
    script = f"import sys; sys.modules[{module!r}] = None; from cnnmnist.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "export", "pretrained", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"needs {module}" in line
    assert f"pip install 'cnnmnist[{options[1]}]'" in line


def test_an_unwritable_folder_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WriteError, match=r"Cannot write /dev/null/model\.safetensors: "):
        export_weights(
            Network(SMALL, (28, 28), 10, SMALL_MODEL.get_weights()), Path("/dev/null/model.safetensors")
        )
    export_saved_model(SMALL_MODEL, tmp_path / "model")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")}

    def full(*arguments: Any, **options: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(WriteError, match=r"model: No space left on device\.$"):
        export_saved_model(SMALL_MODEL, tmp_path / "model")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
