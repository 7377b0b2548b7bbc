"""Make the picture of the page of `cnnmnist draw` for the README: a digit, drawn in a real browser.

python scripts/record_page.py --run pretrained docs/draw.png
"""

import argparse
import io
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1440, "height": 770}
FLAGS = ["--disable-gpu", "--no-first-run", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
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
    page.mouse.move(0, 0)
    page.locator("#said", has_text="sure").wait_for(state="attached")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="pretrained")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-m", "cnnmnist", "draw", "--no-open", "--port", "0", "--run", options.run],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        (address,) = re.findall(r"http://\S+", server.stdout.readline())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.goto(address)
            page.locator("#bars li").first.wait_for()
            draw(page)
            picture = Image.open(io.BytesIO(page.screenshot()))
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    picture.convert("RGB").quantize(64).save(options.output, optimize=True)


main()
