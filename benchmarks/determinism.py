"""Measure the cost of determinism: the tutorial's recipe with and without TensorFlow's deterministic kernels.

    python benchmarks/determinism.py [ROUNDS]

The two take turns, in separate processes, because TensorFlow cannot switch these kernels off again. A round is 50
iterations in each. The script also prints the processor time, because other work on the machine affects it less.
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
from cnnmnist.training.step import Trainer
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
    for process in processes:  # tracing, and all else that only the first iterations do
        seconds(process)
    pairs = [[seconds(process) for process in processes] for _ in range(rounds)]
    for process in processes:
        process.communicate()
    for number, name in enumerate(("time", "processor time")):
        ratio = median(on[number] / off[number] for on, off in pairs)
        print(f"{name}, deterministic / not, median of {rounds} rounds: {ratio:.3f}")


main()
