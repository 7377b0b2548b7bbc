"""Measure the accuracy of recipes on the test split: mean, standard deviation and range over seeds, and the time.

    python benchmarks/accuracy.py tutorial fast best --data-dir DIR

The runs stay in --runs-dir under names such as best-3. A run that is already finished there is not trained again.
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


def trained(recipe: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one recipe with one seed, unless this is done already, and return the metadata of the run."""
    metadata = options.runs_dir / f"{recipe.rpartition('/')[2]}-{seed}" / "run.json"
    if not metadata.exists():
        command = [sys.executable, "-m", "cnnmnist", "train", "--config", recipe, "--seed", str(seed)]
        command += ["--runs-dir", options.runs_dir, "--name", metadata.parent.name]
        if options.precision:
            command += ["--precision", options.precision]
        if options.data_dir:
            command += ["--data-dir", options.data_dir]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = json.loads(metadata.read_text())
    if run["status"] != "finished":
        raise SystemExit(f"The run {metadata.parent} is {run['status']}: resume or remove it.")
    return dict(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision")
    parser.add_argument("--data-dir")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/accuracy"))
    options = parser.parse_args()
    table = Table()
    for title in ("recipe", "precision", "iterations", "seeds", "mean", "std", "min", "max", "seconds"):
        table.add_column(title, justify="right")
    for recipe in options.recipes:
        runs = [trained(recipe, seed, options) for seed in range(options.seeds)]
        accuracies = [100 * run["ladder"][-1]["accuracy"] for run in runs]
        spread = statistics.stdev(accuracies) if len(runs) > 1 else 0.0
        figures = (statistics.mean(accuracies), spread, min(accuracies), max(accuracies))
        seconds = statistics.median(run["seconds"] for run in runs)
        table.add_row(
            recipe,
            runs[0]["precision"],
            f"{runs[0]['iteration']:,}",
            str(len(runs)),
            *(f"{figure:.3f}" for figure in figures),
            f"{seconds:.0f}",
        )
    Console(width=160).print(table)


main()
