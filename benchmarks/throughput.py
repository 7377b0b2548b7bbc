"""Training iterations per second of this program and of others, side by side: see README.md in this folder.

Every contender is a separate process that waits on its standard input. In each round, every contender trains once,
one at a time, in random order, so that other work on the machine affects all of them equally.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BATCH = 64
WARM_UP = 100  # iterations; the iterations of a turn are a multiple of this number
IDLE_LIMIT = 0.02  # share of a processor that waiting contenders may use without a warning
BUSY_LOAD = 0.5  # a load average above this before the start means a busy machine
PEAK_TIMEOUT = 300  # seconds
# Multiply-adds per image in the forward pass: output positions x filter size x input channels x outputs.
CONV1 = 28 * 28 * 5 * 5 * 1 * 16
CONV2 = 14 * 14 * 5 * 5 * 16 * 36
DENSE = 7 * 7 * 36 * 128 + 128 * 10
# Two operations per multiply-add. The backward pass computes as many for the gradients of the weights, and as many
# again for the gradients of the inputs, which conv1 does not need: 1.25 GFLOP.
FLOP_PER_STEP = 2 * BATCH * (3 * (CONV1 + CONV2 + DENSE) - CONV1)
ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1"}


@dataclass
class Contender:
    name: str
    title: str
    script: str
    python: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    process: Any = None
    log: Path = Path(os.devnull)
    hello: dict[str, Any] = field(default_factory=dict)
    missing: str = ""
    iterations: int = 0
    rates: list[float] = field(default_factory=list)

    def start(self, python: str, data_dir: Path, logs: Path) -> None:
        """Start the process and wait until it is ready; if it fails, keep the reason in ``missing``."""
        environment = {key: value for key, value in os.environ.items() if key not in ONEDNN}
        self.log = logs / self.name
        try:
            with self.log.open("w") as log:
                self.process = subprocess.Popen(
                    [*self.prefix, python, HERE / "contenders" / self.script, data_dir, *self.arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment | self.environment,
                    text=True,
                )
            self.hello = self._answer()
        except (OSError, RuntimeError) as error:
            self.missing = str(error)

    def train(self, iterations: int) -> float:
        """Iterations per second over about this many iterations."""
        self.process.stdin.write(f"run {iterations}\n")
        self.process.stdin.flush()
        answer = self._answer()
        return answer["iterations"] / answer["seconds"]

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def processor_seconds(self) -> float:
        """Processor time used so far; 0 where the system has no /proc."""
        try:
            values = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")

    def _answer(self) -> dict[str, Any]:
        """The next JSON line; libraries may print other things before it."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        last_lines = self.log.read_text().strip().splitlines()[-1:]
        raise RuntimeError(" ".join(["it ended:", *last_lines]))


def contenders() -> list[Contender]:
    return [
        Contender("cnnmnist-float32", "cnnmnist, float32", "cnnmnist_loop.py", "own", ("float32",)),
        Contender("cnnmnist-auto", "cnnmnist, auto precision", "cnnmnist_loop.py", "own", ("auto",)),
        Contender("keras-fit", "Keras fit on NumPy arrays", "keras_fit.py", "own"),
        Contender("keras-tfdata", "Keras fit on tf.data, 100 steps per execution", "keras_tfdata.py", "own"),
        Contender("keras-fit-onednn", "Keras fit on NumPy arrays, oneDNN on", "keras_fit.py", "own", (), ONEDNN),
        Contender("keras-tfdata-onednn", "Keras fit on tf.data, oneDNN on", "keras_tfdata.py", "own", (), ONEDNN),
        Contender("pytorch", "PyTorch, float32", "pytorch.py", "torch", ("float32",)),
        Contender("pytorch-bfloat16", "PyTorch, bfloat16 autocast", "pytorch.py", "torch", ("bfloat16",)),
        Contender("jax", "JAX and Optax, float32", "jax_optax.py", "jax"),
    ]


def matrix_peaks(pythons: dict[str, str]) -> dict[str, dict[str, dict[str, float]]]:
    """GFLOP/s by environment, library and precision; an environment that does not run is left out."""
    peaks = {}
    for name, python in pythons.items():
        try:
            answer = subprocess.run(
                [python, HERE / "contenders" / "peak.py"],
                capture_output=True,
                check=True,
                env=os.environ | ONEDNN,
                text=True,
                timeout=PEAK_TIMEOUT,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        peaks[name] = json.loads(answer.stdout.splitlines()[-1])
    return peaks


def best_peak(peaks: dict[str, dict[str, dict[str, float]]], precision: str) -> float:
    return max(each.get(precision, 0.0) for libraries in peaks.values() for each in libraries.values())


def run_rounds(running: list[Contender], rounds: int, console: Console) -> float:
    """Let all contenders train in every round; return the share of a processor that waiting contenders used."""
    generator = random.Random(0)
    idle = elapsed = 0.0
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        for contender in generator.sample(running, len(running)):
            others = [each for each in running if each is not contender]
            before = sum(each.processor_seconds() for each in others)
            rate = contender.train(contender.iterations)
            idle += sum(each.processor_seconds() for each in others) - before
            elapsed += contender.iterations / rate
            contender.rates.append(rate)
    return idle / elapsed


def ratios(ours: Contender | None, other: Contender) -> list[float]:
    if ours is None or not ours.rates:
        return []
    return [mine / theirs for mine, theirs in zip(ours.rates, other.rates, strict=True)]


def spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"


def report(selected: list[Contender], peaks: Any) -> tuple[Table, list[dict[str, Any]]]:
    """The table to print, and its rows as data."""
    by_name = {each.name: each for each in selected}
    ours = {name: by_name.get(f"cnnmnist-{name}") for name in ("float32", "auto")}
    limit = {each: best_peak(peaks, each) * 1e9 / FLOP_PER_STEP for each in ("float32", "bfloat16")}
    table = Table("contender", "precision", "it/s", "of the peak", "float32 / contender", "auto / contender")
    rows = []
    for each in selected:
        if each.missing:
            table.add_row(each.title, "missing", "-", "-", "-", "-")
            rows.append({"contender": each.name, "missing": each.missing})
            continue
        precision = each.hello["precision"]
        rate = statistics.median(each.rates)
        fraction = rate / limit["float32" if precision == "float32" else "bfloat16"]
        compared = {name: ratios(mine, each) for name, mine in ours.items()}
        table.add_row(
            each.title,
            precision,
            f"{rate:.1f}",
            f"{fraction:.0%}",
            spread(compared["float32"]),
            spread(compared["auto"]),
        )
        rows.append(
            each.hello
            | {
                "contender": each.name,
                "iterations_per_turn": each.iterations,
                "rates": each.rates,
                "median": rate,
                "fraction_of_peak": fraction,
                "ratios": compared,
            }
        )
    return table, rows


def machine() -> dict[str, Any]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        flags = next(line.split() for line in lines if line.startswith("flags"))
    except (OSError, StopIteration):
        model, flags = platform.processor(), []
    vectors = [each for each in flags if each.startswith(("avx", "amx"))]
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "vector_instructions": vectors,
        "system": platform.platform(),
        "load_average_before": os.getloadavg()[0],
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [each.name for each in contenders()]
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's four .gz files")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=400, help="per turn, a multiple of 100")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="a longer turn is cut to fewer iterations, at least 100"
    )
    parser.add_argument(
        "--contenders", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="Python of own, torch or jax"
    )
    parser.add_argument("--json", type=Path, help="file for all results")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.iterations < WARM_UP or arguments.iterations % WARM_UP:
        parser.error(f"--rounds must be at least 1 and --iterations a positive multiple of {WARM_UP}")
    arguments.pythons = {
        "own": sys.executable,
        "torch": str(HERE.parent / ".venv-bench-torch/bin/python"),
        "jax": str(HERE.parent / ".venv-bench-jax/bin/python"),
    }
    for each in arguments.python:
        name, _, path = each.partition("=")
        if name not in arguments.pythons or not path:
            parser.error(f"--python {each}: write own=PATH, torch=PATH or jax=PATH")
        arguments.pythons[name] = path
    return arguments


def main() -> None:
    arguments = parse_arguments()
    console = Console(stderr=True)
    about = machine()
    peaks = matrix_peaks(arguments.pythons)
    selected = [each for each in contenders() if each.name in arguments.contenders]
    with tempfile.TemporaryDirectory() as logs:
        try:
            for each in selected:
                console.print(f"starting {each.name}")
                each.start(arguments.pythons[each.python], arguments.data_dir.absolute(), Path(logs))
                if each.missing:
                    console.print(f"{each.name} is missing: {each.missing}", markup=False)
                    continue
                turns = int(each.train(WARM_UP) * arguments.seconds) // WARM_UP
                each.iterations = min(arguments.iterations, max(1, turns) * WARM_UP)
            idle = run_rounds([each for each in selected if not each.missing], arguments.rounds, console)
        finally:
            for each in selected:
                each.stop()
    table, rows = report(selected, peaks)
    output = Console(width=160)  # in a pipe, too: a number is never wrapped or cut
    output.print(table)
    for precision in ("float32", "bfloat16"):
        peak = best_peak(peaks, precision)
        limit = peak * 1e9 / FLOP_PER_STEP
        output.print(f"matrix-multiplication peak, {precision}: {peak:.0f} GFLOP/s, {limit:.0f} it/s")
    output.print(f"waiting contenders used {idle:.1%} of a processor")
    if about["load_average_before"] > BUSY_LOAD:
        output.print("The machine was busy before the start: do not trust these results.")
    if idle > IDLE_LIMIT:
        output.print("Waiting contenders disturbed the contender that trained: do not trust these results.")
    for each in selected:
        if each.missing:
            output.print(f"missing: {each.name}: {each.missing}", markup=False)
    if arguments.json:
        result = {
            "machine": about,
            "flop_per_step": FLOP_PER_STEP,
            "peaks_gflops": peaks,
            "waiting_processor_share": idle,
            "contenders": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
