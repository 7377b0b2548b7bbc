"""What ``cnnmnist evaluate --robustness`` shows."""

from pathlib import Path
from typing import Any

import cnnmnist
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal


def show_robustness(
    run: "cnnmnist.Run",
    network: "cnnmnist.Network",
    dataset: "cnnmnist.Dataset",
    split: str,
    predicted: Any,
    path: Path,
    terminal: Terminal,
) -> list[dict[str, Any]]:
    """Measure the robustness of a run, print a table, draw a figure, and return the numbers."""
    from cnnmnist.robustness import PROJECTED_IMAGES, robustness
    from cnnmnist.visualization.robustness import draw_robustness

    images = dataset.split(split)
    with terminal.waiting("Corrupting and attacking the images, for a minute or two"):
        curves = list(robustness(network, run.load_model(), images, predicted))
    rows = [
        [each.name, f"{', '.join(f'{amount:.3g}' for amount in each.amounts)} {each.unit}"]
        + [f"{accuracy:.1%}" for accuracy in each.accuracies]
        for each in curves
    ]
    columns = ["corruption or attack", "severities", "none", *map(str, range(1, 6))]
    table = make_table(columns, rows, title="Accuracy by severity", left=2, compact=True)
    terminal.out.print(table, soft_wrap=False)
    if len(images) > PROJECTED_IMAGES:
        terminal.out.print(f"Only the first {PROJECTED_IMAGES:,} images are attacked by projected gradients.")
    title = f"Robustness of {run.name} on {len(images):,} {split} images"
    cnnmnist.save_figure(draw_robustness(curves, dataset.class_names, title), path)
    names = "name", "unit", "amounts", "images", "accuracies"
    return [{name: getattr(each, name) for name in names} for each in curves]
