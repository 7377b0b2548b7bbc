"""Make the figures of the documentation with the real commands, from a run that was recorded on the full MNIST.

cnnmnist train --record --data-dir DIR --name tutorial
python scripts/build_figures.py --run runs/tutorial docs/figures
"""

import argparse
import shlex
from pathlib import Path

from PIL import Image

from cnnmnist.cli import main as cnnmnist

# The file, and the command that makes it of the run.
FIGURES = (
    ("learning.gif", "visualize --movie"),
    ("saliency.png", "visualize --saliency --image 247"),
    ("maximized.png", "visualize --maximize conv2"),
    ("embedding.png", "visualize --embedding"),
)


def make(path: Path, command: str, run: str) -> None:
    """Run a command, and reduce its PNG to 256 colours, which nobody sees."""
    cnnmnist([*shlex.split(command), "--output", str(path), "--", run], standalone_mode=False)
    if path.suffix == ".png":
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1_000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="latest")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    for name, command in FIGURES:
        make(options.folder / name, command, options.run)


main()
