"""Measure where the time of an iteration goes, with TensorFlow's profiler.

    python benchmarks/step_profile.py --data-dir DIR [--precision auto|float32|mixed_bfloat16]

The times of all threads are added up, so their sum is more than the time of an iteration. TensorFlow fuses some
operations: a convolution includes its bias and its ReLU.
"""

import argparse
import collections
import re
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runtime import tf
from cnnmnist.training.step import Trainer

WARM_UP, PROFILED = 500, 300
PARTS = {  # the first pattern in the name of an operation decides
    "conv1, gradient of its filters": r"conv1.*BackpropFilter",
    "conv2, gradient of its filters": r"conv2.*BackpropFilter",
    "conv2, gradient of its input": r"conv2.*BackpropInput",
    "conv1": r"/Relu:.*FusedConv2D",
    "conv2": r"/Relu_1:.*FusedConv2D",
    "dense layers, forward and gradients": r"/(fc1|logits)",
    "pooling, forward and gradients": r"Pool|ReluGrad",
    "Adam": r":ResourceApplyAdam",
    "next batch": r"Gather|Iterator::Root::Unbatch::Prefetch::Map$",
    "other": r"^while/",
}


def part(event: str) -> str | None:
    """The part that an event belongs to; None if it is not an operation, or only waits for other operations."""
    return next((name for name, pattern in PARTS.items() if re.search(pattern, event)), None)


def profiled(trainer: Trainer) -> tuple[dict[str, float], float]:
    """Milliseconds of each part per iteration, and of the whole iteration."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    stream = trainer.iterate([WARM_UP, WARM_UP + PROFILED])
    for progress in stream:
        if progress.iteration == WARM_UP:
            break
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        step = sum(progress.seconds for progress in stream)
        tf.profiler.experimental.stop()
        space: Any = xplane_pb2.XSpace()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space.ParseFromString(file.read_bytes())
    times: dict[str, float] = collections.defaultdict(float)
    for plane in space.planes:
        for line in plane.lines if "CPU" in plane.name else []:
            for event in line.events:
                name = part(plane.event_metadata[event.metadata_id].name)
                if name:
                    times[name] += event.duration_ps / 1e9 / PROFILED
    return dict(times), 1_000 * step / PROFILED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    recipe = load_recipe(
        overrides={"training.iterations": WARM_UP + PROFILED, "training.precision": options.precision}
    )
    trainer = Trainer(recipe, load_dataset(data_dir=options.data_dir))
    times, step = profiled(trainer)
    total = sum(times.values())
    print(f"{trainer.precision}, {trainer.towers} towers: {step:.2f} ms per iteration, {total:.2f} ms of threads")
    table = Table("part", "ms", "share")
    for name, milliseconds in sorted(times.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{milliseconds:.3f}", f"{milliseconds / total:.1%}")
    Console(width=160).print(table)


main()
