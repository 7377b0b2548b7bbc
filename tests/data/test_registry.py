"""The table of data sets that have a name."""

import re

import pytest

from cnnmnist.data.layouts import IDX_NAME
from cnnmnist.data.registry import DATASETS


@pytest.mark.parametrize("name", [name for name, known in DATASETS.items() if known.mirrors])
def test_every_file_of_a_published_data_set_is_held_to_a_sha256_digest(name: str) -> None:
    known = DATASETS[name]
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in known.files.values())
    assert len(set(known.files.values())) == len(known.files)
    parts = {
        ("train" if match[2] == "train" else "test", match[3])
        for file in known.members or known.files
        if (match := IDX_NAME.fullmatch(file.rpartition("/")[2]))
    }
    assert parts == {(part, kind) for part in ("train", "test") for kind in ("images", "labels")}
    assert all(re.fullmatch("https?://.+/", mirror) for mirror in known.mirrors)


def test_a_mirror_without_encryption_is_the_last_to_be_tried() -> None:
    for known in DATASETS.values():
        encrypted = [mirror.startswith("https:") for mirror in known.mirrors]
        assert encrypted == sorted(encrypted, reverse=True)


@pytest.mark.parametrize(
    ("name", "classes", "first", "last"),
    [
        ("balanced", 47, "0", "t"),
        ("byclass", 62, "0", "z"),
        ("bymerge", 47, "0", "t"),
        ("digits", 10, "0", "9"),
        ("letters", 26, "A", "Z"),
        ("mnist", 10, "0", "9"),
    ],
)
def test_the_classes_of_emnist_are_those_of_its_paper(name: str, classes: int, first: str, last: str) -> None:
    names = DATASETS[f"emnist-{name}"].class_names
    assert (len(set(names)), names[0], names[-1]) == (classes, first, last)


def test_pictures_are_prepared_as_digits_for_mnists_family_alone() -> None:
    whole = {name for name, known in DATASETS.items() if known.preparation == "whole"}
    assert whole == {"fashion-mnist", "kmnist"}
