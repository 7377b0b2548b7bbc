"""A page that holds the network of a run, and computes it in the browser."""

import base64
import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from cnnmnist.data.loading import Dataset, Split
from cnnmnist.data.pictures import DARK
from cnnmnist.network import Network
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.run import Run

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("network.js", "prepare.js", "images.js", "inspect.js", "pen.js", "answer.js", "draw.js")
PARTS = (*SCRIPTS, "style.css", "draw.css")
TESTS = 100  # images on the page
LARGEST_ROUNDING = 5e-4  # of a probability, by which float16 may change an answer


def draw_page(run: Run, tests: Dataset | None) -> str:
    """Make the page on which a person draws and watches the network read.

    Args:
        run: a run with a trained network.
        tests: data set whose first test images the page offers; None for no test images.

    Returns:
        The HTML file, complete in itself.

    Raises:
        RunError: the run has no trained network, its file is damaged, or it computes no finite numbers.
    """
    return render("draw.html", PARTS, **content(run, run.load_network(), tests))


def content(run: Run, network: Network, tests: Dataset | None) -> dict[str, Any]:
    """Describe the network of a run for the template ``drawing.html``.

    The page holds the weights as float16, half as many bytes, unless that changes a probability of a test image by
    more than 0.0005 or a weight does not fit.
    """
    own = run.metadata.dataset
    samples = Split(tests.test.images[:TESTS], tests.test.labels[:TESTS]) if tests else None
    weights = [array for pair in network.weights.values() for array in pair]
    with np.errstate(over="ignore"):
        halves = [array.astype(np.float16) for array in weights]
    change = np.inf
    if all(np.isfinite(array).all() for array in halves):
        change = _change(run, network, halves, samples) if samples else 0.0
    type_ = "float16" if change <= LARGEST_ROUNDING else "float32"
    stored = halves if type_ == "float16" else weights
    little_endian = b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in stored)
    return {
        "run": run,
        "change": change,
        "network": {
            "image_shape": own.image_shape,
            "classes": own.class_names,
            "layers": [dataclasses.asdict(layer) for layer in network.layers],
            "type": type_,
            "numbers": _base64(little_endian),
            "temperature": network.temperature,
            "whole": own.preparation == "whole",
            "negated": own.background is not None and own.background < DARK,
            "tests": tests
            and samples
            and {
                "dataset": tests.name,
                "seen": run.has_seen(tests, "test"),
                "labels": samples.labels.tolist(),
                "sprite": sprite(samples.images, 10),
            },
        },
    }


def _change(run: Run, network: Network, halves: list[NDArray[np.float16]], samples: Split) -> float:
    """The largest difference that float16 makes to a probability of a test image."""
    classes = len(run.metadata.dataset.class_names)
    rounded = [array.astype(np.float32) for array in halves]
    other = Network(run.metadata.recipe.model, network.image_shape, classes, rounded)
    rows = [probabilities(predict_logits(each, samples.images), network.temperature) for each in (network, other)]
    return float(np.abs(rows[0] - rows[1]).max())


def sprite(images: NDArray[np.uint8], columns: int, bits: int = 8) -> str:
    """Lay images, uint8 (n, height, width), on a grid, as a PNG picture in a data URI.

    Args:
        images: n at least 1.
        columns: images in a row.
        bits: of a pixel, 4 or 8; with 4 there are 16 levels of grey, which suffice for looking.
    """
    count, height, width = images.shape
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width), np.uint8)
    cells[:count] = images if bits == 8 else np.rint(images / 17)
    grid = cells.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    picture = Image.fromarray(grid)
    if bits == 4:
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        picture.putpalette([17 * level for level in range(16) for _ in range(3)])
    return png(picture, bits=bits)


def png(picture: Image.Image, **options: Any) -> str:
    """A picture as PNG in a data URI."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, **options)
    return f"data:image/png;base64,{_base64(file.getvalue())}"


def render(template: str, parts: tuple[str, ...], **values: Any) -> str:
    """Fill a template; the page's policy allows exactly its own script and style, and pictures in the file."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    for kind in ("js", "css"):
        text = "".join((TEMPLATES / part).read_text("utf-8") for part in parts if part.endswith(kind))
        values |= {kind: text, f"{kind}_digest": _base64(hashlib.sha256(text.encode()).digest())}
    return environment.get_template(template).render(values)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
