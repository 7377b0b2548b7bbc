"""Digits in pictures become images like those of MNIST, and the network that ships with the program reads them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.errors import PictureError
from cnnmnist.prediction import predict_logits
from cnnmnist.runs.store import load_run
from support.pictures import TEST, digit, likeness, read


def test_a_digit_of_mnist_enlarged_comes_back(reference):
    assert reference.shape == (28, 28)
    assert reference.dtype == np.uint8
    assert likeness(reference, TEST.images[0]) > 0.95


@pytest.mark.parametrize("side", [20, 50, 400])
@pytest.mark.parametrize("invert", [False, True])
def test_size_and_polarity_do_not_matter(reference, tmp_path, side, invert):
    (image,) = read(digit(side=side, margin=side // 3, invert=invert), tmp_path / "digit.png")
    assert likeness(image, reference) > 0.9


def test_it_is_scaled_into_20x20_with_its_aspect_and_centred_by_mass(reference):
    rows, columns = np.nonzero(reference)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(height, width) == 20
    drawn_rows, drawn_columns = np.nonzero(np.asarray(digit()) < 128)
    assert width / height == pytest.approx(np.ptp(drawn_columns) / np.ptp(drawn_rows), rel=0.15)
    mass = reference.astype(float)
    for axis in (0, 1):
        profile = mass.sum(axis=1 - axis)
        assert abs((profile * np.arange(28)).sum() / profile.sum() - 14) <= 0.51


def test_a_pen_too_thin_for_28_pixels_leaves_a_clear_stroke(tmp_path):
    image = Image.new("L", (900, 900), 255)
    ImageDraw.Draw(image).line([(300, 150), (600, 150), (400, 750)], fill=0, width=4)
    (prepared,) = read(image, tmp_path / "seven.png")
    assert prepared.max() > 200
    assert prepared.any(axis=1).sum() == 20


@pytest.mark.parametrize("image_shape", [(8, 8), (28, 28), (32, 48), (64, 64)])
def test_any_size_of_image_that_a_network_wants(image_shape):
    pixels = np.asarray(digit().convert("RGB"), np.float32) / 255
    (prepared,) = prepare_picture(pixels, image_shape)
    assert prepared.shape == image_shape
    assert prepared.any(axis=1).sum() == round(min(image_shape) * 20 / 28)


@pytest.mark.parametrize("blank", ["white", "black", "paper", "transparent"])
def test_a_picture_of_nothing(tmp_path, blank):
    if blank == "transparent":
        image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    else:
        level = {"white": 255, "black": 0, "paper": 200}[blank]
        grain = np.random.default_rng(0).normal(0, 4 * (blank == "paper"), (300, 300))
        image = Image.fromarray(np.clip(level + grain, 0, 255).astype(np.uint8))
    with pytest.raises(PictureError, match="The picture shows no digit"):
        read(image, tmp_path / "blank.png")


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1_000),
    spread=st.sampled_from([0.001, 0.03, 1.0]),
)
def test_any_pixels_are_prepared_or_refused(shape, seed, spread):
    pixels = (
        np.random.default_rng(seed).uniform(0.5 - spread / 2, 0.5 + spread / 2, (*shape, 3)).astype(np.float32)
    )
    try:
        prepared = prepare_picture(pixels)
    except PictureError:
        return
    assert prepared.shape[1:] == (28, 28)
    assert prepared.any(axis=(1, 2)).all()


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
    network = load_run("pretrained", Path("runs")).load_network()
    right = (predict_logits(network, np.stack(prepared)).argmax(axis=1) == labels).sum()
    assert right >= 0.9 * len(digits.target[::6])
