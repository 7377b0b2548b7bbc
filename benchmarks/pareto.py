"""Draw test accuracy over seconds of training, of this program's recipes and of the examples that others publish.

    python benchmarks/pareto.py --data-dir DIR --output docs/pareto.png

One program trains at a time, each in its own process. contenders/epochs.py says how each is built. `make bench`
sets up the environments of PyTorch and JAX; a program that cannot run is named and left out. `--json` keeps all
points.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
# Title, environment, arguments of contenders/epochs.py. The lengths of `fast` are those of time_to_accuracy.py.
PROGRAMS = {
    "tutorial": ("own", "cnnmnist", "tutorial"),
    "fast, 350 iterations": ("own", "cnnmnist", "fast", "350", "8e-3"),
    "fast, 650 iterations": ("own", "cnnmnist", "fast", "650", "7e-3"),
    "fast": ("own", "cnnmnist", "fast"),
    "best": ("own", "cnnmnist", "best"),
    "Keras: mnist_convnet": ("own", "keras"),
    "PyTorch: examples/mnist": ("torch", "pytorch"),
    "flax: examples/mnist": ("jax", "flax"),
}
Curve = list[dict[str, float]]


def measure(python: str, program: str, data_dir: Path, *arguments: str) -> Curve:
    """The points of one program."""
    command = [python, HERE / "contenders" / "epochs.py", program, data_dir, *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def reached(curves: dict[str, Curve], seconds: float) -> float:
    """The best accuracy among the points of the curves until this time; 0 before the first."""
    return max((p["accuracy"] for c in curves.values() for p in c if p["seconds"] <= seconds), default=0.0)


def above(curves: dict[str, Curve]) -> list[str]:
    """Sentences about every point of another program that is above this program's curves at its time."""
    own = {name: curve for name, curve in curves.items() if PROGRAMS[name][1] == "cnnmnist"}
    return [
        f"{name} is above after {p['seconds']:.1f} s: {p['accuracy']:.2%}, and {reached(own, p['seconds']):.2%}"
        for name, curve in curves.items()
        if name not in own
        for p in curve
        if p["accuracy"] > reached(own, p["seconds"])
    ]


def draw(curves: dict[str, Curve], output: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, curve in curves.items():
        own = PROGRAMS[name][1] == "cnnmnist"
        axes.plot(
            [p["seconds"] for p in curve],
            [100 * (1 - p["accuracy"]) for p in curve],
            "o-" if own else "s--",
            markersize=3,
            linewidth=1.6 if own else 1.0,
            label=f"cnnmnist: {name}" if own else name,
        )
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="accuracy on the test images")
    marks = [90, 95, 98, 98.5, 99, 99.5, 99.6]
    axes.set_yticks([100 - mark for mark in marks], [f"{mark} %" for mark in marks])
    axes.tick_params(axis="y", which="minor", left=False, labelleft=False)
    axes.set_ylim(15, 0.3)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(output, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's four .gz files")
    parser.add_argument("--output", type=Path, default=Path("pareto.png"))
    parser.add_argument("--json", type=Path, help="file for all points")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME")
    parser.add_argument("--torch", default=str(HERE.parent / ".venv-bench-torch/bin/python"), help="its Python")
    parser.add_argument("--jax", default=str(HERE.parent / ".venv-bench-jax/bin/python"), help="its Python")
    options = parser.parse_args()
    pythons = {"own": sys.executable, "torch": options.torch, "jax": options.jax}
    curves: dict[str, Curve] = {}
    table = Table("program", "points", "seconds", "test accuracy")
    for name in options.programs:
        environment, program, *arguments = PROGRAMS[name]
        try:
            curves[name] = measure(pythons[environment], program, options.data_dir.absolute(), *arguments)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
            table.add_row(name, f"missing: {reason}")
            continue
        last = curves[name][-1]
        table.add_row(name, str(len(curves[name])), f"{last['seconds']:.1f}", f"{last['accuracy']:.2%}")
    console = Console(width=160)
    console.print(table)
    for sentence in above(curves) or ["No point of another program is above this program's curves."]:
        console.print(sentence)
    if options.json:
        options.json.write_text(json.dumps(curves, indent=2) + "\n")
    draw(curves, options.output)


main()
