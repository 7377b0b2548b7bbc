"""``cnnmnist data``: what data sets there are, where they are, and what is in them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import Command, Terminal, data_dir_option, json_option

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset

SPLITS = ("train", "validation", "test")


@click.group()
def command() -> None:
    """Data sets: what there is, and preparing a machine before it goes offline.

    \b
    cnnmnist data list
    cnnmnist data fetch fashion-mnist
    cnnmnist data info
    """


@command.command("list", cls=Command)
@json_option
def list_known(as_json: bool) -> None:
    """List the data sets that have a name, and where on this machine they are."""
    from cnnmnist.data.loading import locate
    from cnnmnist.data.registry import DATASETS

    terminal = Terminal(as_json)
    entries = [
        {"name": name, "classes": list(known.class_names), "source": locate(name), "mirrors": list(known.mirrors)}
        for name, known in DATASETS.items()
    ]
    for entry in entries:
        where = entry["source"] or f"not here: cnnmnist data fetch {entry['name']}"
        terminal.out.print(f"{entry['name']:<14} {where}")
    terminal.result(entries)


@command.command(cls=Command)
@click.argument("name")
@json_option
def fetch(name: str, as_json: bool) -> None:
    """Download the data set NAME to the cache, unless it is on this machine already."""
    from cnnmnist.cli.downloads import DownloadBar
    from cnnmnist.data.loading import load_dataset

    terminal = Terminal(as_json)
    with DownloadBar(terminal) as progress:
        dataset = load_dataset(name, progress=progress)
    terminal.out.print(f"{dataset.name}: {dataset.source}")
    terminal.result(_document(dataset))


@command.command(cls=Command)
@click.argument("name", required=False)
@data_dir_option
@json_option
def info(name: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Show what is in a data set: NAME, a folder, or else what `cnnmnist train` would take.

    Nothing is downloaded.
    """
    from cnnmnist.data.loading import load_dataset, locate
    from cnnmnist.data.registry import DATASETS
    from cnnmnist.errors import DataError

    terminal = Terminal(as_json)
    if data_dir is None and name in DATASETS and locate(name) is None:
        raise DataError(f"The data set {name} is not on this machine: get it with `cnnmnist data fetch {name}`.")
    if data_dir is None and name is None and locate("mnist") is None:
        terminal.err.print("MNIST is not on this machine: get it with `cnnmnist data fetch mnist`.")
        name = "mnist5k"
    dataset = load_dataset(name, data_dir)
    _show(dataset, terminal)
    terminal.result(_document(dataset))


def _counts(dataset: "Dataset") -> dict[str, list[int]]:
    """Images of each class, by split."""
    import numpy as np

    classes = len(dataset.class_names)
    return {name: np.bincount(dataset.split(name).labels, minlength=classes).tolist() for name in SPLITS}


def _document(dataset: "Dataset") -> dict[str, Any]:
    return {
        "name": dataset.name,
        "source": dataset.source,
        "digest": dataset.digest,
        "image_shape": list(dataset.image_shape),
        "class_names": list(dataset.class_names),
        "splits": {name: len(dataset.split(name)) for name in SPLITS},
        "class_counts": _counts(dataset),
    }


def _show(dataset: "Dataset", terminal: Terminal) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    height, width = dataset.image_shape
    terminal.out.print(f"{dataset.name}: {dataset.source}", style="bold")
    terminal.out.print(f"Images: {height}x{width} pixels, in {len(dataset.class_names)} classes")
    terminal.out.print(f"Digest: sha256:{dataset.digest}")
    table = Table(box=box.SIMPLE, show_footer=True)
    table.add_column("class", footer="all")
    counts = _counts(dataset)
    for name, of_classes in counts.items():
        table.add_column(name, footer=f"{sum(of_classes):,}", justify="right")
    for number, name in enumerate(dataset.class_names):
        table.add_row(Text(name), *(f"{of_classes[number]:,}" for of_classes in counts.values()))
    terminal.out.print(table, soft_wrap=False)
