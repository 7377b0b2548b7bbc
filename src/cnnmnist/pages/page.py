"""A page that holds the network of a run, and computes it in the browser."""

import base64
import copy
import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from cnnmnist.data.loading import Dataset
from cnnmnist.data.pictures import DARK
from cnnmnist.network import Network
from cnnmnist.prediction import layer_outputs, predict_logits, probabilities
from cnnmnist.runs.run import Run

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("network", "prepare", "images", "inspect", "pen", "answer", "doubt", "draw")
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
    return render("draw.html", SCRIPTS, ("style", "draw"), **content(run, run.load_network(), tests))


def content(run: Run, network: Network, tests: Dataset | None) -> dict[str, Any]:
    """Describe the network of a run for the template ``drawing.html``.

    The page holds the weights as float16, half as many bytes, unless that changes a probability of a test image by
    more than 0.0005 or a weight does not fit.
    """
    own = run.metadata.dataset
    images = tests.test.images[:TESTS] if tests else np.zeros((1, *network.image_shape), np.uint8)
    halved = copy.copy(network)
    with np.errstate(over="ignore", invalid="ignore"):  # of a weight that does not fit
        halved.weights = {
            name: (kernel.astype(np.float16), bias.astype(np.float16))
            for name, (kernel, bias) in network.weights.items()
        }
        rounded = layer_outputs(halved, "logits", images)
        logits = predict_logits(network, images), rounded
        rows = [probabilities(each, network.temperature) for each in logits]
        change = float(np.abs(rows[0] - rows[1]).max())
    type_, stored = ("float16", halved) if change <= LARGEST_ROUNDING else ("float32", network)
    arrays = [array for pair in stored.weights.values() for array in pair]
    return {
        "run": run,
        "change": change,
        "network": {
            "image_shape": own.image_shape,
            "classes": own.class_names,
            "layers": [dataclasses.asdict(layer) for layer in network.layers],
            "type": type_,
            "numbers": _base64(
                b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
            ),
            "temperature": network.temperature,
            "whole": own.preparation == "whole",
            "negated": own.background is not None and own.background < DARK,
            "tests": tests
            and {
                "dataset": tests.name,
                "seen": run.has_seen(tests, "test"),
                "labels": tests.test.labels[:TESTS].tolist(),
                "sprite": sprite(images, 10),
            },
        },
    }


def sprite(images: NDArray[np.uint8], columns: int) -> str:
    """Lay images, uint8 (n, height, width), on a grid with this many in a row, as a PNG picture in a data URI."""
    count, height, width = images.shape
    cells = np.pad(images, [(0, -count % columns), (0, 0), (0, 0)])
    return png(cells.reshape(-1, columns, height, width).swapaxes(1, 2).reshape(-1, columns * width))


def png(pixels: NDArray[np.uint8]) -> str:
    """A picture, uint8 (height, width) or (height, width, 3), as PNG in a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{_base64(file.getvalue())}"


def render(template: str, scripts: tuple[str, ...], styles: tuple[str, ...], **values: Any) -> str:
    """Fill a template; the page's policy allows exactly its own script and style, and pictures in the file."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    for kind, names in {"js": scripts, "css": styles}.items():
        text = "".join((TEMPLATES / f"{name}.{kind}").read_text("utf-8") for name in names)
        values |= {kind: text, f"{kind}_digest": _base64(hashlib.sha256(text.encode()).digest())}
    return environment.get_template(template).render(values)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
