import gzip
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from build_mnist5k import write_idx
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cnnmnist.data.idx import MAX_BYTES, read_idx
from cnnmnist.errors import DataError
from support.limits import make_special

LABELS = struct.pack(">HBBI", 0, 8, 1, 5) + bytes([3, 1, 4, 1, 5])
IMAGES = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + bytes(range(24))
uint8_arrays = array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=9) | array_shapes(
    min_dims=1, max_dims=1, min_side=0, max_side=300
)


def header(*shape: int) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@pytest.fixture(scope="module", autouse=True)
def tracing_ends_with_this_module() -> Iterator[None]:
    yield
    tracemalloc.stop()


def read_or_refuse(content: bytes, path: Path) -> None:
    """What must hold for any bytes whatsoever: an array that fits them, or a sentence, and little memory."""
    path.write_bytes(content)
    for ndim in (1, 3):
        _read_or_refuse(content, path, ndim)


def _read_or_refuse(content: bytes, path: Path, ndim: int) -> None:
    tracemalloc.start()  # once for all: each start and stop loses a kilobyte, much in a million calls
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        array = read_idx(path, ndim=ndim)
    except DataError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        if plain[2] == 8:  # not one of QMNIST's files
            assert plain == header(*array.shape) + array.tobytes()
    assert tracemalloc.get_traced_memory()[1] - before < 2_000_000


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """A good file, plain, gzip'd, or gzip'd after the damage, with up to three mutations."""
    content = bytearray(draw(st.sampled_from([LABELS, IMAGES, header(0), header(4, 0, 9)])))
    when = draw(st.sampled_from(["plain", "before", "after"]))
    if when == "after":
        content = bytearray(gzip.compress(content, mtime=0))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["set", "insert", "cut", "repeat"])):
            case "set":
                content[place : place + 1] = draw(st.binary(min_size=1, max_size=4))
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "cut":
                del content[place:]
            case "repeat":
                content += content[place:]
    return gzip.compress(content, mtime=0) if when == "before" else bytes(content)


@given(arrays(np.uint8, uint8_arrays), st.sampled_from(["digits", "digits.gz"]))
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(folder: Path, array: np.ndarray, name: str) -> None:
    write_idx(folder / name, array)
    again = read_idx(folder / name, ndim=array.ndim)
    assert again.dtype == np.uint8
    assert again.shape == array.shape
    assert (again == array).all()


def test_the_bytes_are_those_of_the_format(path: Path) -> None:
    write_idx(path, np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    assert path.read_bytes() == IMAGES


def test_gzip_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_bytes(LABELS)
    (tmp_path / "packed").write_bytes(gzip.compress(LABELS))
    for name in ("plain.gz", "packed"):
        assert read_idx(tmp_path / name, ndim=1).tolist() == [3, 1, 4, 1, 5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends at byte 0"),
        (b"\0\0\x08", "ends at byte 3"),
        (b"GIF89a..", "bytes 0 and 1 are not zero"),
        (b"\0\0\x0d\x01" + LABELS[4:], "type 0x0d (byte 2)"),
        (b"\0\0\x08\x02" + LABELS[4:], "byte 3: 2 dimensions"),
        (b"\0\0\x08\xff" + LABELS[4:], "byte 3: 255 dimensions"),
        (LABELS[:6], "ends at byte 6"),
        (LABELS[:-2], "truncated"),
        (LABELS + b"!", "goes on at byte 13"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_that_is_not_idx_is_refused_with_the_byte(path: Path, pack, content: bytes, reason: str) -> None:
    path.write_bytes(pack(content))
    with pytest.raises(DataError) as caught:
        read_idx(path, ndim=1)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_images_where_labels_belong_are_refused(path: Path) -> None:
    path.write_bytes(IMAGES)
    with pytest.raises(DataError, match=r"holds images .*byte 3.* where labels belong"):
        read_idx(path, ndim=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-3],
        lambda packed: packed[:10] + b"\xff\xff" + packed[12:],
        lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:],
        lambda packed: packed + b"more",
        lambda packed: packed[:2],
    ],
    ids=["truncated", "deflate", "checksum", "trailing", "magic only"],
)
def test_a_damaged_gzip_file_is_refused(path: Path, damage) -> None:
    path.write_bytes(damage(gzip.compress(IMAGES)))
    with pytest.raises(DataError, match=r"labels is damaged or truncated after byte \d+"):
        read_idx(path, ndim=3)


@pytest.mark.parametrize(
    "shape",
    [(2**31, 28, 28), (2**32 - 1,) * 3, (0, 2**32 - 1, 2**32 - 1), (MAX_BYTES // 784, 28, 28), (2**31,)],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_header_that_claims_too_much_costs_no_memory(path: Path, pack, shape: tuple[int, ...]) -> None:
    path.write_bytes(pack(header(*shape) + bytes(1000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="its header announces at byte 4"):
        read_idx(path, ndim=len(shape))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_gzip_bomb_is_left_after_what_its_header_allows(path: Path) -> None:
    path.write_bytes(gzip.compress(header(1, 8, 8) + bytes(30_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on at byte 80"):
        read_idx(path, ndim=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    make_special(tmp_path / "fifo", "pipe")  # a reader that opened it would wait for ever
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "missing", Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(DataError):
            read_idx(path, ndim=3)


@given(damaged_files())
@settings(max_examples=300, deadline=None)
def test_a_mutated_file_is_read_or_refused(folder: Path, content: bytes) -> None:
    read_or_refuse(content, folder / "mutated")


@pytest.mark.long
@given(damaged_files())
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_mutated_files_are_read_or_refused(folder: Path, content: bytes) -> None:
    read_or_refuse(content, folder / "mutated")
