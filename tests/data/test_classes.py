"""Classes of a data set as those of a network."""

import dataclasses

import numpy as np
import pytest

from cnnmnist.data.classes import WORDS, with_classes
from cnnmnist.data.loading import Dataset, Split, load_dataset
from cnnmnist.data.registry import DIGITS
from cnnmnist.errors import DataError

MNIST5K = load_dataset("mnist5k")


def with_names(*names: str, from_pictures: bool = True) -> Dataset:
    """Images of as many classes as there are names."""

    def some(split: Split) -> Split:
        chosen = split.labels < len(names)
        return Split(split.images[chosen], split.labels[chosen])

    splits = {name: some(MNIST5K.split(name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(MNIST5K, class_names=names, from_pictures=from_pictures, **splits)


@pytest.mark.parametrize(
    "names", [("1", "2", "3", "4", "5", "6", "7", "8", "9"), ("7", "3"), ("9", "8", "1"), DIGITS[::-1]]
)
def test_classes_are_found_by_their_names(names: tuple[str, ...]) -> None:
    dataset = with_names(*names)
    found = with_classes(dataset, DIGITS)
    assert found.class_names == DIGITS
    for split in ("train", "validation", "test"):
        before, after = dataset.split(split), found.split(split)
        assert [names[label] for label in before.labels] == [DIGITS[label] for label in after.labels]
        assert after.labels.dtype == np.uint8
        assert after.images is before.images


def test_the_same_classes_are_left_as_they_are() -> None:
    assert with_classes(MNIST5K, DIGITS) is MNIST5K


@pytest.mark.parametrize("names", [WORDS, ("Zero", "ONE"), ("one", "2")])
def test_words_are_no_numerals_and_the_message_says_how_to_rename(names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"rename the folders zero, one, \.\.\. to 0, 1, \.\.\.\."):
        with_classes(with_names(*names), DIGITS)


@pytest.mark.parametrize("names", [("cat", "dog"), ("0", "cat"), (*DIGITS[:9], "10")])
def test_classes_that_the_network_does_not_have_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(
        DataError, match=rf"are {', '.join(names)}, but the network knows 0, 1, .*remove .*{names[-1]}\."
    ):
        with_classes(with_names(*names), DIGITS)


def test_numbers_are_no_names_of_classes() -> None:
    with pytest.raises(DataError, match="known data set, name it with --dataset"):
        with_classes(with_names("0", "1", from_pictures=False), ("cat", "dog", "emu"))


def test_a_data_set_that_earlier_versions_numbered_otherwise_is_numbered_so_again() -> None:
    letters = with_names("A", "B", "C", from_pictures=False)
    before = with_classes(letters, ("0", "A", "B", "C"))
    assert set(before.test.labels) == {1, 2, 3}
    again = with_classes(letters, ("0", "1", "2", "3"), before.digest)
    assert again.test.labels.tolist() == before.test.labels.tolist()
    with pytest.raises(DataError, match="the network knows 0, 1, 2, 3"):
        with_classes(letters, ("0", "1", "2", "3"), "0" * 64)
