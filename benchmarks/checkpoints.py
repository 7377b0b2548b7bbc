"""Measure what checkpoints cost: a run with checkpoints and a run without take turns in one process.

    python benchmarks/checkpoints.py [ROUNDS]

In each round, both runs train 1,000 iterations of the tutorial's recipe, and one of them writes a checkpoint. The
results are the time to write a checkpoint, and the ratio of the two training times. Other work on the machine
makes the ratio less exact.
"""

import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run
from cnnmnist.training import loop as session

WARM_UP = 100  # iterations


def trained(folder: Path, rounds: int, checkpoint_every: int) -> Generator[float]:
    """Seconds of each 1,000 iterations, including the checkpoint after the last one."""
    last = rounds * session.CHECKPOINT_EVERY + WARM_UP + 1
    recipe = load_recipe(overrides={"training.iterations": last, "training.evaluate_at": []})
    dataset = load_dataset("mnist5k")
    run = create_run(folder, None, recipe, dataset)
    with closing(session.training_events(run, dataset, checkpoint_every=checkpoint_every)) as events:
        started = time.perf_counter()
        for event in events:
            # The program writes the checkpoint of an iteration when the next event is requested.
            if event is not None and event.iteration > WARM_UP and event.iteration % session.CHECKPOINT_EVERY == 1:
                yield time.perf_counter() - started
                started = time.perf_counter()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    writing = []
    save = session.save_checkpoint

    def timed(*arguments: Any) -> Path:
        started = time.perf_counter()
        path = save(*arguments)
        writing.append(time.perf_counter() - started)
        return path

    session.save_checkpoint = timed
    with tempfile.TemporaryDirectory(dir=".") as folder:
        both = [trained(Path(folder), rounds, every) for every in (session.CHECKPOINT_EVERY, sys.maxsize)]
        seconds = [[next(each) for each in both] for _ in range(rounds)]
        spent = list(writing)
        for each in both:
            each.close()
    for number, (with_checkpoints, without) in enumerate(seconds, 1):
        print(f"round {number}: {with_checkpoints:.2f} s with, {without:.2f} s without")
    fraction = sum(spent) / sum(without for _, without in seconds)
    ratio = median(with_checkpoints / without for with_checkpoints, without in seconds)
    print(f"{len(spent)} checkpoints took {median(spent) * 1e3:.0f} ms each, {fraction:.2%} of the training")
    print(f"with checkpoints / without, median of {rounds} rounds: {ratio:.3f}")


main()
