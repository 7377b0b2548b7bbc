"""Contender: this program's own training loop, through its public Python interface."""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from cnnmnist.config import Recipe, TrainingConfig
from cnnmnist.data.sources import load_dataset
from cnnmnist.training import Trainer

folder, precision = Path(sys.argv[1]), sys.argv[2]
endless = TrainingConfig(iterations=100_000_000, precision=precision)
trainer = Trainer(Recipe(training=endless), load_dataset(data_dir=folder))
assert trainer.model.count_params() == 242_062
stream = trainer.run()


def train(iterations: int) -> tuple[int, float]:
    """Ends with the first call of TensorFlow that reaches the iterations, up to a quarter of a second later."""
    start = trainer.iteration
    for progress in stream:
        if progress.iteration >= start + iterations:
            return progress.iteration - start, float(progress.losses[-1])
    raise AssertionError("the endless recipe ended")


train(100)
versions = {name: version(name) for name in ("tensorflow", "keras")}
print(json.dumps({"contender": "cnnmnist", "versions": versions, "precision": trainer.precision}), flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "quit":
        break
    started = time.perf_counter()
    done, loss = train(int(arguments[0]))
    seconds = time.perf_counter() - started
    print(json.dumps({"iterations": done, "seconds": seconds, "loss": loss}), flush=True)
