"""Draw test accuracy over seconds of training, of this program's recipes and of the examples that others publish.

    python benchmarks/pareto.py --data-dir DIR

One program trains at a time, each in its own process. contenders/epochs.py says how each is built. `make bench`
sets up the environments of PyTorch and JAX; a program that cannot run is named and left out. Each program's points
are added to the file of --points as soon as it ends, so that an interrupted measurement goes on with the next one.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
# Environment, and arguments of contenders/epochs.py. The lengths of `fast` are those of time_to_accuracy.py.
PROGRAMS = {
    "fast-350": ("own", "cnnmnist", "fast", "350", "8e-3"),
    "fast-650": ("own", "cnnmnist", "fast", "650", "7e-3"),
    "fast": ("own", "cnnmnist", "fast"),
    "tutorial": ("own", "cnnmnist", "tutorial"),
    "best": ("own", "cnnmnist", "best"),
    "keras": ("own", "keras"),
    "pytorch": ("torch", "pytorch"),
    "flax": ("jax", "flax"),
}
TITLES = {
    "fast-350": "cnnmnist fast, 350 iterations",
    "fast-650": "cnnmnist fast, 650 iterations",
    "fast": "cnnmnist fast",
    "tutorial": "cnnmnist tutorial",
    "best": "cnnmnist best",
    "keras": "keras.io's mnist_convnet",
    "pytorch": "PyTorch's examples/mnist",
    "flax": "flax's examples/mnist",
}
MARKS = (90, 95, 98, 99, 99.5, 99.6)  # percent, on an axis of the logarithm of the errors
Curve = list[dict[str, float]]


def measure(python: str, data_dir: Path, epochs: int, program: str, *arguments: str) -> Curve:
    """The points of one program."""
    command = [python, HERE / "contenders" / "epochs.py", program, data_dir, str(epochs), *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def is_own(name: str) -> bool:
    return PROGRAMS[name][1] == "cnnmnist"


def reached(curves: dict[str, Curve], seconds: float) -> float:
    """The best accuracy among the points of the curves until this time; 0 before the first."""
    return max((p["accuracy"] for c in curves.values() for p in c if p["seconds"] <= seconds), default=0.0)


def above(curves: dict[str, Curve]) -> list[str]:
    """Sentences about every point of another program that is above this program's curves at its time."""
    own = {name: curve for name, curve in curves.items() if is_own(name)}
    return [
        f"{TITLES[name]} is above after {p['seconds']:.1f} s: {p['accuracy']:.2%}, "
        f"and cnnmnist {reached(own, p['seconds']):.2%}"
        for name, curve in curves.items()
        if name not in own
        for p in curve
        if p["accuracy"] > reached(own, p["seconds"])
    ]


def draw(curves: dict[str, Curve], output: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, curve in curves.items():
        points = [p for p in curve if p["seconds"] > 0]
        style = {"linestyle": "-", "marker": "o", "linewidth": 1.8} if is_own(name) else {"linestyle": "--"}
        axes.plot(
            [p["seconds"] for p in points],
            [100 * (1 - p["accuracy"]) for p in points],
            **{"marker": "s", "linewidth": 1.0, "markersize": 3, "label": TITLES[name]} | style,
        )
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="accuracy on the test images")
    axes.set_yticks([100 - mark for mark in MARKS], [f"{mark} %" for mark in MARKS])
    axes.tick_params(axis="y", which="minor", left=False, labelleft=False)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_ylim(15, 0.3)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    figure.savefig(output, dpi=130)


def summary(curves: dict[str, Curve]) -> Table:
    table = Table("program", "points", "seconds", "first point", "at the end", "best")
    for name, curve in curves.items():
        first, end, best = curve[0], curve[-1], max(p["accuracy"] for p in curve)
        early = f"{first['accuracy']:.2%} after {first['seconds']:.1f} s"
        seconds = f"{end['seconds']:.1f}"
        table.add_row(TITLES[name], str(len(curve)), seconds, early, f"{end['accuracy']:.2%}", f"{best:.2%}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's four .gz files")
    parser.add_argument(
        "--points", type=Path, default=Path("runs/accuracy-over-time.jsonl"), help="file of all points"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/accuracy-over-time.png"))
    parser.add_argument(
        "--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME", help=", ".join(PROGRAMS)
    )
    parser.add_argument(
        "--epochs", type=int, default=0, help="end each training after this number, to try the script"
    )
    parser.add_argument("--torch", default=str(HERE.parent / ".venv-bench-torch/bin/python"), help="its Python")
    parser.add_argument("--jax", default=str(HERE.parent / ".venv-bench-jax/bin/python"), help="its Python")
    options = parser.parse_args()
    pythons = {"own": sys.executable, "torch": options.torch, "jax": options.jax}
    console = Console(width=160)  # in a pipe, too: a number is never wrapped or cut
    lines = options.points.read_text().splitlines() if options.points.exists() else []
    records = [json.loads(line) for line in lines]
    measured = {each["program"]: each["points"] for each in records if each["epochs"] == options.epochs}
    for name in options.programs:
        if name in measured:
            continue
        environment, *arguments = PROGRAMS[name]
        console.print(f"training {TITLES[name]}")
        try:
            points = measure(pythons[environment], options.data_dir.absolute(), options.epochs, *arguments)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
            console.print(f"missing: {TITLES[name]}: {reason}", markup=False)
            continue
        measured[name] = points
        options.points.parent.mkdir(parents=True, exist_ok=True)
        with options.points.open("a") as file:
            file.write(json.dumps({"program": name, "epochs": options.epochs, "points": points}) + "\n")
    curves = {name: measured[name] for name in PROGRAMS if name in measured}
    console.print(summary(curves))
    for sentence in above(curves) or ["No point of another program is above this program's curves."]:
        console.print(sentence)
    draw(curves, options.output)


main()
