"""``cnnmnist export``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import Command, require_extra
from cnnmnist.cli.options import CommonOptions, common_options, output_option, run_argument
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import RunError

ENDINGS = {"onnx": ".onnx", "saved-model": "-saved-model", "tflite": ".tflite", "weights": ".safetensors"}
NEEDED = {"onnx": ("onnx",), "weights": ("safetensors",)}


@dataclass(frozen=True, kw_only=True)
class ExportOptions(CommonOptions):
    """What was asked of ``cnnmnist export``."""

    run_name: str
    format: str
    int8: bool
    output: Path | None


@click.command(cls=Command)
@run_argument
@click.option(
    "--format",
    type=click.Choice(list(ENDINGS)),
    required=True,
    help="ONNX, TensorFlow's SavedModel (a folder), TFLite (LiteRT), or the weights alone (safetensors).",
)
@click.option("--int8", is_flag=True, help="TFLite in 8-bit integers; training images give their ranges.")
@output_option("File or folder to write.  [default: the run's name, in this folder]", "PATH", folder_allowed=True)
@common_options
def command(**given: Any) -> None:
    """Write the trained network of RUN for other programs, with its softmax. The default RUN is the latest.

    The input is image, float32 (n, 28, 28, 1) in [0, 1], where 0 is the background. The output is probabilities,
    float32 (n, 10). Other data have other shapes. --format weights writes only the weights. The run does
    not change.

    \b
    cnnmnist export --format onnx
    cnnmnist export pretrained --format tflite --int8 --output digits.tflite
    """
    options = ExportOptions(**given)
    kind, int8 = options.format, options.int8
    if int8 and kind != "tflite":
        raise click.UsageError("--int8 goes with --format tflite.")
    if (options.dataset or options.data_dir) and not int8:
        raise click.UsageError("--dataset and --data-dir name the images that --int8 is calibrated on.")
    require_extra(kind, f"--format {kind}", *NEEDED.get(kind, ()))
    if int8:
        require_extra(kind, "--int8", "ai_edge_litert")
    terminal = Terminal(options.as_json)
    run = cnnmnist.load_run(options.run_name, options.runs_dir)
    path = options.output or Path(run.directory.resolve().name + ("-int8" if int8 else "") + ENDINGS[kind])
    _check_output(path, kind)
    dataset = run.load_dataset(options.dataset, options.data_dir) if int8 else None
    network = run.load_network()
    terminal.warn_about(run)

    report = _write(run, network, kind, path, dataset)
    names = run.metadata.dataset.class_names
    size = sum(part.stat().st_size for part in (path, *path.rglob("*")) if part.is_file())
    terminal.out.print(f"{'Folder' if kind == 'saved-model' else 'File'}: {path} ({size / 1000:,.0f} kB)")
    if kind == "weights":
        for name, shape in report["arrays"].items():
            terminal.out.print(f"  {name:<13} float32 {tuple(shape)}")
    else:
        height, width = network.image_shape
        report |= {
            "input": {"name": "image", "shape": [None, height, width, 1], "dtype": "float32"},
            "output": {"name": "probabilities", "shape": [None, len(names)], "dtype": "float32"},
        }
        terminal.out.print(f"  input:  image, float32 (n, {height}, {width}, 1) in [0, 1]")
        terminal.out.print(f"  output: probabilities, float32 (n, {len(names)})")
    if dataset:
        terminal.out.print(
            f"Accuracy on Test-Set: {report['accuracy']:.2%} in int8, {report['float_accuracy']:.2%} in float32 "
            f"({len(dataset.test):,} images of {dataset.name})"
        )
    document = {"run": str(run.directory), "format": kind, "path": str(path), "bytes": size}
    terminal.result(document | {"class_names": names} | report)


def _check_output(path: Path, kind: str) -> None:
    """Refuse, before the work, to replace a folder by a file, or anything but a SavedModel by a SavedModel."""
    if kind != "saved-model" and path.is_dir():
        raise RunError(f"{path} is a folder: name a file with --output.")
    replaceable = (path / "saved_model.pb").is_file() or (path.is_dir() and not any(path.iterdir()))
    if kind == "saved-model" and path.exists() and not replaceable:
        raise RunError(f"{path} is there already and is not a SavedModel: name another folder with --output.")


def _write(
    run: "cnnmnist.Run", network: "cnnmnist.Network", kind: str, path: Path, dataset: "cnnmnist.Dataset | None"
) -> dict[str, Any]:
    """Write the network; return what the JSON document says of it beside its input and output."""
    from cnnmnist import export

    if kind == "weights":
        return {"arrays": {name: list(shape) for name, shape in export.export_weights(network, path).items()}}
    if kind == "onnx":
        export.export_onnx(network, path)
        return {}

    from cnnmnist import conversion  # imports TensorFlow

    model = run.load_model()
    if kind == "saved-model":
        conversion.export_saved_model(model, path, network.temperature)
    elif not dataset:
        conversion.export_tflite(model, path, temperature=network.temperature)
    else:
        images = dataset.train.images[: conversion.CALIBRATION_IMAGES]
        conversion.export_tflite(model, path, images, network.temperature)
        predicted = conversion.tflite_probabilities(path, dataset.test.images).argmax(axis=1)
        return {
            "accuracy": float((predicted == dataset.test.labels).mean()),
            "float_accuracy": cnnmnist.evaluate(network, dataset.test).accuracy,
        }
    return {}
