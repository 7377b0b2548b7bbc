"""Fetching the files of a data set from its mirrors: digest first, use later, and nothing half-written."""

import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from cnnmnist.errors import DownloadError, reason

MAX_DOWNLOAD_BYTES = 1 << 26  # the largest file known here has 26 MB
TIMEOUTS = (5.0, 30.0)  # seconds to connect, and between two pieces of an answer


class DownloadProgress(Protocol):
    """What a download reports to, as tqdm and pooch have it."""

    total: int

    def update(self, size: int) -> None:
        """So many bytes more have arrived."""

    def reset(self) -> None:
        """The count begins again."""

    def close(self) -> None:
        """The file has ended."""


def cache_directory() -> Path:
    """Where downloads are kept: ``$CNNMNIST_CACHE_DIR`` or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("CNNMNIST_CACHE_DIR") or platformdirs.user_cache_path("cnnmnist"))


def fetch(
    name: str,
    mirrors: Iterable[str],
    files: Mapping[str, str],
    folder: Path,
    progress: DownloadProgress | None = None,
) -> list[Path]:
    """Download what is not in the folder yet, from the first mirror that has all of it.

    Args:
        name: of the data set, for errors.
        mirrors: base URLs, each ending in a slash.
        files: the digest of each file by its name, as pooch writes digests.
        folder: where the files are kept.
        progress: told how far a download is.

    Raises:
        DownloadError: every mirror failed; the folder holds nothing half-written.
    """
    from urllib3.exceptions import HTTPError

    pooch = quiet_pooch()
    pooch.get_logger().setLevel(logging.CRITICAL)
    failures = []
    for mirror in mirrors:
        try:
            return [
                Path(pooch.retrieve(mirror + file, digest, file, folder, downloader=_Download(progress)))
                for file, digest in files.items()
            ]
        # The errors of requests are OSErrors, and a wrong digest is a ValueError.
        except (OSError, ValueError, HTTPError) as error:
            failures.append(f"{urlsplit(mirror).netloc}: {_reason(error)}")
    raise DownloadError(
        f"The data set {name} could not be downloaded to {folder} ({'; '.join(failures)}): name a folder with "
        "its four IDX files with --data-dir, or take --dataset mnist5k."
    )


def quiet_pooch() -> Any:
    """The package pooch, without the warning of its progress bar in notebooks that have no ipywidgets."""
    with warnings.catch_warnings(action="ignore"):
        import pooch
    return pooch


class _Download:
    """Download as pooch asks, but never to another scheme, nor more than any data set has."""

    def __init__(self, progress: DownloadProgress | None) -> None:
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import requests

        # requests knows other names for this variable, which OpenSSL and Python share.
        verify = os.environ.get("SSL_CERT_FILE") or True
        with requests.Session() as session:
            session.hooks["response"].append(_refuse_other_schemes)
            with session.get(url, stream=True, timeout=TIMEOUTS, verify=verify) as answer:
                answer.raise_for_status()
                self._keep(answer, Path(output_file))

    def _keep(self, answer: Any, path: Path) -> None:
        progress = self.progress
        if progress is not None:
            progress.total = int(answer.headers.get("content-length", 0))
        received = 0
        with path.open("wb") as file:
            # As sent: some servers call a .gz file a gzip'd answer, which requests would decompress.
            for part in answer.raw.stream(1 << 16, decode_content=False):
                received += len(part)
                if received > MAX_DOWNLOAD_BYTES:
                    raise ValueError("the answer is longer than the file can be")
                file.write(part)
                if progress is not None:
                    progress.update(len(part))
        if progress is not None:
            progress.close()


def _refuse_other_schemes(answer: Any, **_: Any) -> None:
    target = urlsplit(answer.headers.get("location", "")).scheme
    if answer.is_redirect and target not in ("", urlsplit(answer.url).scheme):
        raise ValueError(f"it redirects to {target}")


def _reason(error: Exception) -> str:
    import requests
    from urllib3.exceptions import TimeoutError as StreamTimeoutError

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout | StreamTimeoutError):
        return "timed out"
    if isinstance(error, ValueError) and "hash" in str(error):
        return "wrong digest"
    cause: BaseException = error  # such as "Connection refused", five exceptions deep
    while cause.__context__ is not None:
        cause = cause.__context__
    return reason(cause)
