"""What determinism costs: the tutorial's recipe with TensorFlow's deterministic kernels and without, taking turns.

    python benchmarks/determinism.py [ROUNDS]

TensorFlow cannot switch them off again, so that each of the two has a process of its own; a round is 50
iterations in each. The processor time is told too, because it suffers less from what else a machine does.
"""

import subprocess
import sys
from statistics import median

ITERATIONS = 50
SCRIPT = f"""
import sys
import time
import tensorflow as tf
if sys.argv[1] == "off":
    tf.config.experimental.enable_op_determinism = lambda: None
from cnnmnist.recipes import load_recipe
from cnnmnist.data.loading import load_dataset
from cnnmnist.training.trainer import Trainer
trainer = Trainer(load_recipe(), load_dataset("mnist5k"))
progress = trainer.iterate(range(0, 10_000, {ITERATIONS}))
for turn in sys.stdin:
    target = trainer.iteration + {ITERATIONS}
    started = time.perf_counter(), time.process_time()
    while trainer.iteration < target:
        next(progress)
    print(time.perf_counter() - started[0], time.process_time() - started[1], flush=True)
"""


def seconds(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdin
    assert process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    return [float(each) for each in process.stdout.readline().split()]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, switch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for switch in ("on", "off")
    ]
    for process in processes:  # tracing, and whatever else the first iterations do
        seconds(process)
    pairs = [[seconds(process) for process in processes] for _ in range(rounds)]
    for process in processes:
        process.communicate()
    for number, name in enumerate(("time", "processor time")):
        ratio = median(on[number] / off[number] for on, off in pairs)
        print(f"{name}, deterministic / not, median of {rounds} rounds: {ratio:.3f}")


main()
