"""Measure the time from a movement of the pen to the answer on the page of `cnnmnist draw`, in a real browser.

The script draws digits at the speed of a pen in headless Chromium. The page measures the time from the oldest
movement that an answer includes until the browser shows the answer.

    python benchmarks/pen_to_answer.py --digits 30
"""

import argparse
import math
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Page

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.pages import opened

POINTS = 40  # per digit
PACE = 12  # milliseconds between two points
SHAPES = (
    lambda t: (0.25 + 1.1 * t, 0.22) if t < 0.4 else (0.69 - 0.4 * (t - 0.4), 0.22 + (t - 0.4)),
    lambda t: (0.5 - 0.05 * t, 0.2 + 0.6 * t),
    lambda t: (0.5 - 0.2 * math.sin(math.tau * t), 0.5 - 0.3 * math.cos(math.tau * t)),
)


def draw(page: Page, number: int) -> None:
    box = page.locator("#surface").bounding_box()
    assert box
    for point in range(POINTS + 1):
        x, y = SHAPES[number % len(SHAPES)](point / POINTS)
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not point:
            page.mouse.down()
        page.wait_for_timeout(PACE)
    page.mouse.up()
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Clear").click()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=int, default=30)
    parser.add_argument("--run", default="pretrained")
    options = parser.parse_args()
    with opened(options.run, viewport={"width": 1440, "height": 900}) as page:
        for number in range(options.digits):
            draw(page, number)
        times = page.evaluate("performance.getEntriesByName('pen to answer').map(entry => entry.duration)")
    percentile = statistics.quantiles(times, n=20)[-1]
    print(f"{options.digits} digits, {len(times)} answers: median {statistics.median(times):.0f} ms, ", end="")
    print(f"95th percentile {percentile:.0f} ms, longest {max(times):.0f} ms")


main()
