"""Contender: Keras `fit` on a tf.data pipeline, many iterations per call of TensorFlow."""

import gzip
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

BATCH = 64
STEPS_PER_EXECUTION = 100


def read(file: Path) -> np.ndarray:
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


folder = Path(sys.argv[1])
images = read(folder / "train-images-idx3-ubyte.gz")[5000:, ..., np.newaxis].astype("float32") / 255
labels = read(folder / "train-labels-idx1-ubyte.gz")[5000:]

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
model.compile(
    keras.optimizers.Adam(1e-4),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    steps_per_execution=STEPS_PER_EXECUTION,
)
batches = (
    tf.data.Dataset.from_tensor_slices((images, labels))
    .shuffle(len(images))
    .repeat()
    .batch(BATCH)
    .prefetch(tf.data.AUTOTUNE)
)


def train(iterations: int) -> float:
    history = model.fit(batches, steps_per_epoch=iterations, verbose=0)
    return history.history["loss"][-1]


train(STEPS_PER_EXECUTION)
versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
print(json.dumps({"contender": "keras_tfdata", "versions": versions, "precision": "float32"}), flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "quit":
        break
    iterations = int(arguments[0])
    started = time.perf_counter()
    loss = train(iterations)
    seconds = time.perf_counter() - started
    print(json.dumps({"iterations": iterations, "seconds": seconds, "loss": loss}), flush=True)
