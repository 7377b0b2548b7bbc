"""Calibration, against scikit-learn, SciPy and cases worked by hand."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from cnnmnist.calibration import Calibration, fit_temperature
from cnnmnist.data.loading import Split
from cnnmnist.evaluation import Report, evaluate, write_predictions
from cnnmnist.prediction import probabilities
from support.networks import linear_network


def drawn(temperature: float, count: int = 4_000, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that have their probabilities once they are divided by the temperature."""
    rng = np.random.default_rng(int(temperature * 10))
    logits = rng.normal(0, 3, (count, classes)).astype(np.float32)
    labels = (probabilities(logits).cumsum(1) > rng.random((count, 1))).argmax(1)
    return logits * np.float32(temperature), labels


def report(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> Report:
    classes = logits.shape[1]
    split = Split(np.zeros((len(labels), 8, 8), np.uint8), labels.astype(np.uint8))
    found = evaluate(linear_network(np.zeros((8, 8, classes))), split)
    return dataclasses.replace(found, logits=logits, predicted=logits.argmax(1), temperature=temperature)


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.5, 9.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.08)

    def loss(value: np.ndarray) -> float:
        rows = log_softmax(logits.astype(float) * value[0], axis=1)
        return float(-rows[np.arange(len(labels)), labels].mean())

    other = minimize(loss, [1.0], method="Nelder-Mead", options={"xatol": 1e-8}).x[0]
    assert found == pytest.approx(1 / other, abs=2e-4), "another method, over the inverse, agrees"
    before, after = (Calibration(report(logits, labels, each)) for each in (1.0, found))
    assert after.cross_entropy <= before.cross_entropy
    assert after.error < 0.03
    np.testing.assert_array_equal(before.right, after.right)


def test_what_has_no_best_temperature_keeps_1_or_the_bound() -> None:
    logits, labels = drawn(1.0, 50)
    assert fit_temperature(logits, logits.argmax(1)) == 1, "the smallest of all temperatures would be the best"
    assert fit_temperature(np.full_like(logits, np.inf), labels) == 1
    assert fit_temperature(logits, logits.argmin(1)) == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_measures_are_those_of_scikit_learn(temperature: float) -> None:
    logits, labels = drawn(1.7, 1_000, 4)
    found = Calibration(report(logits, labels, temperature))
    rows = probabilities(logits, temperature).astype(float)
    rows /= rows.sum(1, keepdims=True)
    assert found.cross_entropy == pytest.approx(log_loss(labels, rows), rel=1e-5)
    each = [brier_score_loss(labels == number, rows[:, number]) for number in range(4)]
    assert found.brier_score == pytest.approx(sum(each), rel=1e-5)
    right, sure = calibration_curve(found.right, found.probabilities, n_bins=10)
    bins = np.array([each for each in found.bins if each[0]])
    np.testing.assert_allclose(bins[:, 1:], np.stack([sure, right], 1), rtol=1e-5)


def test_the_calibration_error_and_the_coverage_worked_by_hand() -> None:
    rows = np.array([[0.95, 0.05], [0.93, 0.07], [0.65, 0.35], [0.45, 0.55]], np.float32)
    found = Calibration(report(np.log(rows), np.array([0, 1, 0, 1])))
    # One bin of two, of 94 % and half right, and two bins of one, of 65 % and 55 %, both right.
    assert found.error == pytest.approx((2 * 0.44 + 0.35 + 0.45) / 4, abs=1e-6)
    assert [count for count, _, _ in found.bins] == [0, 0, 0, 0, 0, 1, 1, 0, 0, 2]
    covered, accuracy = found.coverage
    assert covered.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert accuracy.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])


def test_a_sure_answer_lies_in_the_last_bin_and_a_wrong_one_has_a_finite_loss() -> None:
    logits = np.array([[500, 0], [500, 0]], np.float32)
    found = Calibration(report(logits, np.array([0, 1]), 0.5))
    assert found.bins[-1] == (2, 1.0, 0.5)
    assert found.cross_entropy == pytest.approx(500)


def test_predictions_are_read_back(tmp_path: Path) -> None:
    logits, labels = drawn(1.0, 300, 3)
    made = report(logits, labels, 0.5)
    names = ("round, red", 'a "b"', "ä")
    write_predictions(made, names, tmp_path / "new" / "answers.csv")
    with (tmp_path / "new" / "answers.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, strict=True))
    classes = [f"probability_{name}" for name in names]
    assert list(table[0]) == ["image", "label", "predicted", "correct", "loss", *classes]
    assert [int(row["image"]) for row in table] == list(range(300))
    assert [int(row["label"]) for row in table] == labels.tolist()
    assert all(row["correct"] == str(row["label"] == row["predicted"]) for row in table)
    rows = np.array([[row[name] for name in classes] for row in table], np.float32)
    np.testing.assert_array_equal(rows, made.probabilities)
    assert rows.argmax(1).tolist() == [int(row["predicted"]) for row in table]
    losses = [float(row["loss"]) for row in table]
    np.testing.assert_allclose(losses, -np.log(rows[np.arange(300), labels]), rtol=1e-4, atol=1e-6)
