"""Iterations per second of one process, two workers and two devices on one processor: docs/distributed.md.

One process, two workers and two devices train with the same batch size and two threads in total. In each round,
every contender trains once, one at a time, in random order. A ratio compares two rates of the same round.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from throughput import BUSY_LOAD, WARM_UP, Contender, machine, spread

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.addresses import free_addresses, tf_config

REDUCTIONS = 300


class Cluster:
    """Processes that train one network together; a single process is a cluster of one."""

    def __init__(self, name: str, title: str, workers: int, threads: int, *arguments: str) -> None:
        self.name, self.title = name, title
        self.rates: list[float] = []
        addresses = free_addresses(workers)
        cores = [
            ",".join(map(str, range(first, first + threads))) for first in range(0, workers * threads, threads)
        ]
        self.members = [
            Contender(
                f"{name}-{index}",
                title,
                "cnnmnist_loop.py",
                "own",
                ("float32", *arguments),
                {"TF_CONFIG": tf_config(addresses, index) if workers > 1 else ""},
                ("taskset", "-c", cores[index]),  # the program uses one thread per core
            )
            for index in range(workers)
        ]
        self.pool = ThreadPoolExecutor(workers)

    def start(self, data_dir: Path, logs: Path) -> None:
        list(self.pool.map(lambda each: each.start(sys.executable, data_dir, logs), self.members))
        if missing := next((each.missing for each in self.members if each.missing), None):
            raise SystemExit(f"{self.title}: {missing}")

    def run(self, command: str, count: int) -> float:
        """Iterations or all-reduces per second, by the clock of the first process."""
        return next(iter(list(self.pool.map(lambda each: self._ask(each, command, count), self.members))))

    def stop(self) -> None:
        for each in self.members:
            each.stop()

    @staticmethod
    def _ask(member: Contender, command: str, count: int) -> float:
        member.process.stdin.write(f"{command} {count}\n")
        member.process.stdin.flush()
        answer = member._answer()
        return answer["iterations"] / answer["seconds"]


def contenders(batch: int) -> list[Cluster]:
    whole, half = ("--batch-size", str(batch)), ("--batch-size", str(batch // 2))
    mirrored = ("--strategy", "mirrored", "--devices", "2")
    return [
        Cluster("single", "1 process, 2 threads", 1, 2, *whole),
        Cluster("workers", "2 workers, 1 thread each", 2, 1, *whole, "--strategy", "multi-worker"),
        Cluster("devices", "1 process, 2 logical devices, 2 threads", 1, 2, *whole, *mirrored),
        Cluster("half", "1 process, 1 thread, half of the batch", 1, 1, *half),
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's four .gz files")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=300, help="per turn")
    parser.add_argument("--batch-size", type=int, default=64, help="over all replicas together, even")
    parser.add_argument("--json", type=Path, help="file for all results")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.iterations < 1 or arguments.batch_size < 2 or arguments.batch_size % 2:
        parser.error("--rounds and --iterations must be positive, and --batch-size positive and even")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    console, about = Console(stderr=True), machine()
    clusters = contenders(arguments.batch_size)
    single, workers, _, half = clusters
    reductions: list[float] = []
    with tempfile.TemporaryDirectory() as logs:
        try:
            for each in clusters:
                console.print(f"starting {each.name}")
                each.start(arguments.data_dir.absolute(), Path(logs))
                each.run("run", WARM_UP)
            workers.run("reduce", REDUCTIONS)
            generator = random.Random(0)
            for number in range(arguments.rounds):
                console.print(f"round {number + 1} of {arguments.rounds}")
                for each in generator.sample(clusters, len(clusters)):
                    each.rates.append(each.run("run", arguments.iterations))
                reductions.append(1e3 / workers.run("reduce", REDUCTIONS))
        finally:
            for each in clusters:
                each.stop()
    rows: list[dict[str, Any]] = []
    table = Table("contender", "it/s", "contender / single process")
    for each in clusters:
        ratios = [mine / other for mine, other in zip(each.rates, single.rates, strict=True)]
        table.add_row(each.title, f"{statistics.median(each.rates):.1f}", spread(ratios))
        rows.append({"contender": each.name, "rates": each.rates, "ratios": ratios})
    output = Console(width=160)  # in a pipe, too: a number is never wrapped or cut
    output.print(table)
    output.print(f"all-reduce of the gradients alone, ms: {spread(reductions)}")
    predicted = [1e3 / (1e3 / rate + cost) for rate, cost in zip(half.rates, reductions, strict=True)]
    modelled = [found / model for found, model in zip(workers.rates, predicted, strict=True)]
    output.print(f"2 workers / model (half of the batch, then the all-reduce): {spread(modelled)}")
    if about["load_average_before"] > BUSY_LOAD:
        output.print("The machine was busy before the start: do not trust these results.")
    if arguments.json:
        result = {"machine": about, "contenders": rows, "all_reduce_ms": reductions, "of_the_model": modelled}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
