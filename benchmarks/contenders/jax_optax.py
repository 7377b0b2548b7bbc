"""Contender: JAX and Optax, one jitted iteration per call, the fastest form found on a CPU.

One `lax.fori_loop` over many iterations would save the calls, but has less than a tenth of this form's speed,
because XLA's convolutions for the CPU are far slower inside a loop. Pooling as a maximum over a reshaped array is
faster than `lax.reduce_window`.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

BATCH = 64


def read(file: Path) -> np.ndarray:
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


folder = Path(sys.argv[1])
images = jnp.asarray(read(folder / "train-images-idx3-ubyte.gz")[5000:, ..., np.newaxis] / np.float32(255))
labels = jnp.asarray(read(folder / "train-labels-idx1-ubyte.gz")[5000:].astype(np.int32))

shapes = [(5, 5, 1, 16), (5, 5, 16, 36), (1764, 128), (128, 10)]
keys = jax.random.split(jax.random.key(0), len(shapes))
parameters = [
    (0.05 * jax.random.truncated_normal(key, -2, 2, shape), jnp.full(shape[-1], 0.05))
    for key, shape in zip(keys, shapes, strict=True)
]
assert sum(array.size for array in jax.tree.leaves(parameters)) == 242_062
optimizer = optax.adam(1e-4)


def convolve(inputs, layer):
    outputs = jax.lax.conv_general_dilated(
        inputs, layer[0], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    outputs += layer[1]
    number, height, width, channels = outputs.shape
    return jax.nn.relu(outputs.reshape(number, height // 2, 2, width // 2, 2, channels).max((2, 4)))


def cross_entropy(parameters, batch, targets):
    conv1, conv2, dense1, dense2 = parameters
    outputs = convolve(convolve(batch, conv1), conv2).reshape(len(batch), -1)
    logits = jax.nn.relu(outputs @ dense1[0] + dense1[1]) @ dense2[0] + dense2[1]
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def step(state, chosen):
    parameters, moments = state
    loss, gradients = jax.value_and_grad(cross_entropy)(parameters, images[chosen], labels[chosen])
    updates, moments = optimizer.update(gradients, moments, parameters)
    return (optax.apply_updates(parameters, updates), moments), loss


step = jax.jit(step, donate_argnums=0)
state = parameters, optimizer.init(parameters)
generator = np.random.default_rng(0)


def train(iterations: int) -> float:
    global state
    epochs = 1 + iterations * BATCH // len(images)
    order = np.concatenate([generator.permutation(len(images)) for _ in range(epochs)])
    for chosen in order[: iterations * BATCH].reshape(iterations, BATCH):
        state, loss = step(state, chosen)
    return float(loss)


train(10)
versions = {"jax": jax.__version__, "optax": optax.__version__}
print(json.dumps({"contender": "jax_optax", "versions": versions, "precision": "float32"}), flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "quit":
        break
    iterations = int(arguments[0])
    started = time.perf_counter()
    loss = train(iterations)
    seconds = time.perf_counter() - started
    print(json.dumps({"iterations": iterations, "seconds": seconds, "loss": loss}), flush=True)
