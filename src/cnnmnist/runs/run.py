"""Runs: the metadata and the files of one training.

Modules that import NumPy are imported inside of the methods that need them: not every command does.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cnnmnist.config import ModelConfig
from cnnmnist.errors import DataError, PictureError, RunError, WriteError, raised_as, shell_quoted
from cnnmnist.files import RUN_LOCK, locked, read_file, replacing
from cnnmnist.runs.metadata import MAX_METADATA_BYTES, RunMetadata, Status, parse_metadata, versions

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset
    from cnnmnist.network import Network
    from cnnmnist.runs.metrics import Metrics
    from cnnmnist.runtime import keras


class Run:
    """A training with its ``directory`` and its ``metadata``.

    The metadata hold the recipe, the data set, the iterations done, and the ``ladder``: accuracies on the test
    split after some iterations. :meth:`save` writes them.
    """

    def __init__(self, directory: Path, metadata: RunMetadata, figures: Path | None = None) -> None:
        self.directory = directory
        self.metadata = metadata
        self.name = directory.name
        """Name of the directory."""
        self.figures = figures or directory / "figures"
        """Folder of the figures of the run."""
        self.model_file = directory / "model.keras"
        """The trained network, which Keras can load."""
        self.checkpoints = directory / "checkpoints"
        """Folder of the checkpoints."""
        self.snapshots = directory / "recording"  # the name in earlier versions
        """Folder of the snapshots."""
        self.metrics_file = directory / "metrics.jsonl"
        """One JSON object per iteration: iteration, loss, accuracy, iterations_per_second."""
        self._stored: bytes | None = None
        """The content of ``run.json``, as this process last read or wrote it."""

    @property
    def resume_command(self) -> str:
        """The command that continues the run, for a shell."""
        return f"cnnmnist train --resume {shell_quoted(self.directory)}"

    @property
    def network_description(self) -> tuple[ModelConfig, tuple[int, int], int]:
        """Configuration of the network, height and width of its images, and number of classes."""
        dataset = self.metadata.dataset
        return self.metadata.recipe.model, dataset.image_shape, len(dataset.class_names)

    @classmethod
    def read(cls, directory: Path) -> "Run":
        """Read the metadata of a run directory.

        Raises:
            RunError: they are missing or damaged, or a part of the run is a symbolic link.
        """
        path = directory / "run.json"
        with raised_as(RunError, f"Cannot read {path}"):
            content = read_file(path, MAX_METADATA_BYTES)
        run = cls(directory, parse_metadata(content, path))
        run._stored = content
        for part in (RUN_LOCK, "model.keras", "metrics.jsonl", "checkpoints", "recording", "figures"):
            if os.path.islink(f"{directory}/{part}"):  # noqa: PTH114 - a Path takes longer than all the rest
                raise RunError(
                    f"{directory / part} is a symbolic link: replace it by its target, if you trust the target."
                )
        return run

    def save(self) -> None:
        """Write the metadata.

        Raises:
            WriteError: the file cannot be written.
        """
        content = f"{self.metadata.model_dump_json(indent=2)}\n".encode()
        with replacing(self.directory / "run.json") as temporary:
            temporary.write_bytes(content)
        self._stored = content

    def save_status(self, status: Status) -> None:
        """Write how the training ended, if possible: a write error must not hide the reason why it ended.

        A finished run that could not be continued stays finished.
        """
        if self.metadata.status != "finished":
            self.metadata.status = status
            with contextlib.suppress(WriteError):
                self.save()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training the run; if one has trained it meanwhile, take over its metadata.

        Raises:
            RunError: another process is training the run; or it has changed the metadata, and so has this process.
        """
        with locked(self.directory):
            current = Run.read(self.directory)
            if self._stored is not None and current._stored != self._stored:
                if self.metadata != parse_metadata(self._stored, self.directory):
                    raise RunError(f"Another process has changed the run {self.name} meanwhile: load it again.")
                self.metadata, self._stored = current.metadata, current._stored
            yield

    def version_changes(self) -> str:
        """List the versions that changed since the training, such as ``keras 3.12.0 (now 3.13.1)``."""
        then = self.metadata.versions
        changes = {name: now for name, now in versions().items() if then.get(name) != now}
        return ", ".join(f"{name} {then.get(name)} (now {now})" for name, now in changes.items())

    def load_metrics(self) -> "Metrics":
        """Read the loss and the accuracy of every iteration.

        Raises:
            RunError: the file is missing or damaged.
        """
        from cnnmnist.runs.metrics import load_metrics

        return load_metrics(self.metrics_file, self.metadata.recipe.training.iterations)

    def load_dataset(
        self,
        name: str | None = None,
        data_dir: str | Path | None = None,
        *,
        skip_damaged: bool = False,
        only_test: bool = False,
    ) -> "Dataset":
        """Load the data set of the training, or another one with classes of the network.

        Pictures become images as those of the training did. Classes are found by their names; the labels and the
        class names of the result are those of the network.

        Args:
            name: as for :func:`cnnmnist.data.loading.load_dataset`.
            data_dir: as for :func:`cnnmnist.data.loading.load_dataset`.
            skip_damaged: as for :func:`cnnmnist.data.loading.load_dataset`.
            only_test: whether the test split is enough: to prepare many pictures takes minutes.

        Raises:
            DataError: the data set is missing, differs from the data set of the training, or does not fit the
                network.
            PictureError: pictures are damaged.
        """
        from cnnmnist.data.classes import with_classes
        from cnnmnist.data.loading import load_dataset
        from cnnmnist.data.picture_folders import NetworkInput

        own = self.metadata.dataset
        expected = NetworkInput(own.preparation, own.image_shape, own.background, only_test)
        dataset = None
        if not (name or data_dir):
            dataset = self.load_own_dataset()
        elif data_dir and own.from_pictures:
            with contextlib.suppress(DataError, PictureError):
                dataset = self.load_own_dataset(data_dir)
        if dataset is None:
            dataset = load_dataset(name, data_dir, expected=expected, skip_damaged=skip_damaged)
            dataset = with_classes(dataset, own.class_names, own.digest)
        if dataset.image_shape != own.image_shape:
            raise DataError(
                f"The run {self.name} is for images of {own.image_shape} pixels, which {dataset.source} does not "
                "hold: choose other data with --data-dir or --dataset."
            )
        return dataset

    def load_own_dataset(self, data_dir: str | Path | None = None) -> "Dataset":
        """Load the data set of the training, as it was then, from its folder or from the new place ``data_dir``.

        Raises:
            DataError: the data set is missing, or differs from the data set of the training.
        """
        from cnnmnist.data.classes import with_classes
        from cnnmnist.data.loading import load_dataset

        own = self.metadata.dataset
        if not data_dir and own.data_dir and not os.path.isdir(own.data_dir):  # noqa: PTH112 - Path.is_dir may raise
            raise DataError(
                f"The data folder of the run {self.name}, {own.data_dir}, is not there any more: give its new "
                "place with --data-dir."
            )
        data_dir = data_dir or own.data_dir
        # Damaged pictures do not matter here: if the others are not those of the training, it is said below.
        dataset = load_dataset(own.name, data_dir, skip_damaged=True)
        dataset = with_classes(dataset, own.class_names, own.digest)
        # Without a folder the name is enough, because some copies of MNIST differ in a few faint pixels.
        if data_dir:
            self.check_same(dataset)
        return dataset

    def check_same(self, dataset: "Dataset") -> None:
        """Refuse a data set that differs from the data set of the training.

        Raises:
            DataError: a pixel or a label differs.
        """
        if dataset.digest != self.metadata.dataset.digest:
            raise DataError(
                f"The run {self.name} was trained on other data than {dataset.source}: name its data with "
                "--data-dir or --dataset, or train under another name."
            )

    def has_seen(self, dataset: "Dataset", split: str) -> bool:
        """Whether the run was or may have been trained on images of this split: train, validation or test."""
        own = self.metadata.dataset
        if dataset.digest == own.digest or dataset.name == own.name:
            included = self.metadata.recipe.training.include_validation
            return split == "train" or (split == "validation" and included)
        # The embedded digits are training images of MNIST.
        pair = (own.name, dataset.name)
        return pair == ("mnist", "mnist5k") or (pair == ("mnist5k", "mnist") and split != "test")

    def load_network(self) -> "Network":
        """Load the trained network, which needs no TensorFlow.

        Raises:
            RunError: the run is not finished, or its model file is missing or damaged.
        """
        from cnnmnist.layers import list_layers
        from cnnmnist.model_file import read_weights
        from cnnmnist.network import Network

        if not self.model_file.is_file():
            raise RunError(
                f"The run {self.name} has no trained network yet (status: {self.metadata.status}): "
                f"continue it with `{self.resume_command}`."
            )
        description = self.network_description
        weights = read_weights(list_layers(*description), self.model_file)
        return Network(*description, weights, self.metadata.temperature)

    def load_model(self) -> "keras.Model":
        """Load the trained network in Keras, float32, from images in [0, 1] to logits, for its gradients.

        Raises:
            RunError: the run is not finished, or its model file is missing or damaged.
        """
        weights = self.load_network().weights

        # TensorFlow takes seconds to import, and the other methods do not need it.
        from cnnmnist.model import build_model

        model = build_model(*self.network_description)
        model.set_weights([array for pair in weights.values() for array in pair])
        return model
