"""``cnnmnist visualize`` as a user types it."""

import re
from pathlib import Path

import pytest

from conftest import Result, run_cli

pytestmark = pytest.mark.xdist_group("trained")  # all on the worker that trains that run
MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["--layer", "conv1"], "conv1-weights.png"),
        (["--layer", "conv2", "--input-channel", "3"], "conv2-weights-channel-3.png"),
        (["--image", "13"], "test-image-13.png"),
        (["--images", "0-8", "--split", "validation", "--output", "digits.svg"], "digits.svg"),
        (["--image", "999", "--output", "new/digit.pdf"], "new/digit.pdf"),
    ],
)
def test_each_figure_is_written_and_named(
    trained: tuple[Path, Result], arguments: list[str], written: str
) -> None:
    folder, _ = trained
    result = run_cli("visualize", *arguments, cwd=folder)
    assert result.status == 0, result.err
    (path,) = re.findall(r"Figure: (.*)", result.out)
    assert path.endswith(written)
    assert (folder / path).read_bytes().startswith(MAGIC[Path(path).suffix])


def test_json_names_the_figure(trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    report = run_cli("visualize", "--image", 0, "--json", cwd=folder).json
    assert report.keys() == {"run", "figures"}
    assert (folder / report["figures"][0]).exists()


def test_with_nothing_asked_for_it_shows_its_usage_with_examples(trained: tuple[Path, Result]) -> None:
    result = run_cli("visualize", cwd=trained[0])
    assert result.out.startswith("Usage:")
    assert "cnnmnist visualize --layer conv1 --image 13" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "conv9"], "choose one of conv1, conv2"),
        (["--layer", "conv2", "--input-channel", "16"], "choose from 0 to 15"),
        (["--layer", "conv1", "--input-channel", "-1"], "the only one is 0"),
        (["--image", "1000"], "choose from 0 to 999"),
        (["--image", "-1"], "choose from 0 to 999"),
        (["--images", "990-1000"], "choose from 0 to 999"),
        (["--images", "8-0"], "is not a range of images"),
        (["--images", "0-8", "--layer", "conv1"], "cannot be combined"),
        (["--image", "1", "--input-channel", "1"], "goes with the filter weights"),
        (["--image", "1", "--output", "picture.bmp"], ".png"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_valid_range(
    trained: tuple[Path, Result], arguments: list[str], message: str
) -> None:
    result = run_cli("visualize", *arguments, cwd=trained[0])
    assert result.status == 2
    assert message in result.err
    assert result.out == ""
