"""What a shell completes, through click's own completion."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnnmnist.cli import COMMANDS
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.registry import DATASETS
from cnnmnist.recipes import load_recipe, recipe_fields, recipe_names
from cnnmnist.runs.store import create_run

COMPLETE = (
    "import sys\nfrom cnnmnist.cli import main\n"
    "try: main(prog_name='cnnmnist')\nfinally: print(*set(sys.modules) & {'tensorflow', 'keras', 'matplotlib'})"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for name in ("mine", "my-other"):
        create_run(folder / "runs", name, load_recipe(), load_dataset("mnist5k"))
    (folder / "runs" / "no-run").mkdir()
    create_run(folder / "runs" / "rates", "seed-0", load_recipe(), load_dataset("mnist5k"))
    return folder


RUNS = ["latest", "my-other", "mine", "handwriting", "pretrained"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", list(COMMANDS)),
        ("tr", ["train"]),
        ("evaluate ", RUNS),
        ("evaluate m", ["my-other", "mine"]),
        ("compare mine ", [*RUNS, "rates"]),
        ("sweep ", ["rates"]),
        ("sweep rates --vary training.bet", ["training.beta_1=", "training.beta_2="]),
        ("train --resume l", ["latest"]),
        ("predict --run pre", ["pretrained"]),
        ("evaluate --runs-dir elsewhere ", ["latest", "handwriting", "pretrained"]),
        ("train --config ", recipe_names()),
        ("recipes be", ["best"]),
        ("summary ", [*RUNS, *recipe_names()]),
        ("train --dataset ", list(DATASETS)),
        ("data fetch k", ["kmnist"]),
        ("train --set ", [f"{field}=" for field in recipe_fields()]),
        ("train --set training.bet", ["training.beta_1=", "training.beta_2="]),
        ("train --strategy mi", ["mirrored"]),
    ],
)
def test_names_are_completed_without_tensorflow(folder: Path, typed: str, offered: list[str]) -> None:
    words = f"cnnmnist {typed}"
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE],
        cwd=folder,
        env={
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "_CNNMNIST_COMPLETE": "bash_complete",
            "PYTHONPATH": ":".join(sys.path),
            "HOME": str(folder),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, imported = done.stdout.splitlines()
    assert [line.removeprefix("plain,") for line in lines] == offered
    assert imported == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    environment = {
        "_CNNMNIST_COMPLETE": f"{shell}_source",
        "PYTHONPATH": ":".join(sys.path),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE], env=environment, capture_output=True, text=True, check=True
    )
    assert "cnnmnist" in done.stdout
