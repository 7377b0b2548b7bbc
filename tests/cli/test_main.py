"""Help is immediate and imports nothing heavy; usage errors are one sentence with a suggestion."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cnnmnist.cli import COMMANDS
from cnnmnist.cli.command import DOCUMENTATION
from conftest import Cli

HEAVY = {"tensorflow", "keras", "matplotlib", "sklearn", "scipy", "pydantic", "numpy"}


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from cnnmnist.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & set(sys.argv[-1].split(','))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--help", ",".join(HEAVY)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage:")
    assert "Documentation: https://" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["trian"], ["No such command 'trian'", "Did you mean 'train'"]),
        (["data", "lsit"], ["No such command 'lsit'", "Did you mean 'list'"]),
        (["train", "--iteration", "5"], ["No such option '--iteration'", "Did you mean '--iterations'"]),
        (["nothing-like-it"], ["No such command 'nothing-like-it'"]),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(cli: Cli, arguments: list[str], messages: list[str]) -> None:
    result = cli(*arguments)
    assert (result.status, result.out) == (2, "")
    for message in messages:
        assert message in result.err


def test_help_ends_with_the_address_that_the_package_states() -> None:
    urls = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Documentation"] == DOCUMENTATION


def test_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("cnnmnist 0.")


def test_quiet_leaves_results_warnings_and_errors(cli: Cli) -> None:
    small = [
        "--set",
        "model.convolutions=[]",
        "--set",
        "model.dense=[]",
        "--iterations",
        2,
        "--dataset",
        "mnist5k",
    ]
    loud, quiet = cli("train", *small, "--name", "loud"), cli("train", *small, "--name", "quiet", "-q")
    assert "Optimization Iteration" in loud.err
    assert (quiet.status, quiet.err) == (0, "")
    assert "Accuracy on Test-Set" in quiet.out
    assert cli("runs", "--json", "--quiet").err == ""
    assert "Using the run" in cli("predict", "missing.png").err
    assert cli("predict", "missing.png", "-q").err.startswith("Error: Cannot read missing.png")
    failed = cli("evaluate", "missing", "-q")
    assert failed.status == 1
    assert "There is no run 'missing'" in failed.err
