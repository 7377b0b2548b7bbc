"""The run handwriting: what it was trained for, on images that it was not trained on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from cnnmnist.data.loading import load_dataset
from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.data.strokes import Hand, draw_digits, draw_others
from cnnmnist.data.styles import DIGITS
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.store import load_run

OTHER_HAND = Hand(wobble=0.5, bend=0.7, width=(0.6, 1.0), slant=(-0.15, 0.25), rotation=5.0, pen=(1.5, 5.2))
NETWORKS = {name: load_run(name, Path("runs")).load_network() for name in ("handwriting", "pretrained")}


def recall(name: str, images: np.ndarray, labels: np.ndarray | int) -> float:
    return float((predict_logits(NETWORKS[name], images).argmax(1) == labels).mean())


def test_it_reads_ones_with_flags_and_feet() -> None:
    styles = [style for style in DIGITS["1"] if "," in style]
    images, labels = draw_digits(1_000, np.random.default_rng(11), OTHER_HAND, {"1": styles})
    assert recall("handwriting", images, labels) > 0.97 > recall("pretrained", images, labels)


@pytest.mark.parametrize("digit", sorted(DIGITS))
def test_it_reads_all_digits_at_least_as_well(digit: str) -> None:
    images, labels = draw_digits(2_000, np.random.default_rng(int(digit)), styles={digit: DIGITS[digit]})
    assert recall("handwriting", images, labels) >= max(0.98, recall("pretrained", images, labels) - 0.005)


def test_it_reads_other_peoples_digits() -> None:
    digits = load_digits()
    pictures = [
        Image.fromarray(np.rint(each * 255 / 16).astype(np.uint8)).resize((28, 28)) for each in digits.images[::9]
    ]
    pixels = [np.asarray(picture.convert("RGB"), np.float32) / 255 for picture in pictures]
    prepared = np.concatenate([prepare_picture(each) for each in pixels])
    assert recall("handwriting", prepared, digits.target[::9]) > 0.94  # of 200 digits


def test_it_is_not_sure_of_what_is_no_digit() -> None:
    others = draw_others(600, np.random.default_rng(12), OTHER_HAND)
    digits, _ = draw_digits(600, np.random.default_rng(13))
    sure = {
        kind: [
            (probabilities(predict_logits(network, images)).max(1) > 0.8).mean() for network in NETWORKS.values()
        ]
        for kind, images in (("others", others), ("digits", digits))
    }
    assert sure["others"][0] < 0.06 < 0.2 < sure["others"][1]
    assert sure["digits"][0] > 0.9


@pytest.mark.full
def test_it_reads_mnists_test_split(mnist_dir: Path) -> None:
    test = load_dataset("mnist", mnist_dir).test
    assert recall("handwriting", test.images, test.labels) >= 0.995
