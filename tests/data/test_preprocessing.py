"""Digits that are not MNIST's, read by the network that ships with the program."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.prediction import predict_logits
from cnnmnist.runs.store import load_run


def test_handwriting_that_is_not_mnist_is_read() -> None:
    """A sixth of what benchmarks/own_digits.py reads, at least 90 % of it rightly."""
    digits = load_digits()
    prepared, labels = [], []
    for pixels, label in zip(digits.images[::6], digits.target[::6], strict=True):
        small = Image.fromarray(np.rint(pixels * 255 / 16).astype(np.uint8))
        large = np.asarray(small.resize((28, 28), Image.Resampling.BICUBIC).convert("RGB"), np.float32) / 255
        found = prepare_picture(large)
        if len(found) == 1:
            prepared.append(found[0])
            labels.append(label)
    model = load_run("pretrained", Path("runs")).load_model()
    right = (predict_logits(model, np.stack(prepared)).argmax(axis=1) == labels).sum()
    assert right >= 0.9 * len(digits.target[::6])
