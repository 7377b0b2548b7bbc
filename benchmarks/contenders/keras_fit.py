"""Contender: stock Keras `fit` on NumPy arrays, as keras.io teaches it, and `predict` on the test images."""

import gzip
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

BATCH = 64


def read(file: Path) -> np.ndarray:
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


folder = Path(sys.argv[1])
images = read(folder / "train-images-idx3-ubyte.gz")[5000:, ..., np.newaxis].astype("float32") / 255
labels = read(folder / "train-labels-idx1-ubyte.gz")[5000:]
test_images = read(folder / "t10k-images-idx3-ubyte.gz")[..., np.newaxis].astype("float32") / 255

weights = {
    "kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.05),
    "bias_initializer": keras.initializers.Constant(0.05),
}
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(16, 5, padding="same", **weights),
        keras.layers.MaxPooling2D(2),
        keras.layers.ReLU(),
        keras.layers.Conv2D(36, 5, padding="same", **weights),
        keras.layers.MaxPooling2D(2),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu", **weights),
        keras.layers.Dense(10, **weights),
    ]
)
assert model.count_params() == 242_062
model.compile(keras.optimizers.Adam(1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True))


def train(iterations: int) -> float:
    """Train whole epochs, then a part of another one; each call of `fit` shuffles again."""
    loss = float("nan")
    while iterations:
        steps = min(iterations, len(images) // BATCH)
        history = model.fit(images, labels, batch_size=BATCH, steps_per_epoch=steps, shuffle=True, verbose=0)
        loss = history.history["loss"][-1]
        iterations -= steps
    return loss


train(10)
versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
print(json.dumps({"contender": "keras_fit", "versions": versions, "precision": "float32"}), flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "quit":
        break
    number = int(arguments[0])
    started, processor_started = time.perf_counter(), time.process_time()
    if command == "predict":
        model.predict(test_images, batch_size=number, verbose=0)
        answer = {"processor_seconds": time.process_time() - processor_started}
    else:
        answer = {"iterations": number, "loss": train(number)}
    print(json.dumps(answer | {"seconds": time.perf_counter() - started}), flush=True)
