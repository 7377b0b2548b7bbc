"""Corruptions and attacks: against NumPy, arithmetic by hand, and what their definitions say."""

from pathlib import Path

import numpy as np
import pytest

from cnnmnist.config import ModelConfig
from cnnmnist.data.loading import Split, load_dataset
from cnnmnist.evaluation import evaluate
from cnnmnist.model import build_model
from cnnmnist.robustness import CORRUPTIONS, attack, corrupt, robustness
from cnnmnist.runs.store import load_run
from cnnmnist.runtime import keras
from support.networks import linear_network

TEST = load_dataset("mnist5k").test


def digits(count: int, shape: tuple[int, int] = (28, 28), background: int = 0) -> np.ndarray:
    """Random squares of ink, far from the edge."""
    rng = np.random.default_rng(count)
    images = np.full((count, *shape), background, np.uint8)
    for image in images:
        row, column = (rng.integers(side // 3, side // 2) for side in shape)
        image[row : row + 4, column : column + 4] = rng.integers(100, 200, (4, 4))
    return images


def linear_model(weights: np.ndarray) -> keras.Model:
    network = linear_network(weights)
    model = build_model(ModelConfig(convolutions=[], dense=[]), network.image_shape, weights.shape[-1])
    model.set_weights(network.weights["logits"])
    return model


@pytest.mark.parametrize("background", [0, 255])
def test_a_shift_by_whole_pixels_moves_each_image_along_one_of_four_diagonals(background: int) -> None:
    images = digits(600, (20, 31), background)
    directions = set()
    for image, shifted in zip(images, corrupt("shift", images, 3), strict=True):
        found = [d for d in np.ndindex(2, 2) if (np.roll(image, 6 * np.array(d) - 3, (0, 1)) == shifted).all()]
        assert len(found) == 1
        directions.update(found)
    assert len(directions) == 4


def test_what_leaves_the_image_is_lost_and_background_comes_in() -> None:
    images = TEST.images[:20].copy()
    images[:, 10:18, 10:18] = 255
    padded = np.pad(images, [(0, 0), (40, 40), (40, 40)])
    for image, shifted in zip(padded, corrupt("shift", images, 12), strict=True):
        places = [np.roll(image, 24 * np.array(d) - 12, (0, 1))[40:-40, 40:-40] for d in np.ndindex(2, 2)]
        assert any((place == shifted).all() for place in places)


def test_quarter_turns_shears_and_changes_of_size_are_those_of_numpy() -> None:
    images = digits(50)
    for image, turned in zip(images, corrupt("rotation", images, 90), strict=True):
        assert any((np.rot90(image, k) == turned).all() for k in (1, 3))
    odd = digits(50, (29, 29))
    for image, sheared in zip(odd, corrupt("shear", odd, 1), strict=True):
        both = [np.stack([np.roll(row, sign * (n - 14)) for n, row in enumerate(image)]) for sign in (1, -1)]
        assert any((each == sheared).all() for each in both)
    larger = 14 + (np.arange(29) - 14) / 1.5
    kinds = set()
    for image, scaled in zip(odd, corrupt("scale", odd, 0.5), strict=True):
        rows = np.array([np.interp(larger, range(29), row) for row in image])
        grown = np.array([np.interp(larger, range(29), column) for column in rows.T]).T
        candidates = [grown, np.pad(image[::2, ::2], 7)]
        kinds.update(n for n, each in enumerate(candidates) if np.abs(each - scaled).max() < 0.51)
        assert any(np.abs(each - scaled).max() < 0.51 for each in candidates)
    assert kinds == {0, 1}


@pytest.mark.parametrize("background", [0, 255])
def test_strokes_grow_and_shrink_by_pixels_whatever_the_background(background: int) -> None:
    ink = np.zeros((3, 30, 24), np.uint8)
    ink[:, 10:20, 10:14] = 255
    images = np.uint8(background) ^ ink

    def width(name: str, amount: float) -> float:
        result = corrupt(name, images, amount)
        return float((np.uint8(background) ^ result)[0, 15].sum() / 255)

    assert [width("thicker strokes", amount) for amount in (0, 1, 2)] == [4, 6, 8]
    assert [width("thinner strokes", amount) for amount in (0, 1, 2)] == [4, 2, 0]
    assert width("thicker strokes", 0.4) == pytest.approx(4.8, abs=0.01)
    assert width("thinner strokes", 0.6) == pytest.approx(2.8, abs=0.01)
    assert width("thicker strokes", 1.2) == pytest.approx(6.4, abs=0.01)


def test_noise_blur_contrast_and_inversion_do_what_their_units_say() -> None:
    grey = np.full((2_000, 9, 11), 128, np.uint8)
    noise = corrupt("noise", grey, 0.1) / 255
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert len(np.unique(noise[:, 0, 0])) > 50, "each image has noise of its own"
    point = np.zeros((1, 41, 41), np.uint8)
    point[0, 20, 20] = 255
    gauss = np.exp(-(np.arange(-20, 21) ** 2) / 8)
    gauss /= gauss.sum()
    np.testing.assert_allclose(corrupt("blur", point, 2)[0] / 255, np.outer(gauss, gauss), atol=0.6 / 255)
    images = TEST.images[:50]
    faint = corrupt("contrast", images, 0.25)
    np.testing.assert_allclose(faint.std(axis=(1, 2)), images.std(axis=(1, 2)) / 4, rtol=0.02)
    np.testing.assert_allclose(faint.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=0.5)
    np.testing.assert_array_equal(corrupt("inversion", images, 1), 255 - images)
    np.testing.assert_allclose(corrupt("inversion", images, 0.5), 127.5, atol=0.51)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    for images in (TEST.images[:700], digits(3, (8, 40))):
        amount = CORRUPTIONS[name][1][2]
        first = corrupt(name, images, amount, 1)
        assert first.shape == images.shape
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(corrupt(name, images, amount, 1), first)
        if len(images) == 700 and name in ("shift", "rotation", "scale", "shear", "noise"):
            assert (corrupt(name, images, amount, 2) != first).any()


def test_the_fast_gradient_of_a_linear_network_follows_the_signs_of_its_weights() -> None:
    rng = np.random.default_rng(0)
    weights = 0.1 * rng.normal(size=(9, 12, 2)).astype(np.float32)  # small: a gradient must not become 0
    images, labels = rng.integers(40, 215, (30, 9, 12)).astype(np.uint8), rng.integers(2, size=30).astype(np.uint8)
    # With two classes, the loss grows with the other class's logit minus the own one.
    signs = np.sign(weights[..., 1 - labels] - weights[..., labels]).transpose(2, 0, 1)
    attacked = attack(linear_model(weights), labels, images, 0.1)
    np.testing.assert_allclose(attacked[..., 0], images / 255 + 0.1 * signs, atol=1e-6)
    # From anywhere within epsilon, steps of 4/3 epsilon in all lead at least a third of epsilon beyond the image.
    gained = (attack(linear_model(weights), labels, images, 0.1, steps=40)[..., 0] - images / 255) * signs
    assert 0.1 / 3 - 1e-5 <= gained.min() < 0.05
    assert gained.max() == pytest.approx(0.1, abs=1e-6)


def test_attacks_stay_within_epsilon_and_the_range_and_more_steps_do_more_harm() -> None:
    run = load_run("pretrained", Path())
    model, network = run.load_model(), run.load_network()
    images, labels = TEST.images[:100], TEST.labels[:100]
    accuracies = []
    for steps in (1, 10):
        attacked = attack(model, labels, images, 0.2, steps)
        assert attacked.dtype == np.float32
        assert np.abs(attacked[..., 0] - images / 255).max() <= 0.2 + 1e-6
        assert 0 <= attacked.min() <= attacked.max() <= 1
        accuracies.append(float((network.outputs(attacked)["logits"].argmax(axis=1) == labels).mean()))
        np.testing.assert_array_equal(attack(model, labels, images, 0.2, steps), attacked)
    assert accuracies[1] < accuracies[0] < 1
    assert (attack(model, labels, images, 0.2, 2, seed=1) != attack(model, labels, images, 0.2, 2, seed=2)).any()


def test_curves_begin_with_the_accuracy_of_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnmnist.robustness.STEPS", 2)
    run, count = load_run("pretrained", Path()), 40
    split = Split(TEST.images[:count], TEST.labels[:count] * (np.arange(count) % 3 > 0))  # a third are wrong
    network = run.load_network()
    report = evaluate(network, split)
    curves = list(robustness(network, run.load_model(), split, report.predicted))
    assert [each.name for each in curves] == [*CORRUPTIONS, "fast gradient sign", "projected gradient"]
    for curve in curves:
        assert curve.accuracies[0] == report.accuracy
        assert len(curve.accuracies) == len(curve.examples) == len(curve.predicted) == 1 + len(curve.amounts) == 6
        assert curve.images == count
        assert curve.predicted[0] == report.predicted[0 if report.predicted[0] == split.labels[0] else 1]
    (shift,) = (each for each in curves if each.name == "shift")
    changed = corrupt("shift", split.images, shift.amounts[3])
    assert shift.accuracies[4] == evaluate(network, Split(changed, split.labels)).accuracy


@pytest.mark.parametrize("count", [1, 4])
def test_pixels_are_counted_for_28_and_grow_with_the_image(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("cnnmnist.robustness.STEPS", 2)
    weights = np.ones((56, 70, 3), np.float32)
    split = Split(digits(count, (56, 70)), np.array([2, 1, 2, 0], np.uint8)[:count])
    curves = list(robustness(linear_network(weights), linear_model(weights), split, np.zeros(count, int)))
    amounts = {each.name: each.amounts for each in curves}
    assert amounts["shift"] == (2, 4, 6, 8, 10)
    assert amounts["rotation"] == CORRUPTIONS["rotation"][1]
