"""``cnnmnist predict`` as a user types it."""

import re
import subprocess
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from cnnmnist.cli import predict
from cnnmnist.data.loading import load_dataset
from conftest import Cli, Result, command, run_cli

TEST = load_dataset("mnist5k").test


def picture(path: Path, *indices: int) -> Path:
    """Dark digits in a row on a light sheet."""
    row = np.hstack([np.pad(TEST.images[index], 10) for index in indices])
    Image.fromarray(255 - row).resize((row.shape[1] * 5, row.shape[0] * 5)).save(path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    picture(folder / "one.png", 0)
    picture(folder / "number.jpg", 0, 200, 300)
    (folder / "text.png").write_text("not a picture")
    return folder


def test_json_answers_for_each_file_and_a_bad_one_fails_alone(
    trained: tuple[Path, Result], pictures: Path
) -> None:
    folder, _ = trained
    names = ["one.png", "text.png", "number.jpg"]
    result = run_cli("predict", "--json", *(pictures / name for name in names), cwd=folder)
    assert result.status == 1
    one, number = result.json
    assert one.keys() == number.keys() == {"file", "text", "digits"}
    assert one["file"] == str(pictures / "one.png")
    (digit,) = one["digits"]
    assert digit.keys() == {"label", "name", "probability", "probabilities", "doubtful", "answered", "box"}
    assert one["text"] == digit["name"] == str(digit["label"])
    assert len(digit["probabilities"]) == 10
    assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert digit["probabilities"][digit["label"]] == digit["probability"] == max(digit["probabilities"])
    left, top, right, bottom = digit["box"]
    assert 50 <= left < right <= 190
    assert 50 <= top < bottom <= 190
    assert [str(each["label"]) for each in number["digits"]] == list(number["text"])
    assert len(number["text"]) == 3
    assert f"{pictures / 'text.png'} is not a PNG" in result.err
    assert "Using the run 2" in result.err


def test_the_shipped_network_reads_standard_input_and_shows_what_it_sees(tmp_path: Path, pictures: Path) -> None:
    with (pictures / "one.png").open("rb") as file:
        done = subprocess.run(
            command("predict", "-", "--show", "--top", "2"),
            cwd=tmp_path,
            stdin=file,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Using the run handwriting." in done.stderr
    first, *lines = done.stdout.splitlines()
    label = TEST.labels[0]
    assert first.startswith(f"-: {label} (")
    assert first.count("%") == 2
    assert sum(bool(re.search(r"\d\.\d%$", line)) for line in lines) == 10
    assert "@@" in done.stdout
    (most,) = [line for line in lines if line.count("█") + line.count("#") >= 15]
    assert f" {label} " in most


def test_only_bad_files_start_no_network(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    result = cli("predict", "--json", "empty.png", "missing.png", "\x1b.png")
    assert result.status == 1
    assert result.json == []
    assert "empty.png is empty" in result.err
    assert "Cannot read missing.png: No such file or directory." in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "Missing argument"),
        (["--top", "0", "x.png"], 2, "--top"),
        (["--run", "nothing", "x.png"], 1, "There is no run 'nothing'"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(cli: Cli, arguments: list[str], status: int, message: str) -> None:
    result = cli("predict", *arguments)
    assert result.status == status
    assert message in result.err
    assert result.out == ""


def test_what_is_less_probable_than_asked_for_is_not_answered(tmp_path: Path, pictures: Path) -> None:
    arguments = ["predict", "--run", "pretrained", pictures / "number.jpg"]
    sure = [digit["probability"] for digit in run_cli(*arguments, "--json", cwd=tmp_path).json[0]["digits"]]
    bound = sorted(sure)[1]
    (document,) = run_cli(*arguments, "--json", "--at-least", bound, cwd=tmp_path).json
    assert [digit["answered"] for digit in document["digits"]] == [each >= bound for each in sure]
    assert document["text"].count("?") == 1
    assert [str(digit["label"]) for digit in document["digits"]] != list(document["text"])
    shown = run_cli(*arguments, "--at-least", f"{100 * bound}%", cwd=tmp_path).out
    assert shown.splitlines()[0].endswith(f": {document['text']}")
    assert shown.count("? less than ") == 1
    assert "?" not in run_cli(*arguments, "--at-least", "0%", cwd=tmp_path).out


@pytest.mark.parametrize("given", ["90", "-1%", "101%", "nan", "much", "%"])
def test_what_is_no_probability_is_refused(given: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not a probability: write 90% or 0\.9\."):
        predict.command.make_context("predict", ["a.png", "--at-least", given])
    for least in ("90%", " 0.9"):
        assert predict.command.make_context("predict", ["a.png", "--at-least", least]).params["at_least"] == 0.9
