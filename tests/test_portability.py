"""Every module where the system has none of what Unix has; the real systems are in .github/workflows/test.yml."""

import multiprocessing.connection
import os
import pathlib
import pkgutil
import signal
import sys
from pathlib import Path

import platformdirs
import pytest

from support.processes import SERVER

UNIX = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog")
LACKING = (
    "sched_getaffinity",
    "fork",
    "killpg",
    "getuid",
    "geteuid",
    "uname",
    "O_NONBLOCK",
    "O_NOCTTY",
    "O_NOFOLLOW",
)


def _on_another_system(folder: Path, answer: multiprocessing.connection.Connection) -> None:
    """Import each module anew, make a run, write to it and remove what a killed process left."""
    for name in LACKING:
        if hasattr(os, name):
            delattr(os, name)
    del signal.SIGHUP
    for name in UNIX:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in [name for name in sys.modules if name == "cnnmnist" or name.startswith(("cnnmnist.", "filelock"))]:
        del sys.modules[name]
    pathlib.WindowsPath = pathlib.PosixPath  # type: ignore[misc, assignment]
    os.name = "nt"
    import cnnmnist

    every = pkgutil.walk_packages(cnnmnist.__path__, "cnnmnist.")
    names = [each.name for each in every if each.name != "cnnmnist.__main__"]  # which runs the program
    for name in names:
        __import__(name)
    from cnnmnist.files import locked, remove_leftovers, replacing
    from cnnmnist.runs.store import create_run

    run = create_run(folder / "runs", None, cnnmnist.load_recipe(), cnnmnist.load_dataset("mnist5k"))
    with (
        locked(run.directory),
        replacing(run.directory / "file") as file,
        replacing(folder / "new", folder=True) as made,
    ):
        file.write_text("x")
        (made / "part").write_text("x")
    remove_leftovers(folder / "runs", run.directory)
    answer.send((len(names), sorted(path.name for path in run.directory.iterdir()), run.resume_command))


def test_no_module_needs_what_only_unix_has(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = SERVER.Process(target=_on_another_system, args=(tmp_path, theirs))
    process.start()
    theirs.close()
    count, files, typed = ours.recv()
    process.join()
    assert process.exitcode == 0
    assert count > 90
    assert files == ["checkpoints", "figures", "file", "metrics.jsonl", "run.json"]
    assert "'" not in typed


def test_the_cache_has_no_folder_of_its_own_name_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs import windows

    from cnnmnist.data.download import cache_directory

    monkeypatch.delenv("CNNMNIST_CACHE_DIR", raising=False)
    monkeypatch.setattr(platformdirs, "PlatformDirs", windows.Windows)
    monkeypatch.setattr(windows, "get_win_folder", lambda name: "C:/Users/Ann/AppData/Local")
    assert str(cache_directory()).replace("\\", "/").count("cnnmnist") == 1
