"""What the page asks of the program, and what anybody else does who finds its port."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from cnnmnist.data.loading import Split, load_dataset
from cnnmnist.drawing.app import HEADERS, build_app
from cnnmnist.drawing.reader import Reader
from cnnmnist.interpretation import layer_outputs
from cnnmnist.model import build_model
from cnnmnist.model_file import save_model
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run, load_run
from conftest import run_cli

pytestmark = pytest.mark.xdist_group("drawing")

TESTS = load_dataset("mnist5k")
READER = Reader(load_run("pretrained", Path("runs")))
ORIGIN = "http://127.0.0.1:2828"
SIDE = READER.drawing_shape[0]
PIXELS = {"Content-Type": "application/octet-stream"}
STROKES = {
    "7": [[(0.25, 0.22), (0.72, 0.22), (0.5, 0.5), (0.4, 0.8)]],
    "1": [[(0.5, 0.2), (0.48, 0.8)]],
    "42": [
        [(0.3, 0.2), (0.12, 0.55), (0.42, 0.55)],
        [(0.33, 0.35), (0.31, 0.8)],
        [(0.6, 0.3), (0.7, 0.2), (0.83, 0.25), (0.83, 0.4), (0.58, 0.8), (0.9, 0.8)],
    ],
}


def drawn(text: str) -> Image.Image:
    picture = Image.new("L", (SIDE, SIDE), 255)
    for stroke in STROKES[text]:
        points = [(x * SIDE, y * SIDE) for x, y in stroke]
        ImageDraw.Draw(picture).line(points, fill=0, width=SIDE // 14, joint="curve")
    return picture


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(build_app(READER, TESTS), base_url=ORIGIN, raise_server_exceptions=False)


def error(response: Any) -> str:
    """The sentence of an error, which is all of its document."""
    assert 400 <= response.status_code < 500, response.text[:200]
    (sentence,) = response.json().values()
    assert sentence.endswith(".")
    assert all(response.headers[name] == value for name, value in HEADERS.items())
    return str(sentence)


def test_a_drawing_is_read_as_predict_reads_the_same_picture(client: TestClient, tmp_path: Path) -> None:
    for text in STROKES:
        drawn(text).save(tmp_path / f"{text}.png")
    pictures = [f"{text}.png" for text in STROKES]
    said = run_cli("predict", "--run", "pretrained", "--json", *pictures, cwd=tmp_path).json
    for text, prediction in zip(STROKES, said, strict=True):
        answer = client.post("/api/drawing", content=drawn(text).tobytes(), headers=PIXELS).json()
        assert answer["text"] == text
        for ours, theirs in zip(answer["digits"], prediction.get("digits", [prediction]), strict=True):
            assert ours["name"] == theirs["name"]
            np.testing.assert_allclose(ours["probabilities"], theirs["probabilities"], atol=1e-6)


def test_the_page_and_its_parts_are_served_and_load_nothing_else(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name, value in HEADERS.items():
        assert page.headers[name] == value
    parts = ["draw.js", "draw.css", "icon.svg"]
    for part in parts:
        assert f'"{part}"' in page.text
        content = client.get(f"/{part}")
        assert content.status_code == 200
        assert not re.search(r"https?:(?!//www.w3.org/2000/svg)|url\(|@?import\b", content.text)
    assert "style=" not in page.text
    assert "http" not in page.text


def test_the_network_is_described(client: TestClient) -> None:
    network = client.get("/api/network").json()
    assert network["run"] == "pretrained"
    assert network["classes"] == list("0123456789")
    assert network["drawing_shape"] == [SIDE, SIDE]
    assert [(layer["name"], layer["maps"], layer["height"]) for layer in network["layers"]] == [
        ("conv1", 16, 14),
        ("conv2", 36, 7),
    ]
    assert network["tests"] == {"dataset": "mnist5k", "count": len(TESTS.test), "seen_in_training": True}


def test_a_test_image_comes_with_its_label_and_the_layers_outputs(client: TestClient) -> None:
    answer = client.get("/api/test-images/13").json()
    image = TESTS.test.images[13]
    (digit,) = answer["digits"]
    assert answer["label"] == TESTS.test.labels[13]
    assert base64.b64decode(digit["image"]) == image.tobytes()
    network = READER.run.load_network()
    for layer, maps in digit["maps"].items():
        outputs = np.moveaxis(layer_outputs(network, layer, image[None])[0], -1, 0)
        low, high = (extreme(axis=(1, 2), keepdims=True) for extreme in (outputs.min, outputs.max))
        expected = 255 * (outputs - low) / np.maximum(high - low, 1e-12)
        shown = np.frombuffer(base64.b64decode(maps), np.uint8).reshape(outputs.shape)
        assert np.abs(shown - expected).max() < 0.6


@pytest.mark.parametrize("number", [str(len(TESTS.test)), "-1", "x", "1e1", "9" * 5000, "%00", "0x1", "٣", "1/2"])
def test_no_other_test_images(client: TestClient, number: str) -> None:
    assert error(client.get(f"/api/test-images/{number}"))


def test_without_test_images_the_page_has_none() -> None:
    client = TestClient(build_app(READER, None), base_url=ORIGIN)
    assert client.get("/api/network").json()["tests"] is None
    assert error(client.get("/api/test-images/0")) == "There is no such test image."


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"Host": "localhost:2828"}, True),
        ({"Host": "LOCALHOST:1", "Origin": "http://localhost:1"}, True),  # through a tunnel
        ({"Origin": ORIGIN}, True),
        ({"Host": "attacker.example:2828"}, False),
        ({"Host": "127.0.0.1.attacker.example"}, False),
        ({"Host": "localhost@attacker.example"}, False),
        ({"Host": ""}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://attacker.example"}, False),
        ({"Origin": "http://127.0.0.1:8000"}, False),
        ({"Origin": "https://127.0.0.1:2828"}, False),
        ({"Origin": "http://localhost:2828"}, False),
    ],
)
def test_only_its_own_page_may_ask(client: TestClient, headers: dict[str, str], is_ours: bool) -> None:
    for response in (
        client.get("/", headers=headers),
        client.get("/api/test-images/0", headers=headers),
        client.post("/api/drawing", content=drawn("1").tobytes(), headers=PIXELS | headers),
    ):
        if is_ours:
            assert response.status_code == 200
        else:
            assert response.status_code == 403
            assert error(response).startswith("Only the page of this program")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/../app.py", 404),
        ("GET", "/%2e%2e/app.py", 404),
        ("GET", "/%00", 404),
        ("GET", "/" + "a" * 10_000, 404),
        ("POST", "/", 405),
        ("GET", "/api/drawing", 405),
        ("PUT", "/api/drawing", 405),
        ("DELETE", "/api/network", 405),
        ("OPTIONS", "/api/drawing", 405),
    ],
)
def test_other_paths_and_methods_are_refused(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert error(response)


def test_a_drawing_has_its_size_and_type(client: TestClient) -> None:
    def status(content: Any, **headers: str) -> int:
        response = client.post("/api/drawing", content=content, headers=PIXELS | headers)
        assert error(response)
        return int(response.status_code)

    blank = b"\xff" * SIDE**2
    assert status(blank) == 422
    assert status(b"") == 400
    assert status(blank[1:]) == 400
    assert status(blank + b"\xff") == 413
    assert status(blank for _ in range(20)) == 413
    assert status(blank, **{"Content-Type": "image/png"}) == 415
    assert status(blank, **{"Content-Type": "text/plain"}) == 415


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shades=st.integers(1, 256),
    share=st.floats(0, 1),
    size=st.sampled_from([SIDE**2] * 8 + [0, 1, SIDE, SIDE**2 - 1, SIDE**2 + 1]),
)
def test_nonsense_is_answered_and_survived(seed: int, shades: int, share: float, size: int) -> None:
    client = TestClient(build_app(READER, TESTS), base_url=ORIGIN, raise_server_exceptions=False)
    random = np.random.default_rng(seed)
    pixels = np.where(random.random(size) < share, random.integers(0, shades, size), 255).astype(np.uint8)
    response = client.post("/api/drawing", content=pixels.tobytes(), headers=PIXELS)
    if response.status_code == 200:
        for digit in response.json()["digits"]:
            assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-4)
    else:
        assert error(response)


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "PATCH", "TRACE", "NONSENSE"]),
    path=st.text(st.characters(codec="utf-8"), max_size=60),
    content=st.binary(max_size=100),
    header=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)
def test_nonsense_requests_are_answered(method: str, path: str, content: bytes, header: str) -> None:
    client = TestClient(build_app(READER, None), base_url=ORIGIN, raise_server_exceptions=False)
    headers = {"Content-Type": header, "Range": header, "If-Modified-Since": header, "Accept": header}
    response = client.request(method, f"/{quote(path)}", content=content, headers=headers)
    assert response.status_code < 500


def test_other_networks_have_their_own_classes_and_shapes(tmp_path: Path) -> None:
    zeros = np.zeros((4, 20, 12), np.uint8)
    split = Split(zeros, np.array([0, 1, 0, 1], np.uint8))
    dataset = replace(TESTS, name="signs", class_names=("bar", "cross"), train=split, validation=split, test=split)
    recipe = load_recipe("tutorial", {"model.convolutions": [{"filters": 70}]})
    run = create_run(tmp_path, "signs", recipe, dataset)
    save_model(build_model(recipe.model, (20, 12), 2), run.model_file)
    reader = Reader(run)
    client = TestClient(build_app(reader, None), base_url=ORIGIN)
    network = client.get("/api/network").json()
    height, width = network["drawing_shape"]
    assert network["classes"] == ["bar", "cross"]
    assert network["image_shape"] == [20, 12]
    assert (height % 20, width % 12, height * 12) == (0, 0, width * 20)
    (layer,) = network["layers"]
    assert (layer["name"], layer["height"], layer["width"]) == ("conv1", 10, 6)
    assert (layer["maps"], layer["filters"]) == (64, 70)
    drawing = np.full((height, width), 255, np.uint8)
    drawing[20:-20, width // 2 : width // 2 + 12] = 0
    (digit,) = client.post("/api/drawing", content=drawing.tobytes(), headers=PIXELS).json()["digits"]
    assert digit["name"] in ("bar", "cross")
    assert len(base64.b64decode(digit["image"])) == 20 * 12
    assert len(base64.b64decode(digit["maps"]["conv1"])) == 64 * 10 * 6
