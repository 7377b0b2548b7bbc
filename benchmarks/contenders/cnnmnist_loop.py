"""Contender: the training loop of this program, through its Python interface."""

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from cnnmnist.config import Recipe, TrainingConfig
from cnnmnist.data.loading import load_dataset
from cnnmnist.distributed.cluster import cluster_from_environment
from cnnmnist.distributed.strategy import distribute
from cnnmnist.runtime import tf
from cnnmnist.training.step import Trainer

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("precision")
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--strategy", default="single")
parser.add_argument("--devices", type=int, default=1, help="logical devices of the processor")
arguments = parser.parse_args()
if arguments.devices > 1:
    processor = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * arguments.devices
    tf.config.set_logical_device_configuration(processor, logical)
if cluster := cluster_from_environment():
    cluster.wait(300)
distribution = distribute(arguments.strategy, cluster)
endless = TrainingConfig(iterations=100_000_000, precision=arguments.precision, batch_size=arguments.batch_size)
trainer = Trainer(Recipe(training=endless), load_dataset(data_dir=arguments.folder), distribution.strategy)
assert trainer.model.count_params() == 242_062
stream = trainer.iterate()


def train(iterations: int) -> tuple[int, float]:
    """Train until the call of TensorFlow that reaches the iterations ends, up to a quarter of a second later."""
    start = trainer.iteration
    for progress in stream:
        if progress.iteration >= start + iterations:
            return progress.iteration - start, float(progress.losses[-1])
    raise AssertionError("the endless recipe ended")


@tf.function
def all_reduce(values: object, count: object) -> object:
    """Do only the all-reduce of an iteration, many times."""

    def of_replica(values: object) -> object:
        own = tf.identity(values)  # puts the values on the replica's device, which TensorFlow needs to know
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)

    for _ in tf.range(count):
        reduced = trainer.strategy.run(of_replica, (values,))
        values = trainer.strategy.experimental_local_results(reduced)[0] / trainer.replicas
    return values


train(100)
versions = {name: version(name) for name in ("tensorflow", "keras")}
print(json.dumps({"contender": "cnnmnist", "versions": versions, "precision": trainer.precision}), flush=True)
for line in sys.stdin:
    command, *numbers = line.split()
    if command == "quit":
        break
    started = time.perf_counter()
    done, loss = int(numbers[0]), None
    if command == "reduce":
        all_reduce(tf.zeros([242_062]), tf.constant(done)).numpy()
    else:
        done, loss = train(done)
    seconds = time.perf_counter() - started
    print(json.dumps({"iterations": done, "seconds": seconds, "loss": loss}), flush=True)
