"""Make the pictures of the pages for the documentation, in a real browser: a drawn digit, or the top of a report.

python scripts/record_page.py --run pretrained docs/draw.png
"""

import argparse
import io
import math
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.pages import opened

SIZE = {"width": 1440, "height": 1180}
# The digit 3 as two arcs.
POINTS = [
    (0.5 - 0.17 * math.sin(turn), 0.35 - 0.15 * math.cos(turn)) for turn in (0.9 - step / 8 for step in range(32))
]
POINTS += [
    (0.48 - 0.21 * math.sin(turn), 0.66 - 0.17 * math.cos(turn))
    for turn in (-0.1 - step / 8 for step in range(32))
]


def draw(page: Page) -> None:
    box = page.locator("#surface").bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in POINTS]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places:
        page.mouse.move(*place)
    page.mouse.up()
    canvas = page.locator("#layers canvas").first
    canvas.click(position={"x": 25, "y": 22})
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="pretrained")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    command = "report" if options.report else "draw"
    with opened(options.run, command, viewport=SIZE, color_scheme="light") as page:
        if not options.report:
            draw(page)
        picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(64).save(options.output, optimize=True)


main()
