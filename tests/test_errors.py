"""What users are told to type, on systems that are not at hand, too."""

import shlex
import subprocess
from pathlib import Path

import pytest

from cnnmnist.errors import shell_quoted
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.metadata import new_metadata
from cnnmnist.runs.run import Run


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (r"runs\mine", r"runs\mine"),
        (r"C:\Users\Ann\runs", r"C:\Users\Ann\runs"),
        (r"C:\My runs\mine", r'"C:\My runs\mine"'),
        ("a&b", '"a&b"'),
        ("it's", '"it\'s"'),
        ("C:\\My runs\\", '"C:\\My runs\\\\"'),
        ("", '""'),
        ('a "b"', r'"a \"b\""'),
        ("training.dense=[1, 2]", '"training.dense=[1, 2]"'),
    ],
)
def test_a_path_is_quoted_for_windows(text: str, typed: str) -> None:
    assert shell_quoted(text, "nt") == typed
    # Programs take the line apart as list2cmdline puts it together.
    assert subprocess.list2cmdline([text]) in (typed, typed.strip('"'), typed[1:-1].replace("\\\\", "\\"))


@pytest.mark.parametrize("text", ["runs/mine", "my runs/a", "it's", "a&b", "$HOME", 'a "b"'])
def test_a_path_is_quoted_for_other_shells(text: str) -> None:
    assert shlex.split(shell_quoted(Path(text), "posix")) == [text]


def test_a_run_says_how_it_goes_on(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from cnnmnist.data.loading import load_dataset

    metadata = new_metadata(load_recipe(), load_dataset("mnist5k"), datetime.now(UTC))
    run = Run(tmp_path / "my runs" / "it's", metadata)
    assert shlex.split(run.resume_command) == ["cnnmnist", "train", "--resume", str(run.directory)]
