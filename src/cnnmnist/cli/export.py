"""``cnnmnist export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import Command, Terminal, data_options, json_option, run_argument, runs_dir_option

if TYPE_CHECKING:
    import numpy as np

    from cnnmnist.data.loading import Dataset

ENDINGS = {"onnx": ".onnx", "saved-model": "-saved-model", "tflite": ".tflite", "weights": ".safetensors"}
NEEDED = {"onnx": ("onnx", "tf2onnx"), "weights": ("safetensors",)}


@click.command(cls=Command)
@run_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(ENDINGS)),
    required=True,
    help="ONNX, TensorFlow's SavedModel (a folder), TFLite (LiteRT), or the weights alone (safetensors).",
)
@click.option("--int8", is_flag=True, help="TFLite in 8-bit integers, calibrated on training images.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="What to write.  [default: here, by the run's name]",
)
@data_options
@runs_dir_option
@json_option
def command(
    run: str,
    kind: str,
    int8: bool,
    output: Path | None,
    dataset: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write the trained network of RUN for other programs, its softmax included.

    The input is image, float32 (n, 28, 28, 1) in [0, 1], 0 being the background; the output is probabilities,
    float32 (n, 10). Other data have other shapes. The run stays as it is.

    \b
    cnnmnist export --format onnx
    cnnmnist export pretrained --format tflite --int8 --output digits.tflite
    """
    if int8 and kind != "tflite":
        raise click.UsageError("--int8 goes with --format tflite.")
    if (dataset or data_dir) and not int8:
        raise click.UsageError("--dataset and --data-dir name the images that --int8 is calibrated on.")

    from cnnmnist.cli.extras import require
    from cnnmnist.runs.store import load_run

    require(kind, f"--format {kind}", *NEEDED.get(kind, ()))
    if int8:
        require(kind, "--int8", "ai_edge_litert")
    terminal = Terminal(as_json)
    found = load_run(run, runs_dir)
    path = output or Path(found.directory.resolve().name + ("-int8" if int8 else "") + ENDINGS[kind])
    _check_output(path, kind)
    digits = found.load_dataset(dataset, data_dir) if int8 else None
    model = found.load_model()
    terminal.warn_about(found)

    report = _export(model, kind, path, digits)
    names = found.record.dataset.class_names
    size = sum(part.stat().st_size for part in (path, *path.rglob("*")) if part.is_file())
    terminal.out.print(f"{'Folder' if kind == 'saved-model' else 'File'}: {path} ({size / 1000:,.0f} kB)")
    if kind == "weights":
        for name, shape in report["arrays"].items():
            terminal.out.print(f"  {name:<13} float32 {tuple(shape)}")
    else:
        shape = ", ".join(map(str, model.input_shape[1:]))
        report |= {
            "input": {"name": "image", "shape": [None, *model.input_shape[1:]], "dtype": "float32"},
            "output": {"name": "probabilities", "shape": [None, len(names)], "dtype": "float32"},
        }
        terminal.out.print(f"  input:  image, float32 (n, {shape}) in [0, 1]")
        terminal.out.print(f"  output: probabilities, float32 (n, {len(names)})")
    if digits:
        terminal.out.print(
            f"Accuracy on Test-Set: {report['accuracy']:.2%} in int8, {report['float_accuracy']:.2%} in float32 "
            f"({len(digits.test):,} images of {digits.name})"
        )
    document = {"run": str(found.directory), "format": kind, "path": str(path), "bytes": size}
    terminal.result(document | {"class_names": names} | report)


def _check_output(path: Path, kind: str) -> None:
    """Refuse to put a file in a folder's place, or a SavedModel in that of anything else, before the work."""
    from cnnmnist.errors import RunError

    if kind != "saved-model" and path.is_dir():
        raise RunError(f"{path} is a folder: name a file with --output.")
    replaceable = (path / "saved_model.pb").is_file() or (path.is_dir() and not any(path.iterdir()))
    if kind == "saved-model" and path.exists() and not replaceable:
        raise RunError(f"{path} is there already and is not a SavedModel: name another folder with --output.")


def _export(model: Any, kind: str, path: Path, digits: "Dataset | None") -> dict[str, Any]:
    """Write the network; what there is to say of it beside its input and output, for the JSON document."""
    from cnnmnist import export as exporting

    if kind == "weights":
        return {"arrays": {name: list(shape) for name, shape in exporting.export_weights(model, path).items()}}
    if digits:
        exporting.export_tflite(model, path, digits.train.images[: exporting.CALIBRATION_IMAGES])
        return _accuracies(model, path, digits)
    write = {
        "onnx": exporting.export_onnx,
        "saved-model": exporting.export_saved_model,
        "tflite": exporting.export_tflite,
    }
    write[kind](model, path)
    return {}


def _accuracies(model: Any, path: Path, digits: "Dataset") -> dict[str, float]:
    from cnnmnist.evaluation import accuracy
    from cnnmnist.export import tflite_probabilities

    predicted: np.ndarray = tflite_probabilities(path, digits.test.images).argmax(axis=1)
    return {
        "accuracy": float((predicted == digits.test.labels).mean()),
        "float_accuracy": accuracy(model, digits.test),
    }
