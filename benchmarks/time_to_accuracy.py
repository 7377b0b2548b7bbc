"""Measure the seconds of training to 98.5 % and 99.0 % on the test split, and of the tutorial on stock Keras.

    python benchmarks/time_to_accuracy.py --data-dir DIR

Each round has another seed. It trains the recipe `fast` in both lengths, in separate processes, and a tenth of the
tutorial's 10,000 iterations with stock Keras `fit` on NumPy arrays. Tracing counts; import and loading do not.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

TUTORIAL_ITERATIONS = 10_000
# For each target, the iterations and the peak of the one-cycle schedule, chosen on the validation split.
TARGETS = {0.985: (350, 8e-3), 0.99: (650, 7e-3)}
KERAS_FIT = Path(__file__).parent / "contenders" / "keras_fit.py"


def fast(iterations: int, peak: float, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document that `cnnmnist train --json` prints for one run."""
    command = [sys.executable, "-m", "cnnmnist", "train", "--config", "fast", "--json"]
    command += ["--iterations", str(iterations), "--learning-rate", str(peak), "--seed", str(seed)]
    command += ["--data-dir", options.data_dir, "--runs-dir", options.runs_dir, "--evaluate-at", "0"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--runs-dir", default="runs/time-to-accuracy")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    keras = subprocess.Popen(
        [sys.executable, KERAS_FIT, options.data_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert keras.stdin
    assert keras.stdout
    keras.stdout.readline()
    stock: list[float] = []
    ours: dict[float, list[dict[str, Any]]] = {target: [] for target in TARGETS}
    for seed in range(options.rounds):
        keras.stdin.write(f"run {TUTORIAL_ITERATIONS // options.rounds}\n")
        keras.stdin.flush()
        stock.append(json.loads(keras.stdout.readline())["seconds"])
        for target, (iterations, peak) in TARGETS.items():
            ours[target].append(fast(iterations, peak, seed, options))
    keras.communicate("quit\n")

    table = Table(title=f"Stock Keras fit, {TUTORIAL_ITERATIONS:,} iterations: {sum(stock):.0f} s")
    for title in ("target", "iterations", "mean accuracy", "std", "min", "max", "seconds", "of stock Keras"):
        table.add_column(title, justify="right")
    for target, results in ours.items():
        accuracies = [100 * each["accuracy"] for each in results]
        seconds = statistics.median(each["seconds"] for each in results)
        table.add_row(
            f"{target:.1%}",
            f"{TARGETS[target][0]:,}",
            *(f"{f(accuracies):.2f}" for f in (statistics.mean, statistics.stdev, min, max)),
            f"{seconds:.1f}",
            f"1/{sum(stock) / seconds:.0f}",
        )
    Console(width=160).print(table)


main()
