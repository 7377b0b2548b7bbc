"""The IDX file format: read, write, refuse.

A file is two zero bytes, a type (8: unsigned bytes, the only one here), the number of dimensions, each
dimension as a big-endian 32-bit number, then the values, last dimension fastest; all of it may be gzip'd.
It is described on the site of the MNIST database, http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import stat
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import DataError
from cnnmnist.files import replacing

UNSIGNED_BYTE = 0x08
CONTENT = {1: "labels", 3: "images"}  # what the files of a data set hold, by their number of dimensions
MAX_BYTES = 1 << 30  # the largest relative of MNIST, EMNIST ByClass, needs half of it
GZIP_MAGIC = b"\x1f\x8b"
MAX_EXPANSION = 1032  # deflate spends at least 2 bits on 258 bytes: https://zlib.net/zlib_tech.html
CHUNK = 1 << 20


def read_idx(path: Path, *, ndim: int | None = None) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes: labels, uint8 (n,), or images, uint8 (n, height, width).

    The content tells whether it is gzip'd. A file is refused before memory is allocated for more than it holds.

    Args:
        path: the file.
        ndim: the dimensions that it must have, 1 or 3; None accepts both.

    Raises:
        DataError: it is no such file; the byte named is one of the uncompressed content.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is not a regular file, so it cannot be read as IDX data.")
        with path.open("rb") as file:
            compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            if not compressed:
                return _parse(file, path, ndim, capacity=status.st_size)
            with gzip.GzipFile(fileobj=file) as stream:
                return _parse(stream, path, ndim, capacity=status.st_size * MAX_EXPANSION)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write labels (n,) or images (n, height, width), uint8, as an IDX file, gzip'd if `path` ends in .gz.

    The same array gives the same bytes, and `path` never holds half a file.

    Raises:
        WriteError: the file cannot be written.
    """
    if array.dtype != np.uint8 or array.ndim not in CONTENT:
        raise ValueError(f"IDX files here hold uint8 in 1 or 3 dimensions, not {array.dtype} in {array.ndim}")
    content = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape) + array.tobytes()
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
                stream.write(content)
        else:
            file.write(content)


def _parse(stream: BinaryIO | gzip.GzipFile, path: Path, ndim: int | None, *, capacity: int) -> NDArray[np.uint8]:
    """Parse the uncompressed content of `path`, of which there are at most `capacity` bytes."""
    magic = _read(stream, 4, path)
    if len(magic) < 4:
        raise DataError(f"{path} is not an IDX file: it ends at byte {len(magic)}, within its magic number.")
    zeros, kind, dimensions = struct.unpack(">HBB", magic)
    if zeros != 0:
        raise DataError(f"{path} is not an IDX file: bytes 0 and 1 are not zero.")
    if kind != UNSIGNED_BYTE:
        raise DataError(f"{path} has values of type 0x{kind:02x} (byte 2); only unsigned bytes, 0x08, are read.")
    if dimensions not in CONTENT:
        raise DataError(f"{path} has {dimensions} dimensions (byte 3); labels have 1 and images have 3.")
    if ndim is not None and dimensions != ndim:
        raise DataError(
            f"{path} holds {CONTENT[dimensions]} (byte 3: {dimensions} dimensions) where {CONTENT[ndim]} "
            "belong: its name or the files are mixed up."
        )

    start = 4 + 4 * dimensions
    sizes = _read(stream, 4 * dimensions, path)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path} is truncated: it ends at byte {4 + len(sizes)}, within its header.")
    shape = struct.unpack(f">{dimensions}I", sizes)
    announced = f"the {' x '.join(f'{size:,}' for size in shape)} bytes that its header announces at byte 4"
    if math.prod(max(size, 1) for size in shape) > MAX_BYTES:  # NumPy limits empty arrays' shapes, too
        raise DataError(f"{path} is refused: {announced} are more than {MAX_BYTES:,}.")
    count = math.prod(shape)
    if start + count > capacity:
        raise DataError(f"{path} is truncated: at most {capacity - start:,} follow of {announced}.")
    values = _read(stream, count, path)
    if len(values) < count:
        raise DataError(f"{path} is truncated: it ends at byte {start + len(values)}, before {announced}.")
    if _read(stream, 1, path):
        raise DataError(f"{path} goes on at byte {start + count}, after {announced}.")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read(stream: BinaryIO | gzip.GzipFile, count: int, path: Path) -> bytearray:
    """Read up to `count` bytes, fewer only at the end; memory grows with what arrives, not with `count`."""
    start = stream.tell()
    content = bytearray()
    try:
        while chunk := stream.read(min(CHUNK, count - len(content))):
            content += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or truncated after byte {start + len(content)}: {error}.") from error
    return content
