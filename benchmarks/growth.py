"""Measure how the time of an iteration grows with the batch, the filters and the threads; draw docs/growth.png.

    python benchmarks/growth.py --data-dir DIR [--output FILE]

In each of --rounds rounds, every setting trains once, in a separate process. A point is the median of the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

ITERATIONS = 100
BATCHES = (1, 4, 16, 64, 256, 1_024)
FACTORS = (0.5, 1, 2, 4)
TUTORIAL_FILTERS = (16, 36)
PRECISIONS = ("float32", "mixed_bfloat16")


def iterations_per_second(setting: dict[str, Any], data_dir: Path) -> float:
    """Measured in this process, which is limited to the setting's processors before it starts TensorFlow."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setting["threads"]])
    from cnnmnist.data.loading import load_dataset
    from cnnmnist.recipes import load_recipe
    from cnnmnist.training.step import Trainer

    filters = [{"filters": round(each * setting["factor"])} for each in TUTORIAL_FILTERS]
    recipe = load_recipe(
        overrides={
            "model.convolutions": filters,
            "training.batch_size": setting["batch_size"],
            "training.precision": setting["precision"],
            "training.iterations": 2 * ITERATIONS,
        }
    )
    trainer = Trainer(recipe, load_dataset(data_dir=data_dir))
    started = 0.0
    for progress in trainer.iterate([ITERATIONS]):
        if progress.iteration == ITERATIONS:
            started = time.perf_counter()
    return ITERATIONS / (time.perf_counter() - started)


def measured(setting: dict[str, Any], data_dir: Path) -> float:
    command = [sys.executable, __file__, "--data-dir", data_dir, "--setting", json.dumps(setting)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def draw(panels: dict[str, tuple[str, list[Any], dict[str, list[float]]]], output: Path) -> None:
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 3.6), layout="constrained")
    for axis, (title, (label, positions, lines)) in zip(axes, panels.items(), strict=True):
        for name, values in lines.items():
            axis.plot(positions, values, marker="o", label=name)
        axis.set(title=title, xlabel=label, ylabel="ms per iteration", xscale="log", yscale="log")
        axis.set_xticks(positions, [f"{each:,g}" for each in positions])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(output, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("docs/growth.png"))
    parser.add_argument("--setting", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.setting:
        print(iterations_per_second(options.setting, options.data_dir))
        return
    cores = len(os.sched_getaffinity(0))
    threads = sorted({1, *(2**power for power in range(8) if 2**power <= cores), cores})
    axes = {
        "Batch": ("images per batch", "batch_size", list(BATCHES)),
        "Filters": ("filters, times the tutorial's", "factor", list(FACTORS)),
        "Threads": ("threads", "threads", threads),
    }
    usual = {"batch_size": 64, "factor": 1, "threads": cores}
    settings = {
        (title, precision, value): usual | {"precision": precision, key: value}
        for title, (_, key, values) in axes.items()
        for precision in PRECISIONS
        for value in values
    }
    rates: dict[Any, list[float]] = {key: [] for key in settings}
    for _ in range(options.rounds):
        for key, setting in settings.items():
            rates[key].append(measured(setting, options.data_dir))
    panels = {}
    for title, (label, _, values) in axes.items():
        lines = {
            precision: [1_000 / statistics.median(rates[title, precision, value]) for value in values]
            for precision in PRECISIONS
        }
        panels[title] = (label, values, lines)
        for precision, times in lines.items():
            print(title, precision, *(f"{value:g}: {ms:.2f} ms" for value, ms in zip(values, times, strict=True)))
    draw(panels, options.output)


main()
