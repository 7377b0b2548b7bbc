"""What the tests share: a home of their own, small data sets, and the real command in a process of its own."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import processes

# Under another name, so that xdist's workers, which inherit what is left of the environment, find it too.
os.environ.setdefault("FULL_MNIST", os.environ.get("CNNMNIST_DATA_DIR", ""))
FULL_MNIST = os.environ["FULL_MNIST"]
# Nothing of the user's may be read, and whatever would go to the network must fail at once.
for name in [name for name in os.environ if name.startswith("CNNMNIST_")]:
    del os.environ[name]
os.environ["http_proxy"] = os.environ["https_proxy"] = "http://127.0.0.1:9"
os.environ["no_proxy"] = "127.0.0.1"
os.environ.pop("NO_COLOR", None)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    return folder


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The full MNIST; tests that ask for it are marked ``full``."""
    if not FULL_MNIST:
        pytest.skip("CNNMNIST_DATA_DIR is not set")
    return Path(FULL_MNIST)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]
# A network that trains in a moment.
SMALL = ["--set", "model.convolutions=[{filters: 4}]", "--set", "model.dense=[16]", "--batch-size", "16"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cnnmnist", *map(str, arguments)]


def run_cli(*arguments: object, cwd: Path, **environment: str) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        out, err = files = Path(folder, "out"), Path(folder, "err")
        for file in files:
            file.touch()
        status = processes.call([*map(str, arguments)], cwd, os.environ | environment, files)
        result = Result(status, out.read_text(), err.read_text())
    assert "Traceback" not in result.err, result.err
    return result


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run the real command in an empty folder."""
    return lambda *arguments, **options: run_cli(*arguments, **({"cwd": tmp_path} | options))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder where ``cnnmnist train`` ran for a few iterations with no network, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, run_cli(
        "train", "--iterations", 120, "--evaluate-at", "0,1,100", "--record-at", "0,10,120", cwd=folder
    )
