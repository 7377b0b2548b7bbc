"""Writing files so that they are either whole or not there."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from cnnmnist.errors import RunError, in_one_sentence


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to, renamed to ``path`` when the block ends without an error.

    Raises:
        RunError: the file cannot be written; ``path`` is as it was before.
    """
    # The suffix stays last, because Keras and matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"Cannot write {path}: {in_one_sentence(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
