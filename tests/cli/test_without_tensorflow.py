"""Whoever only looks at a network needs neither TensorFlow nor Keras, and does not wait for them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnmnist.data.loading import load_dataset
from conftest import Result

pytestmark = pytest.mark.xdist_group("trained")  # all on the worker that trains that run
COMMANDS = [
    "predict --run {run} {picture}",
    "predict --run {run} --show --top 3 {picture}",
    "evaluate {run} --dataset mnist5k --json",
    "evaluate {run} --dataset mnist5k --show-errors --confusion-matrix --figures {folder}",
    "visualize {run} --layer conv1 --output {folder}/filters.png",
    "visualize {run} --layer conv2 --input-channel 3 --output {folder}/filters.pdf",
    "visualize {run} --layer conv2 --image 13 --dataset mnist5k --output {folder}/outputs.png",
    "visualize {run} --images 0-8 --dataset mnist5k --output {folder}/images.svg",
    "visualize {run} --embedding --dataset mnist5k --split validation --output {folder}/embedding.png",
    "summary {run} --output {folder}/network.svg",
    "export {run} --format onnx --output {folder}/network.onnx",
    "export {run} --format weights --output {folder}/network.safetensors",
    "draw {run} --dataset mnist5k --no-open --output {folder}/draw.html",
    "report {run} --dataset mnist5k --no-open --output {folder}/report.html",
    "compare pretrained latest --output {folder}/curves.png",
    "runs",
    "recipes best",
    "data list",
    "data info mnist5k",
]


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the import of TensorFlow or Keras fails."""
    folder = tmp_path_factory.mktemp("blocked")
    for name in ("tensorflow", "keras"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ImportError('{name} is blocked')\n")
    places = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places)}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "digit.png"
    pixels = 255 - load_dataset("mnist5k").test.images[0].repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(np.pad(pixels, 20, constant_values=255)).save(path)
    return path


def run(lines: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run commands one after the other in one process, until one of them fails."""
    script = (
        "from cnnmnist.cli import main\n"
        f"for line in {lines}:\n"
        "    print('$', line, flush=True)\n"
        "    assert not main(line.split(), standalone_mode=False)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_these_commands_work(
    trained: tuple[Path, Result], blocked: dict[str, str], picture: Path, tmp_path: Path
) -> None:
    lines = [line.format(run="latest", picture=picture, folder=tmp_path) for line in COMMANDS]
    lines.append(f"predict --run pretrained {picture}")
    done = run(lines, trained[0], blocked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("$ ") == len(lines)
    expected = {
        name.rpartition("/")[2] for line in lines for name in line.split() if name.startswith(str(tmp_path))
    }
    written = {path.name for path in tmp_path.iterdir()}
    assert expected - {tmp_path.name} <= written
    assert "test-confusion-matrix.png" in written


def test_a_movie_is_made(trained: tuple[Path, Result], blocked: dict[str, str], tmp_path: Path) -> None:
    done = run([f"visualize --movie --output {tmp_path}/movie.gif"], trained[0], blocked)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "movie.gif").read_bytes().startswith(b"GIF89a")


def test_what_needs_gradients_fails(trained: tuple[Path, Result], blocked: dict[str, str]) -> None:
    done = run(["visualize --maximize conv1"], trained[0], blocked)
    assert done.returncode == 1
    assert "is blocked" in done.stderr, "otherwise the other tests show nothing"
