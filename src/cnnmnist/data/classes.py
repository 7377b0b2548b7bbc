"""Classes: the labels of a data set as the classes of a network, found by their names."""

from dataclasses import replace

import numpy as np

from cnnmnist.data.loading import Dataset, Split, digest_of
from cnnmnist.data.registry import DIGITS
from cnnmnist.errors import DataError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHOWN = 12  # class names in a message


def with_classes(dataset: Dataset, class_names: tuple[str, ...], digest: str | None = None) -> Dataset:
    """Number the classes of a data set as a network numbers them.

    Args:
        dataset: it may have fewer classes than the network, in any order.
        class_names: names of the network's classes, in the order of its outputs.
        digest: digest of the network's own data set, which earlier versions may have numbered otherwise.

    Returns:
        The same images, with the labels and the class names of the network.

    Raises:
        DataError: a class of the data set is none of the network's.
    """
    if dataset.class_names == class_names:
        return dataset
    unknown = [name for name in dataset.class_names if name not in class_names]
    if not unknown:
        return _renumbered(dataset, [class_names.index(name) for name in dataset.class_names], class_names)
    # Earlier versions counted classes from 0 also where the labels begin at 1, and did not name EMNIST's.
    more = len(class_names) - len(dataset.class_names)
    if more >= 0:
        as_before = _renumbered(dataset, list(range(more, len(class_names))), class_names)
        if as_before.digest == digest:
            return as_before
    raise DataError(
        f"The classes of {dataset.source} are {_listed(dataset.class_names)}, but the network knows "
        f"{_listed(class_names)}: {_advice(dataset, unknown, class_names)}."
    )


def _renumbered(dataset: Dataset, numbers: list[int], class_names: tuple[str, ...]) -> Dataset:
    table = np.array(numbers, np.uint8)
    train, validation, test = (
        Split(split.images, table[split.labels]) for split in (dataset.train, dataset.validation, dataset.test)
    )
    digest = dataset.digest if numbers == list(range(len(numbers))) else digest_of(validation, train, test)
    return replace(dataset, class_names=class_names, train=train, validation=validation, test=test, digest=digest)


def _advice(dataset: Dataset, unknown: list[str], class_names: tuple[str, ...]) -> str:
    if all(name.lower() in WORDS for name in unknown) and set(DIGITS) <= set(class_names):
        return "rename the folders zero, one, ... to 0, 1, ..."
    if dataset.from_pictures:
        return f"rename the folders, or remove {_listed(tuple(unknown))}"
    return "if its labels are those of a known data set, name it with --dataset; otherwise choose other data"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
