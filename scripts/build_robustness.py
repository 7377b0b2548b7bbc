"""Draw docs/figures/robustness.png, and print the table of docs/robustness.md.

For each run of a sweep: cnnmnist evaluate RUN --robustness --json > FOLDER/RECIPE-SEED.json
python scripts/build_robustness.py FOLDER docs/figures/robustness.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

RECIPES = ("tutorial", "fast", "best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("figure", type=Path)
    options = parser.parse_args()
    documents = {
        recipe: [
            json.loads(path.read_text())["robustness"] for path in sorted(options.folder.glob(f"{recipe}-*.json"))
        ]
        for recipe in RECIPES
    }
    print(", ".join(f"{recipe}: {len(runs)} runs" for recipe, runs in documents.items()))
    print("| corruption or attack | severity | " + " | ".join(f"`{recipe}`" for recipe in RECIPES) + " |")
    print("|---|---|" + "---|" * len(RECIPES))
    figure = Figure(figsize=(9.5, 7), layout="constrained", dpi=150)
    first = documents[RECIPES[0]][0]
    for number, (axes, curve) in enumerate(zip(figure.subplots(3, 4, sharey=True).flat, first, strict=True)):
        means = {}
        for recipe in RECIPES:
            values = 100 * np.array([run[number]["accuracies"] for run in documents[recipe]])
            means[recipe] = values.mean(axis=0)
            axes.plot(means[recipe], "o-", markersize=3, linewidth=1.2, label=recipe)
            axes.fill_between(range(values.shape[1]), values.min(axis=0), values.max(axis=0), alpha=0.2)
        axes.set_xticks(range(6), ["0", *(f"{amount:g}" for amount in curve["amounts"])])
        axes.set_title(f"{curve['name']}\n({curve['unit']})", size=8)
        axes.tick_params(labelsize=7)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_ylim(0, 101)
        for severity in (3, 5):
            cells = " | ".join(f"{means[recipe][severity]:.1f} %" for recipe in RECIPES)
            print(f"| {curve['name']} | {curve['amounts'][severity - 1]:g} {curve['unit']} | {cells} |")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(RECIPES), fontsize=8, frameon=False)
    figure.supylabel("Accuracy in %", size=8)
    figure.savefig(options.figure)


main()
