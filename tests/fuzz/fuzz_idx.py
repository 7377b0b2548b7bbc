"""Coverage-guided fuzzing of the IDX reader with atheris; pytest does not collect it.

    pip install atheris numpy pytest hypothesis
    python tests/fuzz/fuzz_idx.py CORPUS -max_total_time=600 -timeout=10 -rss_limit_mb=1024

CORPUS is a folder for the inputs that reach new code; libFuzzer stops at the first input that fails, hangs
or takes too much memory, and writes it to the current folder.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cnnmnist.data.idx", "gzip"]):
    import gzip

    import cnnmnist.data.idx  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from test_idx import IMAGES, LABELS, read_or_refuse

SEEDS = {
    "labels": LABELS,
    "images": IMAGES,
    "labels.gz": gzip.compress(LABELS),
    "images.gz": gzip.compress(IMAGES),
}


def fuzz(path: Path, content: bytes) -> None:
    """Read the input as a file, and as the content of an undamaged gzip file that mutations would not find."""
    read_or_refuse(content, path)
    read_or_refuse(gzip.compress(content, compresslevel=1, mtime=0), path)


def main() -> None:
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for name, content in SEEDS.items():
        (corpus / name).write_bytes(content)
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # thousands of files a second
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "fuzzed"
        atheris.Setup(sys.argv, lambda content: fuzz(path, content))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
