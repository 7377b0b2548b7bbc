"""The table of data sets that have a name."""

import re

import pytest

from cnnmnist.data.folders import STEMS
from cnnmnist.data.registry import DATASETS


@pytest.mark.parametrize("name", [name for name, known in DATASETS.items() if known.mirrors])
def test_every_file_of_a_published_data_set_is_held_to_a_sha256_digest(name: str) -> None:
    known = DATASETS[name]
    assert set(known.files) == {f"{stem}.gz" for stem in STEMS}
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in known.files.values())
    assert len(set(known.files.values())) == len(STEMS)
    assert all(re.fullmatch("https?://.+/", mirror) for mirror in known.mirrors)


def test_a_mirror_without_encryption_is_the_last_to_be_tried() -> None:
    for known in DATASETS.values():
        encrypted = [mirror.startswith("https:") for mirror in known.mirrors]
        assert encrypted == sorted(encrypted, reverse=True)
