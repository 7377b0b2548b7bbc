"""Contender of pareto.py: train one program, and print seconds of training and test accuracy after each epoch.

    python epochs.py cnnmnist|keras|pytorch|flax DIR EPOCHS [RECIPE [ITERATIONS LEARNING_RATE]]

EPOCHS cuts the training short; 0 trains to the end. The published examples are built anew from their descriptions,
with their network, optimizer, batch size and epochs. All images are in memory and scaled before the clock starts,
which two of the published programs do within their epochs: this favours them. The clock includes tracing and
compiling, and stops for each evaluation on the test split.
"""

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def read(file: Path) -> np.ndarray:
    content = gzip.decompress(file.read_bytes())
    shape = np.frombuffer(content, ">u4", content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def load(folder: Path) -> list[np.ndarray]:
    """Images, float32 (n, 28, 28, 1) in [0, 1], and labels, int64 (n,), of both splits."""
    arrays = []
    for stem in ("train", "t10k"):
        arrays.append(read(folder / f"{stem}-images-idx3-ubyte.gz")[..., np.newaxis] / np.float32(255))
        arrays.append(read(folder / f"{stem}-labels-idx1-ubyte.gz").astype(np.int64))
    return arrays


def report(seconds: float, accuracy: float) -> None:
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}), flush=True)


def run(epochs: int, epoch: Callable[[], object], accuracy: Callable[[], float]) -> None:
    seconds = 0.0
    for _ in range(epochs):
        started = time.perf_counter()
        epoch()
        seconds += time.perf_counter() - started
        report(seconds, accuracy())


def cnnmnist(folder: Path, limit: int, name: str, iterations: str = "", learning_rate: str = "") -> None:
    """A recipe of this program, with more points before the end of the first epoch."""
    import tempfile

    import cnnmnist

    overrides: dict[str, object] = {}
    if iterations:
        overrides = {"training.iterations": int(iterations), "training.learning_rate": float(learning_rate)}
    dataset = cnnmnist.load_dataset(data_dir=folder)
    training = cnnmnist.load_recipe(name, overrides).training
    images = len(dataset.train) + len(dataset.validation) * training.include_validation
    epoch = images // training.batch_size
    last = min(training.iterations, limit * epoch or training.iterations)
    overrides["training.iterations"] = last
    overrides["training.evaluate_at"] = [50, *range(100, min(epoch, last), 100), *range(epoch, last, epoch)]
    seconds = 0.0

    def progress(event: object) -> None:
        nonlocal seconds
        if isinstance(event, cnnmnist.Progress):
            seconds += event.seconds
        else:
            report(seconds, event.accuracy)

    with tempfile.TemporaryDirectory() as runs:
        cnnmnist.train(cnnmnist.load_recipe(name, overrides), dataset, runs_dir=runs, progress=progress)


def keras(folder: Path, limit: int) -> None:
    """keras.io's mnist_convnet: Adam, batches of 128, 15 epochs, the last tenth of the images held out."""
    import keras

    images, labels, test_images, test_labels = load(folder)
    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for filters in (32, 64):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D(2))
    for layer in (layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")):
        model.add(layer)
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    targets = keras.utils.to_categorical(labels, 10)

    def accuracy() -> float:
        answers = model.predict(test_images, batch_size=1_000, verbose=0).argmax(axis=1)
        return float((answers == test_labels).mean())

    run(
        limit or 15,
        lambda: model.fit(images, targets, batch_size=128, validation_split=0.1, verbose=0),
        accuracy,
    )


def pytorch(folder: Path, limit: int) -> None:
    """PyTorch's examples/mnist on a processor: Adadelta, batches of 64 in the order of the file, 14 epochs."""
    import torch
    from torch import nn

    images, labels, test_images, test_labels = (torch.from_numpy(array) for array in load(folder))
    images, test_images = ((each.permute(0, 3, 1, 2) - 0.1307) / 0.3081 for each in (images, test_images))
    torch.manual_seed(1)
    convolutions = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    dense = [nn.Linear(9_216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(dim=1)]
    model = nn.Sequential(*convolutions, nn.Dropout(0.25), nn.Flatten(), *dense)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)

    def epoch() -> None:
        model.train()
        for batch, targets in zip(images.split(64), labels.split(64), strict=True):
            optimizer.zero_grad()
            nn.functional.nll_loss(model(batch), targets).backward()
            optimizer.step()
        schedule.step()

    def accuracy() -> float:
        model.eval()
        with torch.no_grad():
            predicted = torch.cat([model(part).argmax(dim=1) for part in test_images.split(1_000)])
        return float((predicted == test_labels).float().mean())

    run(limit or 14, epoch, accuracy)


def flax(folder: Path, limit: int) -> None:
    """flax's examples/mnist in JAX: SGD with momentum 0.9 and rate 0.1, batches of 128, shuffled, 10 epochs."""
    import jax
    import optax
    from flax import linen as nn
    from jax import numpy as jnp

    images, labels, test_images, test_labels = load(folder)

    class Network(nn.Module):
        @nn.compact
        def __call__(self, values):
            for filters in (32, 64):
                values = nn.avg_pool(nn.relu(nn.Conv(filters, (3, 3))(values)), (2, 2), (2, 2))
            return nn.Dense(10)(nn.relu(nn.Dense(256)(values.reshape(len(values), -1))))

    model, optimizer = Network(), optax.sgd(0.1, momentum=0.9)
    parameters = model.init(jax.random.key(0), images[:1])
    state = parameters, optimizer.init(parameters)
    generator = np.random.default_rng(0)

    @jax.jit
    def step(state, batch, targets):
        def loss(parameters):
            logits = model.apply(parameters, batch)
            return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

        updates, moments = optimizer.update(jax.grad(loss)(state[0]), state[1])
        return optax.apply_updates(state[0], updates), moments

    predict = jax.jit(lambda parameters, batch: jnp.argmax(model.apply(parameters, batch), axis=1))

    def epoch() -> None:
        nonlocal state
        batches = len(images) // 128
        for chosen in np.split(generator.permutation(len(images))[: batches * 128], batches):
            state = step(state, images[chosen], labels[chosen])
        jax.block_until_ready(state)

    def accuracy() -> float:
        predicted = [predict(state[0], part) for part in np.split(test_images, 10)]
        return float((np.concatenate(predicted) == test_labels).mean())

    run(limit or 10, epoch, accuracy)


PROGRAMS = {program.__name__: program for program in (cnnmnist, keras, pytorch, flax)}
name, folder, limit, *rest = sys.argv[1:]
PROGRAMS[name](Path(folder), int(limit), *rest)
