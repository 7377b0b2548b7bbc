from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data.disputed import disputed_labels
from cnnmnist.data.loading import load_dataset
from conftest import run_cli


def test_other_labels_are_not_disputed() -> None:
    data = load_dataset("mnist5k")
    for labels in (data.test.labels, data.train.labels, np.zeros(10_000, np.uint8)):
        assert disputed_labels(labels) == {}


@pytest.mark.full
def test_the_table_fits_mnist(mnist_dir: Path) -> None:
    labels = load_dataset("mnist", mnist_dir).test.labels
    table = disputed_labels(labels)
    assert len(table) == 15
    assert all(labels[index] == each.label for index, each in table.items())
    assert all(each.votes < 3 and each.votes + each.suggestion_votes <= 5 for each in table.values())
    assert Counter(each.votes for each in table.values()) == {0: 5, 1: 2, 2: 8}


@pytest.mark.full
def test_evaluate_marks_them_and_counts_the_errors_without_them(mnist_dir: Path, tmp_path: Path) -> None:
    arguments = (
        "evaluate",
        "pretrained",
        "--data-dir",
        mnist_dir,
        "--show-errors",
        "--json",
        "--figures",
        tmp_path,
    )
    result = run_cli(*arguments, cwd=tmp_path)
    errors = result.json["errors"]
    marked = {error["index"]: error["disputed"] for error in errors if error["disputed"]}
    assert len(marked) == 7
    agreeing = [
        error
        for error in errors
        if (each := error["disputed"])
        and each["suggestion_votes"] >= 3
        and each["suggestion"] == error["predicted"]
    ]
    assert len(agreeing) == 5
    assert result.json["undisputed_errors"] == len(errors) - 7
    assert marked[947] == {"label": 8, "votes": 0, "suggestion": 9, "suggestion_votes": 5}
    assert f"People dispute the labels of 7 of the errors; {len(errors) - 7} remain without them:" in result.err
    assert "image   947: labelled 8, which 0 of 5 people confirmed; 5 said 9" in result.err
