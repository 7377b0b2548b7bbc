"""Help is immediate and imports nothing heavy; usage errors are said in a sentence."""

import subprocess
import sys

import pytest

from cnnmnist.cli import COMMANDS
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
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_and_unknown_commands(cli: Cli) -> None:
    assert cli("--version").out.startswith("cnnmnist 0.")
    wrong = cli("trian")
    assert wrong.status == 2
    assert "No such command 'trian'" in wrong.err
