"""The page of ``cnnmnist draw``, started as a user starts it; the benchmarks and scripts use it, too."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@contextlib.contextmanager
def served(*arguments: str, folder: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command on a free port, ended by an interrupt, and the address that it prints when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnmnist", "draw", "--no-open", "--port", "0", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line.startswith("Draw at http://127.0.0.1:"):
            process.kill()
            raise AssertionError((line, process.communicate()))
        yield process, line.split()[2]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate()


@contextlib.contextmanager
def opened(run: str, **options: Any) -> Iterator[Any]:
    """The page with the network of a run, in a browser context with these options."""
    from playwright.sync_api import sync_playwright  # the tests that need no browser work without it

    with served("--run", run) as (_, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(**options)
        page.goto(address)
        page.locator("#bars li").first.wait_for()
        yield page
        browser.close()
