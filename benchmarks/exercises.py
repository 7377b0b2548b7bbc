"""Measure the size and time of every recipe: for docs/exercises.md and configs/results.json.

    python benchmarks/exercises.py --data-dir DIR

In each round, every recipe trains --iterations, one after the other in random order. The ratio of a round is the
recipe's time of an iteration divided by the tutorial's. accuracy.py measures the accuracies.
"""

import argparse
import random
import statistics
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from throughput import spread

from cnnmnist.data.loading import load_dataset
from cnnmnist.layers import list_layers
from cnnmnist.recipes import load_recipe, recipe_names
from cnnmnist.training.step import Progress, Trainer

WARM_UP = 100


def seconds_per_iteration(stream: Iterator[Progress], iterations: int) -> float:
    """The mean over this many more iterations, or some more, because one report of progress covers several."""
    seconds, done = 0.0, 0
    while done < iterations:
        progress = next(stream)
        seconds, done = seconds + progress.seconds, done + len(progress.losses)
    return seconds / done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=200)
    options = parser.parse_args()
    digits = load_dataset(data_dir=options.data_dir)
    names = recipe_names()
    endless = {"training.iterations": 100_000_000}
    trainers = {name: Trainer(load_recipe(name, endless), digits) for name in names}
    streams = {name: trainer.iterate() for name, trainer in trainers.items()}
    for stream in streams.values():
        seconds_per_iteration(stream, WARM_UP)
    times: dict[str, list[float]] = {name: [] for name in names}
    generator = random.Random(0)
    for _ in range(options.rounds):
        for name in generator.sample(names, len(names)):
            times[name].append(seconds_per_iteration(streams[name], options.iterations))
    table = Table("recipe", "parameters", "multiplications", "ms per iteration", "of the tutorial's")
    for name, trainer in trainers.items():
        layers = list_layers(trainer.recipe.model)
        ratios = [mine / usual for mine, usual in zip(times[name], times["tutorial"], strict=True)]
        table.add_row(
            name.rpartition("/")[2],
            f"{sum(layer.parameters for layer in layers):,}",
            f"{sum(layer.multiplications for layer in layers):,}",
            f"{1_000 * statistics.median(times[name]):.2f}",
            spread(ratios),
        )
    Console(width=160).print(table)


main()
