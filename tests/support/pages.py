"""A page of the program in a real browser, from its file; the benchmarks and scripts use it, too."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    FLAGS.append("--no-sandbox")  # Chromium has none for root
# Every element, rule and function that loads or stores something.
LOADING = re.compile(
    r"""<(?:link|script|img|iframe|object|embed|audio|video|source|use|image)\b[^>]*?\s(?:src|href|data)\s*=\s*["']?
    (?!data:|\#)[^"'>\s]|url\(\s*["']?(?!data:|\#)|@import|\bimport\s*\(|\bfetch\s*\(|XMLHttpRequest|WebSocket|
    EventSource|sendBeacon|localStorage|sessionStorage|indexedDB|document\.cookie""",
    re.VERBOSE | re.IGNORECASE,
)


def outside(page: str) -> list[str]:
    """What a page would load from outside of itself, or store."""
    return [found.group() for found in LOADING.finditer(page)]


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """A browser; a test skips without one."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here; Debian's package is called chromium")
    from playwright.sync_api import sync_playwright  # the tests that need no browser work without it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def visited(browser: Any, file: Path, **options: Any) -> Iterator[Any]:
    """A page, in a context with these options, which must neither fail nor ask for anything outside of itself."""
    context = browser.new_context(**options)
    page = context.new_page()
    wrong: list[str] = []
    own = file.absolute().as_uri()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(own)
    page.evaluate("cnnmnist.tests")
    yield page
    context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith((own, "data:"))] == []


@contextlib.contextmanager
def opened(run: str, command: str = "draw", **options: Any) -> Iterator[Any]:
    """The page that a command writes for a run, in a browser context with these options."""
    with tempfile.TemporaryDirectory() as folder, started() as browser:
        file = Path(folder, "page.html")
        arguments = [command, run, "--no-open", "--output", str(file), "--quiet"]
        subprocess.run([sys.executable, "-m", "cnnmnist", *arguments], check=True)
        with visited(browser, file, **options) as page:
            yield page
