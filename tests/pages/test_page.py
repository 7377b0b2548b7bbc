"""The page that holds a network: what is in the file, and what it computes in a real browser."""

import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.data.loading import Split, load_dataset
from cnnmnist.model import build_model
from cnnmnist.model_file import save_model
from cnnmnist.pages.page import draw_page
from cnnmnist.prediction import probabilities
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.run import Run
from cnnmnist.runs.store import create_run, load_run
from conftest import run_cli
from support.pages import outside, started, visited

pytestmark = pytest.mark.xdist_group("pages")

DATA = load_dataset("mnist5k")
DRAWINGS = json.loads((Path(__file__).parent / "drawings.json").read_text())
READ = "images => images.map(image => cnnmnist.read(Uint8Array.from(image)).probabilities)"
LAYERS = """images => images.map(image => Object.fromEntries(
    Object.entries(cnnmnist.read(Uint8Array.from(image)).layers).map(([name, values]) => [name, [...values]])))"""
DRAW = """strokes => {
    const {text, digits} = cnnmnist.draw(strokes);
    return {
        text, shown: document.getElementById("text").textContent, doubts: digits.map(({doubtful}) => doubtful),
        explained: getComputedStyle(document.getElementById("doubt")).visibility === "visible",
        images: digits.map(({pixels}) => [...pixels]),
    };
}"""
# Every kind of layer, in every order, with strides and odd sides.
MODELS = {
    "tutorial": ModelConfig(),
    "smallest": load_recipe("exercises/smallest").model,
    "no-pooling": load_recipe("exercises/no-pooling").model,
    "sigmoid-average-pooling": load_recipe("exercises/sigmoid-average-pooling").model,
    "mixed": ModelConfig(
        convolutions=[
            ConvLayer(filters=3, filter_size=4, stride=3, pooling="average", activation="tanh"),
            ConvLayer(filters=5, filter_size=2, pooling_first=False, activation="sigmoid"),
            ConvLayer(filters=2, filter_size=7, stride=2, pooling="none", activation="none"),
        ],
        dense=[7, 5],
        dense_activation="tanh",
        dropout=0.5,
        output_activation="relu",
    ),
    "linear": ModelConfig(convolutions=[], dense=[]),
}


def make_run(folder: Path, model: ModelConfig = MODELS["smallest"], data: Any = DATA, scale: float = 1.0) -> Any:
    """A run with initial weights, as Keras makes them, and its Keras model."""
    run = create_run(folder, None, load_recipe().model_copy(update={"model": model}), data)
    network = build_model(model, data.image_shape, len(data.class_names), seed=3)
    network.set_weights([scale * weights for weights in network.get_weights()])
    save_model(network, run.model_file)
    return run, network


def other_data(shape: tuple[int, int], names: tuple[str, ...], **changes: Any) -> Any:
    """A data set of noise with images of this shape and classes of these names."""
    random = np.random.default_rng(1)

    def split(count: int) -> Split:
        images = random.integers(0, 256, (count, *shape), np.uint8)
        return Split(images, (np.arange(count) % len(names)).astype(np.uint8))

    splits = {"train": split(200), "validation": split(9), "test": split(30)}
    return replace(DATA, name="other", digest="0" * 64, class_names=names, **splits, **changes)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pages") / "draw.html"
    file.write_text(draw_page(load_run("pretrained", file.parent), DATA), "utf-8")
    return file


def check_answers(browser: Any, run: Run, data: Any, file: Path, model: Any) -> None:
    """The page computes as Keras on the test images that it has, and on 200 more."""
    file.write_text(draw_page(run, data), "utf-8")
    images = np.concatenate([data.test.images[:100], data.train.images[:200]])
    with visited(browser, file) as page:
        tests = page.evaluate("cnnmnist.tests.then(tests => tests.map(pixels => [...pixels]))")
        read = page.evaluate(READ, images.reshape(len(images), -1).tolist())
    np.testing.assert_array_equal(np.array(tests, np.uint8), images[: len(tests)].reshape(len(tests), -1))
    answers = np.array(read)
    keras = probabilities(model(images[..., None].astype(np.float32) / 255).numpy(), run.metadata.temperature)
    np.testing.assert_allclose(answers, keras, atol=1e-3)
    top = np.sort(keras, axis=1)
    clear = top[:, -1] - top[:, -2] > 2e-3  # with initial weights, classes may be nearly as probable as each other
    np.testing.assert_array_equal(answers.argmax(1)[clear], keras.argmax(1)[clear])


@pytest.mark.parametrize("name", MODELS)
def test_the_page_computes_as_keras(browser: Any, tmp_path: Path, name: str) -> None:
    run, model = make_run(tmp_path / "runs", MODELS[name], scale=2.0)
    check_answers(browser, run, DATA, tmp_path / "draw.html", model)


@pytest.mark.parametrize(("shape", "classes"), [((28, 28), 12), ((9, 14), 3), ((31, 17), 100)])
def test_images_of_other_shapes_and_numbers_of_classes(
    browser: Any, tmp_path: Path, shape: tuple[int, int], classes: int
) -> None:
    data = other_data(
        shape, tuple(f"kind {number}" for number in range(classes)), from_pictures=True, preparation="whole"
    )
    run, model = make_run(tmp_path / "runs", MODELS["mixed"], data)
    run.metadata.temperature = 0.5
    check_answers(browser, run, data, tmp_path / "draw.html", model)


@pytest.mark.long
def test_a_network_of_fashion_mnist_answers_as_keras(browser: Any, tmp_path: Path) -> None:
    folder = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))  # of Debian's package
    if not folder.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed, and FASHION_MNIST is not set")
    training = run_cli("train", "--config", "fast", "--data-dir", folder, "--name", "run", cwd=tmp_path)
    assert training.status == 0, training.err
    run = load_run("run", tmp_path / "runs")
    data = run.load_dataset(data_dir=folder)
    assert data.name == "fashion-mnist"
    check_answers(browser, run, data, tmp_path / "draw.html", run.load_model())


def test_pretrained_has_every_layer_as_in_python(browser: Any, pretrained: Path) -> None:
    images = DATA.test.images[:20]
    outputs = load_run("pretrained", pretrained.parent).load_network().outputs(images)
    with visited(browser, pretrained) as page:
        read = page.evaluate(LAYERS, images.reshape(len(images), -1).tolist())
        told = page.evaluate("() => { try { cnnmnist.read(new Uint8Array(5)) } catch (e) { return e.message } }")
    assert told == "An image is a Uint8Array of 28 x 28 pixels."
    for name, last in {"conv1": "conv1_activation", "conv2": "conv2_activation", "logits": "logits"}.items():
        ours = np.array([each[last] for each in read])
        np.testing.assert_allclose(ours, outputs[name].reshape(len(images), -1), atol=0.02)
    assert [np.argmax(each["logits"]) for each in read] == outputs["logits"].argmax(1).tolist()


def test_weights_that_float16_would_spoil_stay_float32(browser: Any, tmp_path: Path) -> None:
    for scale in (50, 2e6):  # one changes probabilities, the other does not fit
        run, model = make_run(tmp_path / "runs", MODELS["linear"], scale=scale)
        assert "The weights are float32, as in the run." in draw_page(run, DATA)
        check_answers(browser, run, DATA, tmp_path / "a.html", model)


def painted(strokes: list[Any], side: int = 560, fine: int = 4) -> Image.Image:
    """A picture of a drawing, as a person would save it: black on white, with the page's width of strokes."""
    picture = Image.new("L", (side * fine, side * fine), 255)
    pen, radius = ImageDraw.Draw(picture), 0.035 * side * fine
    for stroke in strokes:
        points = [(x * side * fine, y * side * fine) for x, y in stroke]
        pen.line(points, fill=0, width=round(2 * radius), joint="curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return picture.reduce(fine)


def beside(numbers: tuple[int, int], gap: float, *between: Any) -> list[Any]:
    """Two of the drawings beside each other, and strokes between them."""
    strokes: list[Any] = [[[0.5 + x, 0.5 + y] for x, y in stroke] for stroke in between]
    for number, place in zip(numbers, (-1, 1), strict=True):
        own = [np.array(stroke) for stroke in DRAWINGS[number]["strokes"]]
        low, high = np.min([stroke.min(axis=0) for stroke in own], axis=0), np.max(np.concatenate(own), axis=0)
        edge = np.array([(high if place < 0 else low)[0], (low + high)[1] / 2])
        scale = 0.3 / (high - low)[1]
        strokes += [((stroke - edge) * scale + [0.5 + place * gap / 2, 0.5]).tolist() for stroke in own]
    return strokes


@pytest.fixture(scope="module")
def readings(
    browser: Any, pretrained: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Any, Any]]]:
    """What the page reads in drawings, and what ``predict`` reads in pictures of them."""
    single = [number for number, drawing in enumerate(DRAWINGS) if len(drawing["text"]) == 1]
    pairs = list(zip(single[:12], single[12:24], strict=True))
    minus, bow = [(-0.05, 0), (0.05, 0)], [(-0.05, 0.02), (0, 0), (0.05, 0.02)]
    drawings = {
        "recorded": [drawing["strokes"] for drawing in DRAWINGS],
        "touching": [beside(pair, 0.02) for pair in pairs],
        "signs": [beside(pair, 0.36, sign) for pair in pairs[:3] for sign in (minus, bow)],
    }
    folder = tmp_path_factory.mktemp("drawings")
    pictures = []
    for kind, each in drawings.items():
        for number, strokes in enumerate(each):
            pictures.append(folder / f"{kind}-{number}.png")
            painted(strokes).save(pictures[-1])
    predicted = iter(run_cli("predict", "--run", "pretrained", "--json", *pictures, cwd=folder).json)
    with visited(browser, pretrained) as page:
        return {
            kind: [(page.evaluate(DRAW, strokes), next(predicted)) for strokes in each]
            for kind, each in drawings.items()
        }


def test_drawings_are_read_as_predict_reads_their_pictures(readings: dict[str, list[tuple[Any, Any]]]) -> None:
    recorded = readings["recorded"]
    assert len(recorded) == 100
    same = [(page, predicted) for page, predicted in recorded if page["text"] == predicted["text"]]
    assert len(same) >= 98
    right = [page["text"] == drawing["text"] for (page, _), drawing in zip(recorded, DRAWINGS, strict=True)]
    assert sum(right) >= 96
    marks = [(page["doubts"], [digit["doubtful"] for digit in predicted["digits"]]) for page, predicted in same]
    assert all(ours >= theirs for page, predicted in marks for ours, theirs in zip(page, predicted, strict=True))
    assert sum(page == predicted for page, predicted in marks) >= 94  # the page also marks what is broad
    for page, _ in recorded:
        assert page["shown"].count("?") == sum(page["doubts"])
        assert page["explained"] == any(page["doubts"])


def test_digits_that_predict_splits_are_marked(readings: dict[str, list[tuple[Any, Any]]]) -> None:
    unsplit = [page for page, predicted in readings["touching"] if len(page["text"]) < len(predicted["text"])]
    assert len(unsplit) >= 3
    assert all(any(page["doubts"]) for page in unsplit)


def test_digits_beside_a_sign_are_marked(readings: dict[str, list[tuple[Any, Any]]]) -> None:
    for page, predicted in readings["signs"]:
        assert page["doubts"] == [digit["doubtful"] for digit in predicted["digits"]] == [True, True]
        assert page["explained"]


@pytest.mark.parametrize(
    ("strokes", "expected"),
    [
        ([[[0.3, 0.2], [0.3, 0.8]], [[0.7, 0.2], [0.7, 0.8]]], 2),
        ([[[0.2, 0.5], [0.8, 0.5]], [[0.5, 0.2], [0.5, 0.8]]], 1),  # a cross whose ends are far apart
        ([[[0.5, 0.1], [0.5, 0.35]], [[0.5, 0.6], [0.5, 0.9]]], 2),  # two lines
        ([[[0.3, 0.2], [0.3, 0.8]], [[0.6, 0.5]]], 1),  # a dot is no digit
        ([[[0.5, 0.5]]], 1),  # unless it is alone
        ([[[0.3, 0.3], [0.3, 0.3], [0.3, 0.3]]], 1),
        ([[[0.0, 0.0], [1.0, 1.0]]], 1),
    ],
)
def test_strokes_become_digits(browser: Any, pretrained: Path, strokes: list[Any], expected: int) -> None:
    with visited(browser, pretrained) as page:
        images = page.evaluate(DRAW, strokes)["images"]
    assert len(images) == expected
    for image in images:
        pixels = np.array(image, np.float64).reshape(28, 28)
        center = [(pixels.sum(1 - axis) * (np.arange(28) + 0.5)).sum() / pixels.sum() for axis in (0, 1)]
        assert all(12.9 <= place <= 15.1 for place in center)
        assert max(np.ptp(np.nonzero(pixels)[axis]) + 1 for axis in (0, 1)) in (18, 19, 20)


def test_a_network_of_pictures_gets_the_drawing_as_a_whole(browser: Any, tmp_path: Path) -> None:
    run, _ = make_run(
        tmp_path / "runs", data=other_data((14, 28), ("left", "right"), from_pictures=True, preparation="whole")
    )
    (tmp_path / "draw.html").write_text(draw_page(run, None), "utf-8")
    with visited(browser, tmp_path / "draw.html") as page:
        (image,) = page.evaluate(DRAW, [[[0.5, 0.5], [0.5, 0.9]]])["images"]
        assert page.locator("#test").is_hidden()
    pixels = np.array(image).reshape(14, 28)
    assert (pixels[0] == 255).all()
    assert (pixels[:, 9:] == 255).all()
    assert pixels[8:12, 6:8].max() < 255


def test_the_test_of_what_a_page_loads_finds_it() -> None:
    for bad in (
        '<link href="a.css">',
        "<img src=https://a/b>",
        "url(b.png)",
        "fetch('x')",
        '<use href="a.svg#b">',
    ):
        assert outside(bad), bad
    assert not outside('<a href="https://arxiv.org/abs/2103.14749"> <img src="data:x"> <use href="#sprite">')


def test_the_file_loads_and_stores_nothing_and_names_no_place(pretrained: Path) -> None:
    page = pretrained.read_text("utf-8")
    assert pretrained.stat().st_size <= 900_000
    assert outside(page) == []
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page.split("<script")[0])
    names = {str(Path.home()), str(Path.cwd()), socket.gethostname(), os.environ.get("USER", "root")}
    assert not [name for name in names if len(name) > 4 and name in page]


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", "<!--<script>", "a\u2028b'\"&amp;", "{{ 1 }}"]
)
def test_names_of_a_stranger_stay_text(browser: Any, tmp_path: Path, name: str) -> None:
    run, _ = make_run(tmp_path / "runs", data=replace(other_data((12, 12), (name, "b")), name=name[:50]))
    (tmp_path / "draw.html").write_text(draw_page(run, None), "utf-8")
    with visited(browser, tmp_path / "draw.html") as page:
        assert page.evaluate("JSON.parse(document.getElementById('network').textContent).classes") == [name, "b"]
        assert page.locator("#bars .name").first.text_content() == name
        assert page.locator("script").count() == 2
