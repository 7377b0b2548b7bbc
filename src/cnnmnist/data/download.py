"""Downloads: the files of a data set, fetched from its mirrors and kept in the cache if their digest is right."""

import contextlib
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import platformdirs

from cnnmnist.data.registry import KnownDataset
from cnnmnist.errors import DownloadError, WriteError, reason
from cnnmnist.files import open_file, replacing

if TYPE_CHECKING:
    from requests import Response, Session

MAX_DOWNLOAD_BYTES = 1 << 30  # twice the size of the largest file, the archive of EMNIST
DIGESTS = "SHA256SUMS"  # in the folder of extracted files
TIMEOUTS = (5.0, 30.0)  # seconds to connect, and between two pieces of an answer

DownloadProgress = Callable[[int, int | None], object]
"""Called with the number of bytes of a file that have arrived, and with its size, or None if it is unknown."""


def cache_directory() -> Path:
    """Return the folder of the downloads: ``$CNNMNIST_CACHE_DIR``, or the user's cache folder.

    Raises:
        DownloadError: there is neither.
    """
    folder = os.environ.get("CNNMNIST_CACHE_DIR")
    if not folder:
        with contextlib.suppress(RuntimeError):
            folder = platformdirs.user_cache_dir("cnnmnist", appauthor=False)
        if not folder or folder.startswith("~"):
            raise DownloadError(
                "There is no folder for downloads, because this user has no home folder: name one in "
                "$CNNMNIST_CACHE_DIR, or a folder of data with --data-dir."
            )
    return Path(folder)


def has_digest(path: Path, sha256: str) -> bool:
    """Whether a file exists and has this SHA-256, in hexadecimal."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def holds(folder: Path, known: KnownDataset) -> bool:
    """Whether a folder holds all files of a data set, as :func:`fetch` left them."""
    digests = known.files
    if known.members:
        try:
            lines = (folder / DIGESTS).read_text("utf-8").splitlines()
            digests = dict.fromkeys(_names(known), "") | dict(line.split()[::-1] for line in lines)
        except (OSError, ValueError):
            return False
    return all(has_digest(folder / name, sha256) for name, sha256 in digests.items())


def fetch(name: str, known: KnownDataset, folder: Path, progress: DownloadProgress | None = None) -> None:
    """Download the files that a folder does not hold yet, from the first mirror that has them.

    The folder never holds half a file. An archive is kept beside the folder, because several data sets share it.

    Raises:
        DownloadError: all mirrors failed, or the archive lacks a file, or the folder cannot be written.
    """
    import requests  # takes 0.05 s, and a data set in the cache does not need it
    from urllib3.exceptions import HTTPError

    target = folder.with_name(name.partition("-")[0]) if known.members else folder
    failures = []
    for mirror in known.mirrors:
        try:
            with requests.Session() as session:
                for file, sha256 in known.files.items():
                    if not has_digest(target / file, sha256):
                        _download(session, mirror + file, target / file, sha256, progress)
            break
        except (OSError, ValueError, HTTPError, WriteError) as error:  # the errors of requests are OSErrors
            failures.append(f"{urlsplit(mirror).netloc}: {_first_reason(error)}")
    else:
        raise DownloadError(
            f"The data set {name} could not be downloaded to {target} ({'; '.join(failures)}): name a folder with "
            "its four IDX files with --data-dir, or take --dataset mnist5k."
        )
    if known.members:
        _extract(target / next(iter(known.files)), known, folder)


def _names(known: KnownDataset) -> list[str]:
    """The names of the extracted files: those of an archive without their folders."""
    return [member.rpartition("/")[2] for member in known.members]


def _extract(archive: Path, known: KnownDataset, folder: Path) -> None:
    """Extract the files of a data set, and write their digests beside them; the archive has the right digest."""
    digests = {}
    try:
        with zipfile.ZipFile(archive) as packed:
            for member, name in zip(known.members, _names(known), strict=True):
                # The members are compressed themselves: none can be larger than the whole archive.
                if packed.getinfo(member).file_size > archive.stat().st_size:
                    raise ValueError(f"{member} is larger than the archive")
                with (
                    replacing(folder / name, make_folder=True) as temporary,
                    packed.open(member) as source,
                    temporary.open("w+b") as file,
                ):
                    shutil.copyfileobj(source, file)
                    file.seek(0)
                    digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        with replacing(folder / DIGESTS) as temporary:
            temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()), "utf-8")
    except (OSError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, WriteError) as error:
        raise DownloadError(f"Cannot extract {archive} to {folder}: {reason(error)}.") from error


def _download(session: "Session", url: str, path: Path, sha256: str, progress: DownloadProgress | None) -> None:
    verify = os.environ.get("SSL_CERT_FILE") or True  # OpenSSL's and Python's variable; requests has another one
    hooks = {"response": _check_redirect}
    with session.get(url, stream=True, timeout=TIMEOUTS, verify=verify, hooks=hooks) as answer:
        if answer.status_code != 200:
            raise ValueError(f"HTTP status {answer.status_code}")
        size, received, digest = answer.raw.length_remaining, 0, hashlib.sha256()
        with replacing(path, make_folder=True) as temporary, temporary.open("wb") as file:
            # Some servers declare a .gz file as a compressed answer, which requests would decompress.
            for part in answer.raw.stream(1 << 16, decode_content=False):
                received += len(part)
                if received > MAX_DOWNLOAD_BYTES:
                    raise ValueError("the answer is longer than the file can be")
                digest.update(part)
                file.write(part)
                if progress:
                    progress(received, size)
            if digest.hexdigest() != sha256:
                raise ValueError("wrong digest")


def _check_redirect(answer: "Response", **_: Any) -> None:
    """Refuse a redirect to another scheme, unless it is from http to https."""
    if answer.is_redirect:
        answer.raw.close()  # otherwise requests would read the whole body
        target = urlsplit(answer.headers["location"]).scheme
        if target not in ("", "https", urlsplit(answer.url).scheme):
            raise ValueError(f"it redirects to {target}")


def _first_reason(error: BaseException) -> str:
    """The reason of the first error in a chain, such as ``Connection refused``; requests wraps it four times."""
    while error.__context__ is not None:
        error = error.__context__
    return reason(error)
