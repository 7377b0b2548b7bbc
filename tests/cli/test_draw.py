"""``cnnmnist draw`` as a user starts it, and its page as a user uses it."""

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, run_cli
from support.pages import started, visited

pytestmark = pytest.mark.xdist_group("pages")

NOTHING = "\N{EN DASH}"
STROKES = {
    "7": [[(0.25, 0.22), (0.72, 0.22), (0.5, 0.5), (0.4, 0.8)]],
    "1": [[(0.5, 0.2), (0.48, 0.8)]],
    "0": [[(0.5 + 0.2 * math.sin(turn / 3), 0.5 - 0.3 * math.cos(turn / 3)) for turn in range(20)]],
}


def test_the_page_is_written_into_the_run(trained: tuple[Path, Any], cli: Cli) -> None:
    result = run_cli("draw", "--no-open", "--json", cwd=trained[0])
    assert result.status == 0
    file = trained[0] / result.json["file"]
    assert file == next((trained[0] / "runs").iterdir()) / "draw.html"
    assert file.parent == trained[0] / result.json["run"]


def test_a_run_that_ships_has_its_page_in_the_runs_directory(cli: Cli, tmp_path: Path) -> None:
    result = cli("draw", "--no-open")
    assert result.out == "Page: runs/handwriting/draw.html\n"
    assert "Using the run handwriting." in result.err
    assert (tmp_path / "runs/handwriting/draw.html").is_file()
    assert cli("draw", "pretrained", "--no-open", "-o", "new/mine.html").status == 0
    assert (tmp_path / "new/mine.html").is_file()


def test_a_browser_opens_the_file_or_a_sentence_says_how(cli: Cli, tmp_path: Path) -> None:
    nothing = cli("draw", "-o", "a.html", DISPLAY="", WAYLAND_DISPLAY="")
    assert nothing.status == 0
    assert "python -m http.server --bind 127.0.0.1" in nothing.err
    program = tmp_path / "bin/xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    shown = cli("draw", "-o", "a.html", DISPLAY=":9", PATH=path)
    assert "http.server" not in shown.err
    for _ in range(100):
        if (tmp_path / "opened").is_file() and (tmp_path / "opened").read_text():
            break
        __import__("time").sleep(0.05)
    assert (tmp_path / "opened").read_text() == "a.html"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing"], 1, "There is no run 'nothing'"),
        (["--data-dir", "nothing"], 1, "nothing"),
        (["-o", "file/page.html"], 1, "Cannot write file/page.html"),
        (["--port", "1"], 2, "No such option"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(
    cli: Cli, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    result = cli("draw", "--no-open", *arguments)
    assert result.status == status
    assert message in result.err
    assert result.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draw")
    assert run_cli("draw", "pretrained", "--no-open", "-o", "draw.html", cwd=folder).status == 0
    return folder / "draw.html"


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    with visited(browser, file, viewport={"width": 1440, "height": 900}) as page:
        yield page


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
        assert all(painted(page, f"#layers figure:nth-child({number}) canvas") > 20 for number in (1, 2))
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


def test_a_finger_and_the_keyboard_draw_too(browser: Any, file: Path) -> None:
    size = {"width": 390, "height": 844}
    with visited(browser, file, viewport=size, has_touch=True, is_mobile=True) as page:
        box = page.locator("#surface").bounding_box()
        touch = page.context.new_cdp_session(page)
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


def test_a_test_image_is_loaded_by_its_number_and_can_be_drawn_on(page: Any) -> None:
    page.get_by_label("Test image").fill("13")
    page.get_by_role("button", name="Show").click()
    page.wait_for_function("() => /right|wrong/.test(document.getElementById('detail').textContent)")
    assert painted(page, "#paper") > 20
    assert not page.locator("#hint").is_visible()
    before = page.locator("#bars").inner_text()
    draw(page, "1")
    page.wait_for_function("() => !/right|wrong/.test(document.getElementById('detail').textContent)")
    assert page.locator("#bars").inner_text() != before
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("() => /right|wrong/.test(document.getElementById('detail').textContent)")
    assert page.locator("#bars").inner_text() == before
    page.get_by_label("Test image").fill("123456")
    page.get_by_role("button", name="Show").click()
    assert page.evaluate("document.getElementById('number').matches(':invalid')")


def test_light_and_dark_differ(page: Any) -> None:
    colors = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colors.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colors[0] != colors[1]
