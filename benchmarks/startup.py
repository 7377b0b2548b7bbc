"""Measure how soon the commands answer: each in a new process, beside the import of TensorFlow.

    python benchmarks/startup.py --data-dir DIR

In each round, every row is measured once, so that all rows share the load of the machine. `--memory` measures the
time and the peak memory of `evaluate` for several numbers of images instead.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from cnnmnist.data.loading import load_dataset
from cnnmnist.prediction import predict_logits
from cnnmnist.runs.store import load_run

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from build_mnist5k import write_idx

PROGRAM = [sys.executable, "-m", "cnnmnist"]
REFERENCE = 'python -c "import tensorflow"'
KERAS_SIZES = (64, 256, 1_000, 2_500)
# Prints the seconds and the largest resident memory of the command that its arguments are.
MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of all processors together; an action in a process that goes on returns the latter."""
    before, started = sum(os.times()[:4]), time.perf_counter()
    answer = action()
    elapsed, processor = time.perf_counter() - started, sum(os.times()[:4]) - before
    return elapsed, answer if isinstance(answer, float) else processor


def process(*command: str | Path) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def first_line_of_progress(data_dir: Path, folder: Path) -> None:
    arguments = ["train", "--iterations", "1", "--evaluate-at", "1", "--data-dir", data_dir, "--runs-dir", folder]
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as train:
        assert train.stderr
        while "Iteration" not in train.stderr.readline() and train.poll() is None:
            pass
        train.kill()


class KerasPredict:
    """Keras' `predict` on the test images, in a process with Keras' default settings and oneDNN's kernels."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "contenders" / "keras_fit.py", data_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1"},
            text=True,
        )
        self._answer()

    def __call__(self, batch_size: int) -> float:
        assert self.process.stdin
        self.process.stdin.write(f"predict {batch_size}\n")
        self.process.stdin.flush()
        return float(self._answer()["processor_seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        while not (line := self.process.stdout.readline()).startswith("{"):
            assert self.process.poll() is None
        return dict(json.loads(line))


def commands(data_dir: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """Commands that start cold, by their words in the table."""
    images = load_dataset(data_dir=data_dir).test.images
    picture, onnx = folder / "seven.png", folder / "network.onnx"
    Image.fromarray(np.pad(255 - images[0].repeat(8, axis=0).repeat(8, axis=1), 20, constant_values=255)).save(
        picture
    )
    figure = ["--output", folder / "figure.png"]
    lines = {
        "--help": ["--help"],
        "predict, one picture": ["predict", "--run", "pretrained", picture],
        "evaluate, 10,000 images": ["evaluate", "pretrained", "--data-dir", data_dir],
        "evaluate --show-errors": [
            *("evaluate", "pretrained", "--data-dir", data_dir, "--show-errors", "--figures", folder)
        ],
        "visualize --layer conv1": ["visualize", "pretrained", "--layer", "conv1", *figure],
        "visualize --layer conv1 --image 13": [
            *("visualize", "pretrained", "--layer", "conv1", "--image", "13", "--data-dir", data_dir, *figure)
        ],
        "summary": ["summary", "pretrained"],
        "export --format onnx": ["export", "pretrained", "--format", "onnx", "--output", onnx],
    }
    return {
        REFERENCE: process(sys.executable, "-c", "import tensorflow"),
        **{name: process(*PROGRAM, *line) for name, line in lines.items()},
        "train, to the first line of progress": lambda: first_line_of_progress(data_dir, folder / "runs"),
    }


def evaluations(data_dir: Path) -> dict[str, Callable[[], object]]:
    """This program's evaluation in a process that is warm, and Keras' with several batch sizes."""
    images = load_dataset(data_dir=data_dir).test.images
    network, keras_predict = load_run("pretrained", Path()).load_network(), KerasPredict(data_dir)
    actions: dict[str, Callable[[], object]] = {
        "warm: classify 10,000 images": lambda: predict_logits(network, images)
    }
    for size in KERAS_SIZES:
        actions[f"warm: Keras predict, batch {size:,}"] = lambda size=size: keras_predict(size)
    return actions


def measure_memory(data_dir: Path, folder: Path, rounds: int) -> Table:
    table = Table("images", "seconds", "peak memory in MB")
    source = load_dataset(data_dir=data_dir)
    for count in (1_000, 10_000, 100_000):
        digits = folder / str(count)
        digits.mkdir()
        places = np.arange(count) % len(source.test)
        for stem, split, chosen in (("train", source.train, slice(6_000)), ("t10k", source.test, places)):
            write_idx(digits / f"{stem}-images-idx3-ubyte", split.images[chosen])
            write_idx(digits / f"{stem}-labels-idx1-ubyte", split.labels[chosen])
        command = [sys.executable, "-c", MEASURE, *PROGRAM, "evaluate", "pretrained", "--data-dir", digits]
        outputs = [
            subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(rounds)
        ]
        times, sizes = zip(*(map(float, output.split()) for output in outputs), strict=True)
        table.add_row(f"{count:,}", f"{statistics.median(times):.2f}", f"{max(sizes):.0f}")
    return table


def measure_start(data_dir: Path, folder: Path, rounds: int) -> Table:
    actions = commands(data_dir, folder) | evaluations(data_dir)
    for warm_up in actions.values():
        warm_up()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action))
    table = Table("what", "seconds", f"of {REFERENCE}", "processor seconds", f"of {REFERENCE}")
    for name, values in times.items():
        cells: list[str] = []
        for kind in range(2):
            ratios = [
                value[kind] / reference[kind] for value, reference in zip(values, times[REFERENCE], strict=True)
            ]
            cells.append(f"{statistics.median(value[kind] for value in values):.2f}")
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        table.add_row(name, *cells)
    of_keras = (times[f"warm: Keras predict, batch {size:,}"] for size in KERAS_SIZES)
    best = [min(values) for values in zip(*of_keras, strict=True)]
    pairs = list(zip(times["warm: classify 10,000 images"], best, strict=True))
    wall, processor = (statistics.median(own[kind] / other[kind] for own, other in pairs) for kind in range(2))
    table.caption = f"warm, of Keras' fastest: {wall:.2f}, processor time {processor:.2f}"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    measure = measure_memory if options.memory else measure_start
    with tempfile.TemporaryDirectory() as folder:
        Console(width=160).print(measure(options.data_dir.absolute(), Path(folder), options.rounds))


main()
