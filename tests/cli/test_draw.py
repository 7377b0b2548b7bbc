"""``cnnmnist draw`` as a user starts it, and the page in a real browser."""

import json
import math
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli
from support.pages import CHROMIUM, FLAGS, served

pytestmark = pytest.mark.xdist_group("draw")  # one server for all of them

PROMPTLY = 5.0  # seconds
NOTHING = "\N{EN DASH}"
STROKES = {
    "7": [[(0.25, 0.22), (0.72, 0.22), (0.5, 0.5), (0.4, 0.8)]],
    "1": [[(0.5, 0.2), (0.48, 0.8)]],
    "0": [[(0.5 + 0.2 * math.sin(turn / 3), 0.5 - 0.3 * math.cos(turn / 3)) for turn in range(20)]],
}


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=PROMPTLY).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(folder=tmp_path_factory.mktemp("draw")) as (process, address):
        yield address
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PROMPTLY
        while answers(address):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert out == ""
        # Other versions than those of the run are worth a warning, and no error here.
        words = [
            line for line in err.splitlines() if not line.startswith("Warning: the run handwriting was made with")
        ]
        assert words == ["Using the run handwriting.", "Interrupted."]


def test_it_answers_on_the_loopback_address_alone(address: str) -> None:
    network = json.load(urllib.request.urlopen(f"{address}api/network", timeout=20))
    assert network["run"] == "handwriting"
    assert network["tests"]["dataset"] == "mnist5k"  # MNIST itself is not here, and is not downloaded
    port = int(address.rstrip("/").rpartition(":")[2])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def test_what_is_not_http_is_survived(address: str) -> None:
    place = ("127.0.0.1", int(address.rstrip("/").rpartition(":")[2]))
    for nonsense in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0" * 100_000,
        b"POST /api/drawing\r\n",
    ):
        with socket.create_connection(place, timeout=20) as connection:
            try:
                connection.sendall(nonsense)
                connection.shutdown(socket.SHUT_WR)
                assert b"200 OK" not in connection.recv(4096)
            except OSError:  # it hung up before all was sent
                pass
    with socket.create_connection(place, timeout=20) as connection:  # gone in the middle of a drawing
        headers = "Host: localhost", "Content-Type: application/octet-stream", "Content-Length: 38416", "", ""
        connection.sendall("\r\n".join(("POST /api/drawing HTTP/1.1", *headers)).encode() + b"\xff" * 1000)
    with urllib.request.urlopen(address, timeout=20) as page:
        assert page.status == 200


def test_a_port_that_is_taken_is_one_sentence(cli: Cli) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = cli("draw", "--no-open", "--port", port)
    assert result.status == 1
    (_, sentence) = result.err.splitlines()
    assert (
        sentence == f"Error: Cannot listen on port {port}: Address already in use; choose another one with --port."
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--port", "70000"], 2, "70000 is not in the range"),
        (["--run", "nothing"], 1, "There is no run 'nothing'"),
        (["--port", "0", "--data-dir", "nothing"], 1, "nothing"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(cli: Cli, arguments: list[str], status: int, message: str) -> None:
    result = cli("draw", "--no-open", *arguments)
    assert result.status == status
    assert message in result.err
    assert result.out == ""


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['uvicorn'] = None; from cnnmnist.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "draw"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'cnnmnist[draw]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here; Debian's package is called chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Security" in message.text else None)
    page.on("request", lambda request: None if request.url.startswith(address) else wrong.append(request.url))
    page.goto(address)
    page.locator("#bars li").first.wait_for()
    yield page
    context.close()
    assert wrong == []


def draw(page: Any, text: str) -> None:
    box = page.locator("#surface").bounding_box()
    for stroke in STROKES[text]:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=4)
        page.mouse.up()


def wait_for_answer(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('text').textContent === text", arg=text)


def painted(page: Any, selector: str) -> int:
    """Different pixels of a canvas."""
    script = """canvas => new Set(new Uint32Array(
        canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    return int(page.locator(selector).evaluate(script))


def test_a_seven_a_one_and_a_zero_are_read_while_they_are_drawn(page: Any) -> None:
    assert page.locator("#hint").is_visible()
    for text in STROKES:
        draw(page, text)
        wait_for_answer(page, text)
        row = page.locator("#bars li").nth(int(text))
        assert "first" in row.get_attribute("class")
        assert float(row.locator(".value").inner_text().removesuffix(" %")) > 50
        assert painted(page, "#images canvas") > 5
        assert all(painted(page, f"figure:nth-child({number}) canvas") > 20 for number in (1, 2))
        page.get_by_role("button", name="Clear").click()
        wait_for_answer(page, NOTHING)
        assert painted(page, "#paper") == 1
    measured = page.evaluate("performance.getEntriesByName('pen to answer').length")
    assert measured > len(STROKES)  # not only at the ends of the strokes


def test_two_digits_are_a_number_and_each_can_be_looked_at(page: Any) -> None:
    box = page.locator("#surface").bounding_box()
    for left in (0.25, 0.75):
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 0.8 * box["height"], steps=5)
        page.mouse.up()
    wait_for_answer(page, "11")
    images = page.locator("#images button")
    assert [each.get_attribute("aria-pressed") for each in images.all()] == ["false", "true"]
    images.first.click()
    assert images.first.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Undo").click()
    wait_for_answer(page, "1")


def test_a_finger_and_the_keyboard_draw_too(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(address)
    page.locator("#bars li").first.wait_for()
    box = page.locator("#surface").bounding_box()
    touch = context.new_cdp_session(page)
    for kind, y in (
        ("touchStart", 0.2),
        *(("touchMove", 0.2 + step / 20) for step in range(13)),
        ("touchEnd", None),
    ):
        points = [] if y is None else [{"x": box["x"] + box["width"] / 2, "y": box["y"] + y * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    wait_for_answer(page, "1")
    assert page.evaluate("scrollY") == 0

    page.locator("#surface").focus()
    page.keyboard.press("Delete")
    wait_for_answer(page, NOTHING)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    wait_for_answer(page, "1")
    page.locator("#said", has_text="1, ").wait_for(state="attached")  # once it stands, it is said
    page.keyboard.press("Control+z")
    wait_for_answer(page, NOTHING)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_a_test_image_is_loaded_by_its_number(page: Any) -> None:
    page.get_by_label("Test image").fill("13")
    page.get_by_role("button", name="Show").click()
    page.wait_for_function("() => /right|wrong/.test(document.getElementById('detail').textContent)")
    assert painted(page, "#paper") > 20
    assert not page.locator("#hint").is_visible()
    page.get_by_label("Test image").fill("123456")
    page.get_by_role("button", name="Show").click()
    assert page.evaluate("document.getElementById('number').matches(':invalid')")


def test_light_and_dark_differ(page: Any) -> None:
    colors = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colors.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colors[0] != colors[1]
