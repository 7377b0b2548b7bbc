"""How a number is made: the page's explanation of a value is true, and keys and pointer choose the value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import run_cli
from support.pages import started, visited

pytestmark = pytest.mark.xdist_group("pages")

# The largest difference between a value and the sum of its parts, over all values of a layer.
DIFFERENCE = """group => {
    const {reading, pixels} = cnnmnist.draw([[[0.3, 0.2], [0.7, 0.2], [0.5, 0.8]]]).digits[0];
    const last = layersOf(group, reading, pixels).at(-1);
    const shape = last.output_shape;
    const [height, width, maps] = shape.length === 3 ? shape : [1, 1, shape[0]];
    let largest = 0;
    for (let map = 0; map < maps; map++) {
        for (let place = 0; place < height * width; place++) {
            const cell = {map, row: Math.floor(place / width), column: place % width};
            const {sum} = explain(group, cell, reading, pixels);
            const parts = sum.parts.reduce((total, part) => total + part.input * part.weight, sum.bias);
            const value = last.kind === "Activation" ? Math.max(0, parts) : parts;
            const made = last.outputs[place * maps + map];
            largest = Math.max(largest, Math.abs(value - made), Math.abs(sum.output - parts));
        }
    }
    return largest;
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("inspect")
    assert run_cli("draw", "pretrained", "--no-open", "-o", "draw.html", cwd=folder).status == 0
    with (
        started() as browser,
        visited(browser, folder / "draw.html", viewport={"width": 1440, "height": 900}) as page,
    ):
        yield page


@pytest.mark.parametrize("group", ["conv1", "conv2", "fc1", "logits"])
def test_the_parts_of_every_value_make_it(page: Any, group: str) -> None:
    assert page.evaluate(DIFFERENCE, group) < 1e-4


def test_keys_and_pointer_choose_a_value(page: Any) -> None:
    canvases = page.locator("#layers canvas")
    about = page.locator("#how-about")
    canvases.nth(1).focus()
    assert about.inner_text() == "conv2, map 0, row 0, column 0"
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Shift+ArrowRight"):
        page.keyboard.press(key)
    assert about.inner_text() == "conv2, map 1, row 1, column 2"
    steps = page.locator("#how-steps li")
    assert [text.split()[0] for text in steps.all_inner_texts()] == ["The", "The", "ReLU,"]
    assert page.locator("#how-parts option").count() == 16
    assert page.locator("#how-parts .numbers td").count() == 75
    canvases.nth(3).click()
    assert about.inner_text().startswith("the logit of")
    assert page.locator("#how-parts .parts tbody tr").count() == 13  # ten, the others, the bias, and all together
    canvases.nth(0).hover()
    assert about.inner_text().startswith("the logit of")  # a click keeps it
