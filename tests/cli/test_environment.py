"""Odd environments: closed streams, other encodings, narrow terminals, users without a home, other settings."""

import contextlib
import importlib.util
import io
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cnnmnist.cli.progress import download_bar, progress_bar
from cnnmnist.cli.terminal import Terminal
from cnnmnist.recipes import load_recipe
from conftest import SMALL, Cli, command, only_run
from support import processes

pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals, and starts programs in another way")

QUICK = ["train", *SMALL, "--dataset", "mnist5k", "--iterations", 201]
NOBODY = "import os, pwd, sys\ndef nobody(user): raise KeyError(user)\npwd.getpwuid = nobody\n"
RUN = "from cnnmnist.cli import main\nmain()"


def python(script: str, *arguments: object, cwd: Path, **environment: str | None) -> Any:
    given = {name: value for name, value in (os.environ | environment).items() if value is not None}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=cwd, env=given, capture_output=True, check=False
    )


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("name", ["日本", "Zürich…", "数字/ελ"])
def test_what_a_stream_cannot_encode_is_shown_as_an_escape(tmp_path: Path, encoding: str, name: str) -> None:
    done = python(RUN, "runs", "--runs-dir", name, cwd=tmp_path, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    shown = f"There is no run in {name}:".encode(encoding, errors="backslashreplace")
    assert done.stdout.startswith(shown)
    listed = python(RUN, "recipes", cwd=tmp_path, PYTHONIOENCODING=encoding, COLUMNS="40")
    assert (listed.returncode, listed.stderr) == (0, b"")


@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]])
def test_a_closed_stream_ends_nothing_and_no_file_becomes_it(tmp_path: Path, closed: list[int]) -> None:
    redirected = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    words = [sys.executable, "-m", "cnnmnist", "summary", "tutorial", "--output", "network.png", "--json"]
    shell = ["sh", "-c", f'"$@" {redirected}', "sh", *words]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done
    assert done.stderr == b"" or 2 not in closed
    assert bool(done.stdout) == (1 not in closed)
    assert (tmp_path / "network.png").read_bytes().startswith(b"\x89PNG")


def test_a_user_without_a_home_with_settings_of_keras_and_a_closed_standard_error_trains(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "float8", "nnx_enabled": true}')
    done = python(
        f"{NOBODY}os.close(2)\nsys.stderr = None\n{RUN}", "train", *SMALL, "--iterations", 2, cwd=tmp_path,
        HOME=None, XDG_CACHE_HOME=None, KERAS_HOME=str(tmp_path), KERAS_NNX_ENABLED="true", KERAS_MAX_EPOCHS="x",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"data: mnist5k" in done.stdout
    assert b"Run: runs/" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keras.json", "runs"]


@pytest.mark.parametrize(
    ("arguments", "status"), [(["data", "list"], 0), (["data", "fetch", "kmnist"], 1), (["data", "info"], 0)]
)
@pytest.mark.parametrize("cache", [None, "here"])
def test_a_user_without_a_home_gets_sentences(
    tmp_path: Path, arguments: list[str], status: int, cache: str | None
) -> None:
    nothing: dict[str, str | None] = {"HOME": None, "XDG_CACHE_HOME": None, "CNNMNIST_CACHE_DIR": cache}
    done = python(NOBODY + RUN, *arguments, cwd=tmp_path, **nothing)
    assert done.returncode == status, done
    assert b"Traceback" not in done.stderr
    if status:
        assert (b"no home folder" in done.stderr) == (cache is None)
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    "settings",
    ["{}", '{"floatx": "x"}', '{"epsilon": "x"}', '{"image_data_format": "x"}', '{"nnx_enabled": 1}', "[]"],
)
def test_no_setting_of_keras_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    from cnnmnist.runtime import _without_keras_settings, keras

    (tmp_path / "keras.json").write_text(settings)
    for name, value in {"HOME": str(tmp_path), "MAX_EPOCHS": "x", "NNX_ENABLED": "true", "BACKEND": "jax"}.items():
        monkeypatch.setenv(f"KERAS_{name}", value)
    file = importlib.import_module("keras.src.backend.config").__file__
    spec = importlib.util.spec_from_file_location("settings_of_keras", str(file))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with _without_keras_settings():
        spec.loader.exec_module(module)
    assert (module._BACKEND, module._FLOATX, module._NNX_ENABLED) == ("tensorflow", "float32", False)
    assert os.environ["KERAS_HOME"] == str(tmp_path)
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "module://missing", "nonsense"])
def test_a_backend_for_matplotlib_does_not_matter(tmp_path: Path, backend: str) -> None:
    done = python(RUN, "summary", "tutorial", "-o", "a.png", cwd=tmp_path, MPLBACKEND=backend)
    assert (done.returncode, done.stderr) == (0, b"")


def written_by(terminal: str, folder: Path, *arguments: object, **environment: str) -> None:
    """Run the command with its messages going to a terminal."""
    (folder / "out").touch()
    files = folder / "out", Path(terminal)
    assert processes.call([*map(str, arguments)], folder, os.environ | environment, files) == 0


@contextlib.contextmanager
def terminal_of() -> Iterator[tuple[str, list[bytes]]]:
    """The name of a pseudo terminal, and what is written to it."""
    ours, theirs = pty.openpty()
    written: list[bytes] = []
    try:
        yield os.ttyname(theirs), written
        while select.select([ours], [], [], 0.1)[0]:
            written.append(os.read(ours, 1 << 20))
    finally:
        os.close(theirs)
        os.close(ours)


def test_progress_is_lines_in_a_dumb_terminal_and_in_a_file_with_forced_colors(tmp_path: Path, cli: Cli) -> None:
    with terminal_of() as (name, written):
        written_by(name, tmp_path, *QUICK, TERM="dumb")
    found = cli(*QUICK, FORCE_COLOR="1")
    for text in (b"".join(written).decode(), found.err):
        for iteration in (1, 101, 201):
            assert re.search(rf"Optimization Iteration: +{iteration}, Training Accuracy: +[\d.]+%", text), text
        assert not re.search(r"\x1b\[\??[\d;]*[A-Za-ln-z]", text), "no movement of a cursor"
    assert "\x1b[1m" in found.out, "results have the colours that were asked for"


@pytest.mark.parametrize("columns", [10, 20, 40, 60, 80, 120, 200])
def test_no_number_of_a_bar_is_cut_in_a_narrow_terminal(columns: int) -> None:
    terminal = Terminal()
    file = io.StringIO()
    file.isatty = lambda: True  # type: ignore[method-assign]
    terminal.err = Console(file=file, force_terminal=True, width=columns, color_system=None)  # type: ignore[assignment]
    recipe = load_recipe(overrides={"training.iterations": 12_345})
    with progress_bar(recipe, terminal) as update:
        loss, accuracy = np.full(500, 2.345), np.full(500, 0.987)
        progress: Any = SimpleNamespace(iteration=4_321, losses=loss, accuracies=accuracy, seconds=0.25)
        update(progress)
        time.sleep(0.15)
    with download_bar(terminal) as received:
        received(9_876_543, 12_345_678)
        time.sleep(0.15)
    lines = re.split(r"\x1b\[[^A-Za-z]*[A-Za-z]|[\r\n]", file.getvalue())
    whole = {"4321/12345", "12345/12345", "0/12345", "2.345", "98.7%", "2000", "9.9/12.3"}
    for line in lines:
        assert len(line) <= columns + 2
        for number in re.findall(r"\d[\d./%]*", line.replace(":", " ")):
            assert number in whole or len(number) <= 2, line
    shown = " ".join(lines)
    assert ("4321/12345" in shown) == (columns >= 20)
    assert ("accuracy 98.7%" in shown) == (columns >= 40)
    assert ("━" in shown) == (columns >= 80)


def test_a_run_that_nobody_reads_about_is_not_left_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(command(*QUICK), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert b"Traceback" not in process.stderr.read()
    assert process.wait() == 1
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.long
def test_a_closed_terminal_loses_nothing(tmp_path: Path, cli: Cli) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, command(*QUICK[:-1], 100_000))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any(tmp_path.glob("runs/*/metrics.jsonl")):
        select.select([terminal], [], [], 0.05)
        os.read(terminal, 1 << 16)
    while (only_run(tmp_path) / "metrics.jsonl").read_bytes().count(b"\n") < 50 and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 1 << 16)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    entry = cli("runs", "--json").json[0]
    assert entry["status"] == "interrupted"
    assert entry["iterations"] >= 50
    assert entry["iterations"] == len((only_run(tmp_path) / "metrics.jsonl").read_text().splitlines())
    assert os.waitstatus_to_exitcode(status) in (128 + signal.SIGHUP, 1)
