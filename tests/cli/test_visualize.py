"""``cnnmnist visualize`` as a user types it."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from build_mnist5k import write_idx

from cnnmnist.cli.views import check_layer
from cnnmnist.errors import SelectionError
from cnnmnist.runs.store import load_run
from conftest import Cli, Result, command, run_cli

pytestmark = pytest.mark.xdist_group("trained")  # all on the worker that trains that run
MAGIC = {".gif": b"GIF89a", ".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["--layer", "conv1"], "conv1-weights.png"),
        (["--layer", "conv2", "--input-channel", "3"], "conv2-weights-channel-3.png"),
        (["--image", "13"], "test-image-13.png"),
        (["--images", "0-8", "--split", "validation", "--output", "digits.svg"], "digits.svg"),
        (["--image", "999", "--output", "new/digit.pdf"], "new/digit.pdf"),
        (["--saliency", "--image", "13"], "saliency-test-image-13.png"),
        (["--maximize", "conv1"], "conv1-maximized.png"),
        (["--embedding", "--split", "validation"], "validation-embedding.png"),
        (["--movie"], "conv1-movie-test-image-0.gif"),
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


@pytest.mark.parametrize("layer", ["conv9", "fc1", "conv1_pooling", "", "../conv1"])
def test_a_layer_that_is_no_convolution_is_refused(layer: str) -> None:
    with pytest.raises(SelectionError, match="choose one of conv1, conv2"):
        check_layer(load_run("pretrained"), layer, 0)


def test_json_names_the_figure(trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    report = run_cli("visualize", "--image", 0, "--json", cwd=folder).json
    assert report.keys() == {"run", "figures"}
    assert (folder / report["figures"][0]).exists()


def test_with_nothing_asked_for_it_shows_its_usage_with_examples(trained: tuple[Path, Result]) -> None:
    result = run_cli("visualize", cwd=trained[0])
    assert result.out.startswith("Usage:")
    for example in (
        "--layer conv1 --image 13",
        "--saliency --image 13",
        "--maximize conv2",
        "--embedding",
        "--movie",
    ):
        assert f"cnnmnist visualize {example} " in result.out


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
        (
            ["--saliency", "--image", "1", "--input-channel", "1"],
            "--saliency cannot be combined with --input-channel.",
        ),
        (["--saliency"], "--saliency needs an --image."),
        (["--saliency", "--image", "1000"], "choose from 0 to 999"),
        (["--maximize", "conv3"], "choose one of conv1, conv2"),
        (["--maximize", "conv1", "--image", "1"], "--maximize cannot be combined with --image."),
        (["--embedding", "--layer", "conv1"], "--embedding cannot be combined with --layer."),
        (["--movie", "--embedding", "--saliency"], "--movie cannot be combined with --embedding or --saliency."),
        (["--movie", "--images", "0-8"], "--movie cannot be combined with --images."),
        (["--movie", "--output", "movie.png"], "end its name in .gif."),
        (["--movie", "--layer", "conv2", "--input-channel", "16"], "choose from 0 to 15"),
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
    assert len([line for line in result.err.splitlines() if line.startswith("Error:")]) == 1


def test_a_run_that_was_not_recorded_says_how_to_record_one(trained: tuple[Path, Result]) -> None:
    result = run_cli("visualize", "pretrained", "--movie", cwd=trained[0])
    assert result.status == 1
    assert result.err == (
        "Error: The run pretrained has no snapshots: train with `cnnmnist train --record` to keep some.\n"
    )


def test_a_network_without_convolutions_and_with_other_classes(cli: Cli, tmp_path: Path) -> None:
    network = ["--set", "model.convolutions=[]", "--set", "model.dense=[]", "--precision", "mixed_bfloat16"]
    rng = np.random.default_rng(0)
    folder = tmp_path / "letters"
    folder.mkdir()
    for stem, count in (("train", 60), ("t10k", 5)):
        write_idx(folder / f"{stem}-images-idx3-ubyte", rng.integers(0, 256, (count, 9, 17), np.uint8))
        write_idx(folder / f"{stem}-labels-idx1-ubyte", (np.arange(count) % 3).astype(np.uint8))
    trained = cli("train", *network, "--data-dir", "letters", "--iterations", 2, "--record")
    assert trained.status == 0, trained.err
    assert len(list(tmp_path.glob("runs/*/recording/*.npz"))) == 3
    assert cli("visualize", "--saliency", "--image", 4, "--output", "saliency.svg").status == 0
    assert cli("visualize", "--embedding", "--output", "embedding.pdf").status == 0
    for view in (["--movie"], ["--maximize", "conv1"]):
        refused = cli("visualize", *view)
        assert refused.status == 2
        assert "There is no layer 'conv1': the network has no convolutional layers." in refused.err


def test_names_of_a_stranger_cannot_write_to_the_terminal(trained: tuple[Path, Result], tmp_path: Path) -> None:
    (run,) = (trained[0] / "runs").iterdir()
    strange = tmp_path / "\x1b]0;title\x07\udcff"
    shutil.copytree(run, strange)
    drawn = run_cli("visualize", strange, "--image", 1, cwd=tmp_path)
    assert drawn.status == 0, drawn.err
    assert "\\x1b]0;title\\x07\\udcff/figures/test-image-1.png" in drawn.out
    (strange / "run.json").write_text('{"\x1b[31m": 1}')
    refused = run_cli("visualize", strange, "--image", 1, cwd=tmp_path)
    unknown = run_cli("visualize", "\x1b[31mnothing", "--image", 1, cwd=tmp_path)
    too_many = run_cli("visualize", "\x1b[31m", "\x1b[32m", "--\x1b[33m", cwd=tmp_path)
    assert [refused.status, unknown.status, too_many.status] == [1, 1, 2]
    assert not any(
        "\x1b" in text or "\x07" in text for text in (drawn.out, drawn.err, refused.err, unknown.err, too_many.err)
    )


def test_standard_output_on_a_full_disk_is_one_sentence(trained: tuple[Path, Result]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("visualize", "--image", 1),
            cwd=trained[0],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Error: Cannot go on: No space left on device."]
