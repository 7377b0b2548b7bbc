"""IDX files: how to read them.

A file has two zero bytes, a type (8: unsigned bytes), the number of dimensions, each dimension as a big-endian
32-bit number, then the values, last dimension fastest. It may be compressed with gzip. The site of the MNIST
database, http://yann.lecun.com/exdb/mnist/, describes the format. QMNIST's labels are 32-bit integers in 8
columns, of which the first is the class: https://github.com/facebookresearch/qmnist.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import DataError, raised_as
from cnnmnist.files import open_file

UNSIGNED_BYTE, INTEGER = 0x08, 0x0C
CONTENT = {1: "labels", 3: "images"}  # content of the files of a data set, by number of dimensions
MAX_BYTES = 1 << 30  # twice the size of EMNIST ByClass, the largest data set of MNIST's format
GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 1 << 16


def read_idx(path: Path, *, ndim: int) -> NDArray[np.uint8]:
    """Read labels or images from an IDX file of unsigned bytes.

    The first bytes tell whether the file is compressed. A header that announces more values than the file holds
    does not make the function allocate memory for them.

    Args:
        path: the file.
        ndim: the required number of dimensions, 1 or 3; 1 also accepts QMNIST's labels.

    Returns:
        Labels, uint8 (n,), or images, uint8 (n, height, width).

    Raises:
        DataError: the file is missing or not valid; the message counts bytes of the uncompressed content.
    """
    with raised_as(DataError, f"{path} cannot be read"), open_file(path) as file:
        packed = file.peek(2).startswith(GZIP_MAGIC)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        try:
            return _parse(stream, path, ndim)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is damaged or truncated after byte {stream.tell()}: {error}.") from error


def _parse(stream: BinaryIO | gzip.GzipFile, path: Path, ndim: int) -> NDArray[np.uint8]:
    zeros, kind, dimensions = struct.unpack(">HBB", _read(stream, 4, path, "the end of its magic number"))
    if zeros != 0:
        raise DataError(f"{path} is not an IDX file: bytes 0 and 1 are not zero.")
    has_columns = (kind, dimensions, ndim) == (INTEGER, 2, 1)
    if kind != UNSIGNED_BYTE and not has_columns:
        raise DataError(f"{path} has values of type 0x{kind:02x} (byte 2); only unsigned bytes, 0x08, are read.")
    if dimensions != ndim and not has_columns:
        raise DataError(
            f"{path} holds {CONTENT.get(dimensions, 'neither')} (byte 3: {dimensions} dimensions) where "
            f"{CONTENT[ndim]} belong: its name or the files are mixed up."
        )
    shape = struct.unpack(f">{dimensions}I", _read(stream, 4 * dimensions, path, "the end of its header"))
    factors = (*shape, 4) if has_columns else shape
    announced = f"the {' x '.join(f'{size:,}' for size in factors)} bytes that its header announces at byte 4"
    if math.prod(max(size, 1) for size in factors) > MAX_BYTES:  # NumPy limits the shapes of empty arrays, too
        raise DataError(f"{path} is refused: {announced} are more than {MAX_BYTES:,}.")
    values = _read(stream, math.prod(factors), path, announced)
    if stream.read(1):
        raise DataError(f"{path} goes on at byte {stream.tell() - 1}, after {announced}.")
    if not has_columns:
        return np.frombuffer(values, np.uint8).reshape(shape)
    columns = np.frombuffer(values, ">i4").reshape(shape)
    if not columns.size or columns[:, 0].min() < 0 or columns[:, 0].max() > 255:
        raise DataError(f"{path} holds no labels from 0 to 255 in its first column.")
    return columns[:, 0].astype(np.uint8)


def _read(stream: BinaryIO | gzip.GzipFile, count: int, path: Path, end: str) -> bytearray:
    """Read ``count`` bytes, up to ``end``; memory grows with the bytes read, not with ``count``."""
    content = bytearray()
    while chunk := stream.read(min(CHUNK, count - len(content))):
        content += chunk
    if len(content) < count:
        raise DataError(f"{path} is truncated: it ends at byte {stream.tell()}, before {end}.")
    return content
