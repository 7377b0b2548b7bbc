"""Downloads from real servers on this machine that answer well, badly, or not at all."""

import dataclasses
import gzip
import hashlib
import io
import shutil
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from build_mnist5k import write_idx

from cnnmnist.data import download as downloads
from cnnmnist.data.folders import STEMS
from cnnmnist.data.loading import load_dataset, locate
from cnnmnist.data.registry import DATASETS, KnownDataset
from cnnmnist.errors import DownloadError
from support.datasets import small_arrays, write_folder

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNMNIST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "cache"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The four files as a mirror has them."""
    return write_folder(tmp_path / "published", small_arrays())


@pytest.fixture
def publish(cache: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let MNIST be those four files, at the mirrors given."""
    files = {f"{stem}.gz": hashlib.sha256((published / f"{stem}.gz").read_bytes()).hexdigest() for stem in STEMS}
    monkeypatch.setattr(downloads, "TIMEOUTS", (1.0, 0.3))

    def register(*mirrors: str) -> None:
        monkeypatch.setitem(DATASETS, "mnist", KnownDataset(mirrors=mirrors, files=files))

    return register


class Mirror:
    """An HTTP server on a free port whose answers the test decides; it counts the requests."""

    def __init__(self, folder: Path, behave: Behaviour, certificate: Path | None = None) -> None:
        self.requests: list[str] = []
        self.stopping = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            stopping = self.stopping

            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                name = self.path.rpartition("/")[2]
                behave(self, (folder / name).read_bytes())

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def mirror(published: Path) -> Iterator[Callable[..., Mirror]]:
    running: list[Mirror] = []

    def start(behave: Behaviour, certificate: Path | None = None) -> Mirror:
        running.append(Mirror(published, behave, certificate))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path / "certificate.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    made = subprocess.run(
        ["openssl", "req", *options.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + made.stdout)
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let that certificate be trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def answer(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None, **headers: str) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def good(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, content)


def wrong_digest(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, content[:-1] + b"?")


def not_found(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_error(404)


def cut_off(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, content[: len(content) // 2], length=len(content))


def silent(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.stopping.wait(20)


def hanging(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    cut_off(handler, content)
    silent(handler, content)


def endless(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    send_for_ever(handler)


def send_for_ever(handler: BaseHTTPRequestHandler) -> None:
    try:
        while not handler.stopping.is_set():
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        handler.close_connection = True


def redirect(target: str) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


def moved_to(mirror: Mirror) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        redirect(mirror.url + handler.path.lstrip("/"))(handler, content)

    return behave


def endless_redirect(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()
    send_for_ever(handler)


def files_in(folder: Path) -> set[str]:
    return {each.name for each in folder.rglob("*") if each.is_file()}


def test_a_download_is_kept_and_not_repeated(publish, mirror, cache: Path, published: Path) -> None:
    server = mirror(good)
    publish(server.url)
    first, again = load_dataset("mnist"), load_dataset("mnist")
    assert first.digest == again.digest == load_dataset(data_dir=published).digest
    assert first.name == "mnist"
    assert first.data_dir is None
    assert len(server.requests) == 4
    assert files_in(cache) == {f"{stem}.gz" for stem in STEMS}


def test_a_damaged_file_in_the_cache_is_downloaded_again(publish, mirror, cache: Path) -> None:
    server = mirror(good)
    publish(server.url)
    digest = load_dataset("mnist").digest
    damaged = cache / "mnist" / f"{STEMS[0]}.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert load_dataset("mnist").digest == digest
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (wrong_digest, "wrong digest"),
        (not_found, "HTTP status 404"),
        (cut_off, "IncompleteRead"),
        (silent, "timed out"),
        (hanging, "timed out"),
        (endless, "longer than the file can be"),
        (redirect("https://127.0.0.1:9/"), "Connection refused"),
        (redirect("ftp://127.0.0.1:9/"), "redirects to ftp"),
        (redirect("file:///etc/passwd"), "redirects to file"),
        (redirect(f"/{STEMS[0]}.gz"), "Exceeded 30 redirects"),
        (endless_redirect, "Exceeded 30 redirects"),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    publish, mirror, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd, behaviour: Behaviour, reason: str
) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_BYTES", 1 << 20)
    publish(mirror(behaviour).url)
    with pytest.raises(DownloadError) as caught:
        load_dataset("mnist")
    assert reason in str(caught.value)
    assert "--data-dir" in str(caught.value)
    assert "--dataset mnist5k" in str(caught.value)
    assert files_in(cache) == set()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("behaviour", [wrong_digest, not_found])
def test_the_second_mirror_is_taken_when_the_first_fails(publish, mirror, behaviour: Behaviour) -> None:
    first, second = mirror(behaviour), mirror(good)
    publish(first.url, second.url)
    assert len(load_dataset("mnist").test) == 20
    assert len(first.requests) == 1
    assert len(second.requests) == 4


def test_a_redirect_within_the_scheme_is_followed(publish, mirror) -> None:
    publish(mirror(moved_to(mirror(good))).url)
    assert len(load_dataset("mnist").test) == 20


def test_a_redirect_to_encryption_is_followed(publish, mirror, certificate: Path, trusted: None) -> None:
    publish(mirror(moved_to(mirror(good, certificate))).url)
    assert len(load_dataset("mnist").test) == 20


def test_a_redirect_that_gives_encryption_up_is_refused(publish, mirror, certificate: Path, trusted: None) -> None:
    plain = mirror(good)
    publish(mirror(moved_to(plain), certificate).url)
    with pytest.raises(DownloadError, match=r"it redirects to http\)"):
        load_dataset("mnist")
    assert plain.requests == []


def test_a_server_that_calls_the_file_a_compressed_answer_is_understood(publish, mirror) -> None:
    publish(mirror(lambda handler, content: answer(handler, content, Content_Encoding="gzip")).url)
    assert len(load_dataset("mnist").test) == 20


def test_a_cache_that_cannot_be_written_is_named(publish, mirror, cache: Path) -> None:
    cache.write_text("not a folder")
    publish(mirror(good).url)
    with pytest.raises(DownloadError, match=str(cache)):
        load_dataset("mnist")


def test_a_proxy_is_respected(publish, mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = mirror(good)
    monkeypatch.setenv("http_proxy", proxy.url)
    publish("http://mirror.invalid/mnist/")
    load_dataset("mnist")
    assert proxy.requests[0] == f"http://mirror.invalid/mnist/{STEMS[0]}.gz"


def test_the_certificates_of_ssl_cert_file_are_trusted(
    publish, mirror, certificate: Path, request: pytest.FixtureRequest
) -> None:
    publish(mirror(good, certificate).url)
    with pytest.raises(DownloadError, match="certificate verify failed"):
        load_dataset("mnist")
    request.getfixturevalue("trusted")
    assert len(load_dataset("mnist").test) == 20


def test_progress_is_told_every_byte_of_every_file(publish, mirror, published: Path) -> None:
    told: list[tuple[int, int | None]] = []
    publish(mirror(good).url)
    load_dataset("mnist", progress=lambda received, size: told.append((received, size)))
    sizes = [(published / f"{stem}.gz").stat().st_size for stem in STEMS]
    assert [received for received, size in told if received == size] == sizes
    assert {size for _, size in told} == set(sizes)


def test_progress_of_an_answer_without_a_size_is_told_too(publish, mirror, published: Path) -> None:
    def unsized(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    told: list[tuple[int, int | None]] = []
    publish(mirror(unsized).url)
    load_dataset("mnist", progress=lambda received, size: told.append((received, size)))
    assert {size for _, size in told} == {None}
    assert max(told)[0] == max((published / f"{stem}.gz").stat().st_size for stem in STEMS)


# EMNIST's archive, of which each data set is a part, and QMNIST


@pytest.fixture
def publish_archive(cache: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let EMNIST's archive be one with two small data sets of letters, at the mirrors given."""
    images, labels, *test = [
        each.transpose(0, 2, 1).copy() if each.ndim == 3 else each % 3 + 1 for each in small_arrays()
    ]

    def register(*mirrors: str, without: str = "", packed: bytes | None = None) -> None:
        archive = published / "gzip.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            for name in ("letters", "digits"):
                write_folder(
                    published, [images, labels, *test], lambda stem, name=name: renamed(f"emnist-{name}", stem)
                )
                for path in sorted(published.glob(f"emnist-{name}-*")):
                    if path.name != without:
                        opened.write(path, f"gzip/{path.name}")
        if packed is not None:
            archive.write_bytes(packed)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        for name in ("emnist-letters", "emnist-digits"):
            known = dataclasses.replace(DATASETS[name], mirrors=mirrors, files={"gzip.zip": digest})
            monkeypatch.setitem(DATASETS, name, known)

    return register


def renamed(prefix: str, stem: str) -> str:
    return f"{prefix}-{stem.replace('t10k', 'test')}.gz"


def test_a_part_of_emnist_is_extracted_alone_and_the_archive_is_downloaded_once(
    publish_archive, mirror, cache: Path
) -> None:
    server = mirror(good)
    publish_archive(server.url)
    assert locate("emnist-letters") is None
    letters, again = load_dataset("emnist-letters"), load_dataset("emnist-letters")
    assert letters.digest == again.digest
    assert letters.class_names == ("A", "B", "C"), "the labels begin at 1"
    assert (letters.test.images == small_arrays()[2]).all(), "upright"
    assert letters.preparation == "digits"
    assert locate("emnist-letters") == str(cache / "emnist-letters")
    assert server.requests == ["/gzip.zip"]
    assert files_in(cache / "emnist-letters") == {
        *(renamed("emnist-letters", stem) for stem in STEMS),
        "SHA256SUMS",
    }
    assert files_in(cache) - files_in(cache / "emnist-letters") == {"gzip.zip"}
    load_dataset("emnist-digits")
    assert len(server.requests) == 1


def test_a_damaged_part_of_emnist_is_extracted_again(publish_archive, mirror, cache: Path) -> None:
    server = mirror(good)
    publish_archive(server.url)
    digest = load_dataset("emnist-letters").digest
    for damaged in (renamed("emnist-letters", STEMS[0]), "SHA256SUMS"):
        (cache / "emnist-letters" / damaged).write_bytes(b"damaged")
        assert load_dataset("emnist-letters").digest == digest
    (cache / "emnist" / "gzip.zip").write_bytes(b"damaged")
    assert load_dataset("emnist-letters").digest == digest
    assert len(server.requests) == 1, "the archive is not needed any more"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"without": renamed("emnist-letters", STEMS[3])}, "no item named 'gzip/emnist-letters-test-labels"),
        ({"packed": b"no archive"}, "not a zip file"),
    ],
)
def test_an_archive_without_the_data_set_is_one_sentence(
    publish_archive, mirror, content: dict[str, object], reason: str
) -> None:
    publish_archive(mirror(good).url, **content)
    with pytest.raises(DownloadError, match=reason):
        load_dataset("emnist-letters")
    assert locate("emnist-letters") is None


def test_a_member_that_grows_beyond_its_archive_is_not_extracted(publish_archive, mirror, cache: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in DATASETS["emnist-letters"].members:
            archive.writestr(member, bytes(1 << 20))
    publish_archive(mirror(good).url, packed=content.getvalue())
    with pytest.raises(DownloadError, match="larger than the archive"):
        load_dataset("emnist-letters")
    assert files_in(cache) == {"gzip.zip"}


def test_qmnist_is_downloaded_under_its_own_names(
    cache: Path, published: Path, mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = small_arrays()
    for part, (images, labels) in {"train": arrays[:2], "test": arrays[2:]}.items():
        write_idx(published / f"qmnist-{part}-images-idx3-ubyte.gz", images)
        columns = np.column_stack([labels, *[np.arange(len(labels))] * 7]).astype(">i4")
        header = b"\0\0\x0c\x02" + len(labels).to_bytes(4, "big") + (8).to_bytes(4, "big")
        (published / f"qmnist-{part}-labels-idx2-int.gz").write_bytes(gzip.compress(header + columns.tobytes()))
    server = mirror(good)
    files = {
        file: hashlib.sha256((published / file).read_bytes()).hexdigest() for file in DATASETS["qmnist"].files
    }
    known = dataclasses.replace(DATASETS["qmnist"], mirrors=(server.url,), files=files)
    monkeypatch.setitem(DATASETS, "qmnist", known)
    dataset = load_dataset("qmnist")
    assert dataset.test.labels.tolist() == arrays[3].tolist()
    assert (dataset.name, dataset.preparation) == ("qmnist", "digits")
    assert len(dataset.class_names) == 10
    assert files_in(cache) == set(files)
