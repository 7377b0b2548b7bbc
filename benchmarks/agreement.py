"""Compare the network in NumPy with Keras, on the test images of trained runs.

    python benchmarks/agreement.py --data-dir DIR --fashion-dir DIR

The script trains every recipe for --iterations, the tutorial also on Fashion-MNIST and on a folder of 12 classes
of 20x31 pictures that the script makes. Trained runs stay in --runs-dir and are not trained again. For each run,
and for `pretrained`, the table has the largest difference of a logit, as a fraction of the largest logit; the
number of images with another class; and whether the last rung of the ladder, which TensorFlow computed, is what
`cnnmnist evaluate` computes.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

import cnnmnist
from cnnmnist.network import scale
from cnnmnist.recipes import recipe_names
from cnnmnist.runtime import keras

LETTERS, HEIGHT, WIDTH, PICTURES = "ABCDEFHJKLMN", 20, 31, 50
HEADINGS = ("run", "data", "correct", "images", "largest difference", "other class", "ladder agrees")


def make_pictures(folder: Path) -> None:
    """Write letters that are moved and turned at random, a folder for each."""
    random = np.random.default_rng(0)
    for split, letter in itertools.product(("train", "test"), LETTERS):
        (folder / split / letter).mkdir(parents=True, exist_ok=True)
        for number in range(PICTURES):
            picture = Image.new("L", (WIDTH, HEIGHT))
            place = random.uniform((6, 0), (16, 6))
            ImageDraw.Draw(picture).text(tuple(place), letter, fill=255, font_size=14)
            picture.rotate(random.uniform(-15, 15)).save(folder / split / letter / f"{number}.png")


def trained(name: str, recipe: str, dataset: cnnmnist.Dataset, options: argparse.Namespace) -> cnnmnist.Run:
    if (options.runs_dir / name / "model.keras").exists():
        return cnnmnist.load_run(name, options.runs_dir)
    # The one-cycle schedule and the fading end with the last iteration, whatever it is.
    short = {"training.iterations": options.iterations, "training.evaluate_at": []}
    return cnnmnist.train(cnnmnist.load_recipe(recipe, short), dataset, runs_dir=options.runs_dir, name=name)


def compare(run: cnnmnist.Run, dataset: cnnmnist.Dataset) -> tuple[str, ...]:
    network, model, test = run.load_network(), run.load_model(), dataset.test
    keras.backend.clear_session()
    expected = model.predict(scale(test.images), batch_size=256, verbose=0)
    found = cnnmnist.predict_logits(network, test.images)
    correct = cnnmnist.evaluate(network, test).correct
    ladder = run.metadata.ladder[-1].accuracy
    own = run.metadata.dataset.digest == dataset.digest
    return (
        run.name,
        dataset.name,
        f"{correct:,}",
        f"{len(test):,}",
        f"{np.abs(found - expected).max() / np.abs(expected).max():.1e}",
        str((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        ("yes" if round(ladder * len(test)) == correct else f"NO: {ladder}") if own else "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--fashion-dir", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/agreement"))
    options = parser.parse_args()
    pictures = options.runs_dir / "letters"
    make_pictures(pictures)
    mnist = cnnmnist.load_dataset(data_dir=options.data_dir)
    others = {"fashion": cnnmnist.load_dataset(data_dir=options.fashion_dir)}
    others["letters"] = cnnmnist.load_dataset(data_dir=pictures)
    table = Table(*HEADINGS)
    table.add_row(*compare(cnnmnist.load_run("pretrained"), mnist))
    for recipe in recipe_names():
        table.add_row(*compare(trained(recipe.rpartition("/")[2], recipe, mnist, options), mnist))
    for name, dataset in others.items():
        table.add_row(*compare(trained(f"tutorial-{name}", "tutorial", dataset, options), dataset))
    Console(width=160).print(table)


main()
