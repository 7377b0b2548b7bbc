"""Draw the figures of the documentation with the commands of the program, from runs on the full MNIST.

cnnmnist train --record --data-dir DIR --name tutorial
cnnmnist sweep exercises ...                                (docs/exercises.md)
python scripts/build_figures.py runs/tutorial runs/exercises docs/figures
"""

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path

from PIL import Image

from cnnmnist.cli import main as cnnmnist
from cnnmnist.recipes import recipe_names

# Each file, and the command that draws it from the run with snapshots.
FIGURES = {
    "network.png": "summary RUN --output network.png",
    "images.png": "visualize RUN --images 0-8",
    "learning.gif": "visualize RUN --movie",
    "errors.png": "evaluate RUN --show-errors",
    "confusion-matrix.png": "evaluate RUN --confusion-matrix",
    "conv1-weights.png": "visualize RUN --layer conv1",
    "conv2-weights-channel-0.png": "visualize RUN --layer conv2",
    "conv2-weights-channel-1.png": "visualize RUN --layer conv2 --input-channel 1",
    "conv1-outputs-0.png": "visualize RUN --layer conv1 --image 0",
    "conv1-outputs-13.png": "visualize RUN --layer conv1 --image 13",
    "conv2-outputs-0.png": "visualize RUN --layer conv2 --image 0",
    "conv2-outputs-13.png": "visualize RUN --layer conv2 --image 13",
    "saliency.png": "visualize RUN --saliency --image 247",
    "maximized.png": "visualize RUN --maximize conv2",
    "embedding.png": "visualize RUN --embedding",
    "robustness-tutorial.png": "evaluate RUN --robustness",
}
# For each exercise, the runs of the sweep to draw beside the tutorial's.
NAMES = [name.rpartition("/")[2] for name in recipe_names() if name.startswith("exercises/")]
EXERCISES = {name: [f"{name}-seed-0"] for name in NAMES}
EXERCISES["seed"] = ["tutorial-seed-1"]
EXERCISES["relu-on-logits"] = [f"relu-on-logits-seed-{seed}" for seed in (0, 2, 4)]


def make(path: Path, arguments: list[str]) -> None:
    """Run a command, and reduce its PNG to 256 colours; the difference is invisible."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.redirect_stdout(io.StringIO()) as document:
            cnnmnist([*arguments, "--json"], standalone_mode=False)
        (figure,) = json.loads(document.getvalue())["figures"]
        content = Path(figure).read_bytes()
    path.write_bytes(content)
    if path.suffix == ".png":
        with Image.open(io.BytesIO(content)) as picture:
            picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1_000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("exercises", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    run, folder = str(options.run.absolute()), options.folder.absolute()
    for name, command in FIGURES.items():
        make(folder / name, [run if word == "RUN" else word for word in command.split()])
    for name, runs in EXERCISES.items():
        paths = [str(options.exercises.absolute() / run) for run in ["tutorial-seed-0", *runs]]
        make(folder / f"exercise-{name}.png", ["compare", *paths, "--output", f"{name}.png"])


main()
