"""``cnnmnist data``."""

from pathlib import Path
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.command import EPILOG, Command
from cnnmnist.cli.completion import DATASET
from cnnmnist.cli.options import data_dir_option, json_option, skip_damaged_option
from cnnmnist.cli.progress import download_bar
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.data.registry import DATASETS
from cnnmnist.errors import DataError


@click.group(epilog=EPILOG)
def command() -> None:
    """List, download and inspect data sets.

    \b
    cnnmnist data list
    cnnmnist data fetch fashion-mnist
    cnnmnist data info
    """


@command.command("list", cls=Command)
@json_option
def list_known(as_json: bool) -> None:
    """List the data sets that the program knows by name, and where they are."""
    from cnnmnist.data.loading import locate

    terminal = Terminal(as_json)
    entries = [
        {"name": name, "classes": list(known.class_names), "source": locate(name), "mirrors": list(known.mirrors)}
        for name, known in DATASETS.items()
    ]
    for entry in entries:
        where = entry["source"] or f"not here: cnnmnist data fetch {entry['name']}"
        terminal.out.print(f"{entry['name']:<15} {where}")
    terminal.result(entries)


@command.command(cls=Command, short_help="Download a data set to the cache.")
@click.argument("name", type=DATASET)
@json_option
def fetch(name: str, as_json: bool) -> None:
    """Download the data set NAME to the cache, unless this machine has it already."""
    terminal = Terminal(as_json)
    with download_bar(terminal) as progress:
        dataset = cnnmnist.load_dataset(name, progress=progress)
    terminal.out.print(f"{dataset.name}: {dataset.source}")
    terminal.result(_document(dataset))


@command.command(cls=Command, short_help="Show the sizes, classes and digest of a data set.")
@click.argument("name", type=DATASET, required=False)
@data_dir_option
@skip_damaged_option
@json_option
def info(name: str | None, data_dir: Path | None, skip_damaged: bool, as_json: bool) -> None:
    """Show the sizes, classes and digest of a data set.

    The data set is NAME, or the folder of --data-dir, or the one that `cnnmnist train` uses by default. Nothing is
    downloaded.
    """
    from cnnmnist.data.loading import locate

    terminal = Terminal(as_json)
    if data_dir is None and name in DATASETS and locate(name) is None:
        raise DataError(f"The data set {name} is not on this machine: get it with `cnnmnist data fetch {name}`.")
    if data_dir is None and name is None and locate("mnist") is None:
        terminal.message("MNIST is not on this machine: get it with `cnnmnist data fetch mnist`.")
        name = "mnist5k"
    dataset = cnnmnist.load_dataset(name, data_dir, skip_damaged=skip_damaged)
    terminal.warn_of_data(dataset)
    document = _document(dataset)
    _show(document, terminal)
    terminal.result(document)


def _document(dataset: "cnnmnist.Dataset") -> dict[str, Any]:
    classes = range(len(dataset.class_names))
    labels = {name: dataset.split(name).labels for name in dataset.splits}
    return {
        "name": dataset.name,
        "source": dataset.source,
        "digest": dataset.digest,
        "image_shape": list(dataset.image_shape),
        "class_names": list(dataset.class_names),
        "preparation": dataset.preparation,
        "splits": dataset.splits,
        "class_counts": {name: [int((each == label).sum()) for label in classes] for name, each in labels.items()},
        "notes": list(dataset.notes),
    }


def _show(document: dict[str, Any], terminal: Terminal) -> None:
    names, counts = document["class_names"], document["class_counts"].values()
    height, width = document["image_shape"]
    terminal.out.print(f"{document['name']}: {document['source']}", style="bold")
    terminal.out.print(f"Images: {height}x{width} pixels, in {len(names)} classes")
    terminal.out.print(f"Digest: sha256:{document['digest']}")
    rows = [(name, *(f"{of_classes[number]:,}" for of_classes in counts)) for number, name in enumerate(names)]
    total = ("all", *(f"{size:,}" for size in document["splits"].values()))
    terminal.out.print(make_table(["class", *document["splits"]], rows, total=total))
