import hashlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.data import download as downloads
from cnnmnist.data import loading
from cnnmnist.data.folders import STEMS
from cnnmnist.data.idx import write_idx
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.registry import DATASETS, KnownDataset
from cnnmnist.errors import DataError, DownloadError, RecipeError

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


def small_arrays(classes: int = 10, side: int = 9, train: int = 48, test: int = 20) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [
        part
        for count in (train, test)
        for part in (
            random.integers(0, 256, (count, side, side), np.uint8),
            (np.arange(count) % classes).astype(np.uint8),
        )
    ]


def write_folder(folder: Path, arrays: list[np.ndarray], name: Callable[[str], str] = "{}.gz".format) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(STEMS, arrays, strict=True):
        write_idx(folder / name(stem), array)
    return folder


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
    hashes = tuple(hashlib.sha256((published / f"{stem}.gz").read_bytes()).hexdigest() for stem in STEMS)
    monkeypatch.setattr(downloads, "TIMEOUTS", (1.0, 0.3))

    def register(*mirrors: str) -> None:
        monkeypatch.setitem(DATASETS, "mnist", KnownDataset(mirrors=mirrors, hashes=hashes))

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


def files_in(folder: Path) -> set[str]:
    return {each.name for each in folder.rglob("*") if each.is_file()}


# A folder that the user names


@pytest.mark.parametrize(
    "spelling",
    ["{}", "{}.gz", "{}|.", "{}.gz|."],
)
def test_a_folder_may_spell_its_files_in_four_ways(tmp_path: Path, spelling: str) -> None:
    pattern, _, dotted = spelling.partition("|")
    arrays = small_arrays()
    folder = write_folder(
        tmp_path / "mine",
        arrays,
        lambda stem: pattern.format(stem.replace("-idx", ".idx") if dotted else stem),
    )
    found = load_dataset(data_dir=folder)
    assert found.name == "mine"
    assert found.data_dir == folder
    assert found.image_shape == (9, 9)
    assert (len(found.train), len(found.validation), len(found.test)) == (44, 4, 20)
    assert (found.validation.images == arrays[0][:4]).all()
    assert (found.train.images == arrays[0][4:]).all()
    assert (found.train.labels == arrays[1][4:]).all()
    assert (found.test.labels == arrays[3]).all()
    assert found.split("validation") is found.validation


def test_the_digest_is_that_of_the_arrays_however_they_are_stored(tmp_path: Path) -> None:
    arrays = small_arrays()
    plain = load_dataset(data_dir=write_folder(tmp_path / "a", arrays, "{}".format))
    packed = load_dataset(data_dir=write_folder(tmp_path / "b", arrays))
    arrays[0][0, 0, 0] ^= 1
    other = load_dataset(data_dir=write_folder(tmp_path / "c", arrays))
    assert plain.digest == packed.digest != other.digest


def test_a_relative_folder_is_recorded_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "mine", small_arrays())
    monkeypatch.chdir(tmp_path)
    assert load_dataset(data_dir=Path("mine")).data_dir == tmp_path / "mine"


def test_the_environment_names_the_folder_of_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNMNIST_DATA_DIR", str(write_folder(tmp_path / "mine", small_arrays())))
    assert load_dataset("mnist").data_dir == tmp_path / "mine"
    assert load_dataset().data_dir == tmp_path / "mine"
    assert load_dataset("mnist5k").data_dir is None


def test_a_known_data_set_is_recognised_although_some_training_pixels_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = small_arrays()
    fingerprint = hashlib.sha256()
    for array in arrays[1:]:
        fingerprint.update(repr(array.shape).encode() + array.tobytes())
    monkeypatch.setitem(DATASETS, "mnist", KnownDataset(validation=7, fingerprint=fingerprint.hexdigest()))
    arrays[0][arrays[0] == 1] = 0
    found = load_dataset(data_dir=write_folder(tmp_path / "copy", arrays))
    assert found.name == "mnist"
    assert len(found.validation) == 7
    arrays[2][0, 0, 0] ^= 1
    assert load_dataset(data_dir=write_folder(tmp_path / "other", arrays)).name == "other"


def test_a_data_set_has_as_many_classes_as_its_labels(tmp_path: Path) -> None:
    found = load_dataset(data_dir=write_folder(tmp_path / "letters", small_arrays(classes=26, side=33)))
    assert found.class_names == tuple(str(number) for number in range(26))
    assert found.image_shape == (33, 33)


@pytest.mark.parametrize("stem", STEMS)
def test_a_missing_file_is_named_and_nothing_else_is_tried(tmp_path: Path, stem: str) -> None:
    folder = write_folder(tmp_path / "mine", small_arrays())
    (folder / f"{stem}.gz").unlink()
    with pytest.raises(DataError, match=rf"There is no {stem}\.gz in .*mine"):
        load_dataset(data_dir=folder)


@pytest.mark.parametrize("name", ["missing", "x" * 300])
def test_a_missing_folder_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        load_dataset(data_dir=tmp_path / name)


def swapped(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [arrays[1], arrays[0], arrays[2], arrays[3]]


def label_of_100(arrays: list[np.ndarray]) -> list[np.ndarray]:
    arrays[3][[7, 9]] = 100
    return arrays


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (swapped, "train-images-idx3-ubyte.gz holds labels"),
        (lambda a: [a[0], a[3], a[2], a[1]], "48 images but train-labels-idx1-ubyte 20 labels"),
        (lambda a: [a[0], a[1], a[2][:, :8, :8], a[3]], "do not belong together"),
        (lambda a: [a[0], a[1], a[2][:0], a[3][:0]], "t10k-images-idx3-ubyte holds images of shape"),
        (lambda a: [a[0][:1], a[1][:1], a[2], a[3]], "at least 2"),
        (lambda a: [a[0][:, :7], a[1], a[2][:, :7], a[3]], "8 to 64 pixels"),
        (label_of_100, "t10k-labels-idx1-ubyte holds the label 100 at byte 15"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, spoil, reason: str) -> None:
    folder = write_folder(tmp_path / "mine", spoil(small_arrays()))
    with pytest.raises(DataError) as caught:
        load_dataset(data_dir=folder)
    assert reason in str(caught.value)


def test_a_label_that_mnist_does_not_have_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine", small_arrays(classes=11))
    with pytest.raises(DataError, match=r"label 10 at byte 18: labels are below 10"):
        load_dataset("mnist", folder)


# The embedded digits


def test_the_embedded_digits_have_every_class_equally_often() -> None:
    digits = load_dataset("mnist5k")
    assert digits.image_shape == (28, 28)
    assert digits.fallback_reason is None
    for split, per_class in (("train", 350), ("validation", 50), ("test", 100)):
        assert np.bincount(digits.split(split).labels).tolist() == [per_class] * 10
    images = np.concatenate([digits.train.images, digits.validation.images, digits.test.images])
    assert len({image.tobytes() for image in images}) == 5_000


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"'mnits': did you mean 'mnist'\?.*mnist5k"):
        load_dataset("mnits")


# Downloads


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
        (redirect("https://127.0.0.1:9/"), "redirects to https"),
        (redirect("file:///etc/passwd"), "redirects to file"),
        (redirect(f"/{STEMS[0]}.gz"), "Exceeded 30 redirects"),
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


def test_no_connection_is_said_plainly(publish) -> None:
    publish("http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9: Connection refused"):
        load_dataset("mnist")


@pytest.mark.parametrize("behaviour", [wrong_digest, not_found, cut_off, silent])
def test_the_second_mirror_is_taken_when_the_first_fails(publish, mirror, behaviour: Behaviour) -> None:
    first, second = mirror(behaviour), mirror(good)
    publish(first.url, second.url)
    assert len(load_dataset("mnist").test) == 20
    assert len(first.requests) == 1
    assert len(second.requests) == 4


def test_a_redirect_within_the_scheme_is_followed(publish, mirror) -> None:
    target = mirror(good)

    def moved(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        redirect(target.url + handler.path.lstrip("/"))(handler, content)

    publish(mirror(moved).url)
    assert len(load_dataset("mnist").test) == 20


def test_a_server_that_calls_the_file_a_compressed_answer_is_understood(publish, mirror) -> None:
    publish(mirror(lambda handler, content: answer(handler, content, Content_Encoding="gzip")).url)
    assert len(load_dataset("mnist").test) == 20


def test_a_cache_that_cannot_be_written_is_named(publish, mirror, cache: Path) -> None:
    cache.write_text("not a folder")
    publish(mirror(good).url)
    with pytest.raises(DownloadError, match=str(cache)):
        load_dataset("mnist")


def test_without_a_name_the_embedded_digits_stand_in_and_say_why(publish) -> None:
    publish("http://127.0.0.1:9/")
    digits = load_dataset()
    assert digits.name == "mnist5k"
    assert "Connection refused" in str(digits.fallback_reason)


def test_a_proxy_is_respected(publish, mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = mirror(good)
    monkeypatch.setenv("http_proxy", proxy.url)
    publish("http://mirror.invalid/mnist/")
    load_dataset("mnist")
    assert proxy.requests[0] == f"http://mirror.invalid/mnist/{STEMS[0]}.gz"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_the_certificates_of_ssl_cert_file_are_trusted(
    publish, mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    request = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    )
    subprocess.run(
        [*request.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate, "-out", "-"],
        check=True,
        stdout=(tmp_path / "public.pem").open("wb"),
        stderr=subprocess.DEVNULL,
    )
    with certificate.open("ab") as both:
        both.write((tmp_path / "public.pem").read_bytes())
    publish(mirror(good, certificate).url)
    with pytest.raises(DownloadError, match="certificate verify failed"):
        load_dataset("mnist")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    assert len(load_dataset("mnist").test) == 20


def test_progress_is_told_every_byte_of_every_file(publish, mirror, published: Path) -> None:
    class Progress:
        def __init__(self) -> None:
            self.totals: list[int] = []
            self.received = 0
            self.closed = 0

        def __setattr__(self, name: str, value: object) -> None:
            if name == "total":
                self.totals.append(value)
            else:
                super().__setattr__(name, value)

        def update(self, size: int) -> None:
            self.received += size

        def reset(self) -> None:
            self.received = 0

        def close(self) -> None:
            self.closed += 1

    publish(mirror(good).url)
    progress = Progress()
    load_dataset("mnist", progress=progress)
    sizes = [(published / f"{stem}.gz").stat().st_size for stem in STEMS]
    assert progress.totals == sizes
    assert progress.received == sum(sizes)
    assert progress.closed == 4


# Keras' cache


def keras_cache(home: Path, arrays: list[np.ndarray]) -> str:
    file = home / "datasets" / "mnist.npz"
    file.parent.mkdir(parents=True)
    np.savez(file, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_keras_cache_is_taken_before_a_download(
    publish, mirror, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mirror(good)
    publish(server.url)
    monkeypatch.setattr(loading, "KERAS_CACHE_DIGEST", keras_cache(tmp_path / "keras", small_arrays()))
    assert load_dataset("mnist").digest == load_dataset(data_dir=published).digest
    assert server.requests == []


def test_a_keras_cache_with_another_digest_is_not_opened(publish, mirror, tmp_path: Path) -> None:
    class Executed:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path.joinpath("executed").touch, ())

    keras_cache(tmp_path / "keras", [np.array([Executed()], dtype=object)] * 4)
    server = mirror(good)
    publish(server.url)
    assert load_dataset("mnist").name == "mnist"
    assert len(server.requests) == 4
    assert not (tmp_path / "executed").exists()


# The full MNIST


@pytest.mark.full
def test_the_full_mnist_is_recognised_and_split_as_the_tutorial_does(mnist_dir: Path) -> None:
    digits = load_dataset(data_dir=mnist_dir)
    assert digits.name == "mnist"
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (55_000, 5_000, 10_000)
    assert digits.validation.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.full
def test_the_full_mnist_holds_every_embedded_digit_but_not_in_its_test_split(mnist_dir: Path) -> None:
    def faint_pixels_lost(images: np.ndarray) -> set[bytes]:
        return {np.where(image == 1, 0, image).astype(np.uint8).tobytes() for image in images}

    full, few = load_dataset(data_dir=mnist_dir), load_dataset("mnist5k")
    embedded = faint_pixels_lost(np.concatenate([few.train.images, few.validation.images, few.test.images]))
    assert embedded <= faint_pixels_lost(np.concatenate([full.validation.images, full.train.images[:1_000]]))
