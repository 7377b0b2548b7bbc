"""Checkpoints: whole or not there, the last two kept, damage refused."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.errors import RunError, WriteError
from cnnmnist.runs.checkpoints import load_checkpoint, save_checkpoint


def state(iteration: int, size: int = 4) -> dict[str, np.ndarray]:
    return {"weight_0": np.full(size, iteration, np.float32), "iteration": np.array(iteration, np.int64)}


def test_the_newest_comes_back_and_the_last_two_are_kept(tmp_path: Path) -> None:
    for iteration in (5, 900, 1_000, 20_000):
        save_checkpoint(tmp_path, state(iteration))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["000001000.npz", "000020000.npz"]
    loaded = load_checkpoint(tmp_path, state(0))
    assert loaded is not None
    assert int(loaded["iteration"]) == 20_000
    np.testing.assert_array_equal(loaded["weight_0"], state(20_000)["weight_0"])


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, state(0)) is None
    assert load_checkpoint(tmp_path / "missing", state(0)) is None


def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(100))
    path = save_checkpoint(tmp_path, state(200))
    path.write_bytes(path.read_bytes()[:-30])
    loaded = load_checkpoint(tmp_path, state(0))
    assert loaded is not None
    assert int(loaded["iteration"]) == 100


def with_pickle(path: Path) -> None:
    np.savez(path, weight_0=np.array([{"a": 1}], object), iteration=np.array(1, np.int64))


def thousandfold(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in state(0):
            archive.writestr(f"{name}.npy", b"\0" * 100_000_000)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive"),
        lambda path: np.savez(path, **state(1, size=5)),
        lambda path: np.savez(path, **(state(1) | {"extra": np.zeros(1)})),
        lambda path: np.savez(path, weight_0=np.zeros(4, np.float64), iteration=np.array(1, np.int64)),
        lambda path: np.savez(path, **(state(1) | {"weight_0": np.full(4, np.nan, np.float32)})),
        lambda path: np.savez(path, **state(2)),
        with_pickle,
        thousandfold,
    ],
)
def test_what_is_no_checkpoint_of_this_network_is_refused(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "000000001.npz"
    damage(path)  # type: ignore[operator]
    with pytest.raises(RunError, match=r"000000001\.npz") as caught:
        load_checkpoint(tmp_path, state(0))
    assert "\n" not in str(caught.value)


def test_what_is_not_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    os.mkfifo(tmp_path / "000000002.npz")  # a reader that opened it would wait for ever
    loaded = load_checkpoint(tmp_path, state(0))
    assert loaded is not None
    assert int(loaded["iteration"]) == 1


def test_a_failed_write_leaves_the_last_one_intact(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    with pytest.raises(WriteError, match=r"Cannot write .*000000002\.npz"):
        save_checkpoint(tmp_path, {"iteration": np.array(2), "weight_0": Unwritable()})  # type: ignore[dict-item]
    assert [path.name for path in tmp_path.iterdir()] == ["000000001.npz"]


class Unwritable:
    """An array that the disk has no room for."""

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise OSError(28, "No space left on device")
