"""Checkpoints: whole or not there, the last two kept, damage refused."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.errors import RunError, WriteError
from cnnmnist.runs.checkpoints import load_checkpoint, save_checkpoint
from support.limits import SPECIAL_FILES, limited, make_sparse, make_special


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


def two_of_one_name(path: Path) -> None:
    """An archive in which one member would be measured, and the other one read."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in state(1).items():
            archive.writestr(f"{name}.npy", as_file(array))
        archive.writestr("weight_0", b"\0" * 300_000_000)


def as_file(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def announcing(shape: str) -> Callable[[Path], None]:
    """An archive with an array whose header announces another shape than the array has."""

    def write(path: Path) -> None:
        header = as_file(state(1)["weight_0"]).replace(b"(4,)", shape.encode())
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weight_0.npy", header)
            archive.writestr("iteration.npy", as_file(np.array(1)))

    return write


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
        two_of_one_name,
        announcing("(9999999999999,)"),
        announcing("(4, 9999999999)"),
        announcing("(-4,)"),
        announcing("(" * 100),
        lambda path: make_sparse(path, 4_000_000_000, b"PK\x03\x04"),
        *(lambda path, kind=kind: make_special(path, kind) for kind in SPECIAL_FILES),
    ],
)
def test_what_is_no_checkpoint_of_this_network_is_refused(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "000000001.npz"
    damage(path)  # type: ignore[operator]
    with limited(), pytest.raises(RunError, match=r"000000001\.npz") as caught:
        load_checkpoint(tmp_path, state(0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seconds", [-5.0, 1e12, 1.1e10, np.nan, np.inf])
def test_a_time_that_no_record_can_hold_is_refused(tmp_path: Path, seconds: float) -> None:
    save_checkpoint(tmp_path, state(1) | {"seconds": np.array(seconds)})
    with pytest.raises(RunError, match=r"seconds has values|time is out of range"):
        load_checkpoint(tmp_path, state(0) | {"seconds": np.array(0.0)})


def test_a_folder_that_cannot_be_read_is_no_reason_to_start_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(RunError, match=r"Cannot read .*checkpoints"):
        load_checkpoint(tmp_path / "checkpoints", state(0))


def test_what_is_not_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    make_special(tmp_path / "000000002.npz", "pipe")  # a reader that opened it would wait for ever
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
