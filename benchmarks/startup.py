"""Measure the time of everything but training: help, start-up, loading MNIST, evaluating 10,000 images.

python benchmarks/startup.py --data-dir DIR
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROGRAM = [sys.executable, "-m", "cnnmnist"]


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def process(*command: str) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def first_iteration(data_dir: str) -> None:
    """Run the command until its first line of progress, which follows the first iteration."""
    arguments = ["train", "--iterations", "1", "--evaluate-at", "1", "--data-dir", data_dir]
    with subprocess.Popen(
        [*PROGRAM, *arguments, "--runs-dir", "runs/startup"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
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

    def __call__(self, batch_size: int) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"predict {batch_size}\n")
        self.process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self.process.stdout
        while not self.process.stdout.readline().startswith("{"):
            assert self.process.poll() is None


def evaluation(data_dir: Path) -> dict[str, Callable[[], object]]:
    """This program's evaluation, and Keras' with several batch sizes, on the same network and images."""
    from cnnmnist.config import ModelConfig
    from cnnmnist.data.loading import load_dataset
    from cnnmnist.model import build_model
    from cnnmnist.prediction import predict_logits

    images = load_dataset(data_dir=data_dir).test.images
    model, keras_predict = build_model(ModelConfig()), KerasPredict(data_dir)
    actions: dict[str, Callable[[], object]] = {"evaluate, cnnmnist": lambda: predict_logits(model, images)}
    for size in (64, 256, 1_000, 2_500):
        actions[f"evaluate, Keras predict, batch {size}"] = lambda size=size: keras_predict(size)
    return actions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    from cnnmnist.data.loading import load_dataset

    actions = {
        "import tensorflow": process(sys.executable, "-c", "import tensorflow"),
        "to the first iteration": lambda: first_iteration(str(options.data_dir)),
        "cnnmnist --help": process(*PROGRAM, "--help"),
        "load MNIST": lambda: load_dataset(data_dir=options.data_dir),
    } | evaluation(options.data_dir)
    for warm_up in actions.values():
        warm_up()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(options.rounds):
        for name, action in actions.items():
            times[name].append(seconds(action))
    table = Table()
    for title in ("what", "seconds (median)", "of import tensorflow"):
        table.add_column(title, justify="left" if title == "what" else "right")
    reference = statistics.median(times["import tensorflow"])
    for name, values in times.items():
        table.add_row(name, f"{statistics.median(values):.2f}", f"{statistics.median(values) / reference:.2f}")
    Console().print(table)


main()
