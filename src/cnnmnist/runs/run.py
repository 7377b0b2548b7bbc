"""Runs: the metadata and the files of one training."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cnnmnist.data.classes import with_classes
from cnnmnist.data.loading import Dataset, load_dataset
from cnnmnist.data.picture_folders import NetworkInput
from cnnmnist.errors import DataError, PictureError, RunError, WriteError
from cnnmnist.files import replacing
from cnnmnist.runs.metadata import RunMetadata, Status, versions
from cnnmnist.runs.metrics import Metrics, load_metrics

if TYPE_CHECKING:
    from cnnmnist.runtime import keras


class Run:
    """A training with its ``directory`` and its ``metadata``.

    The metadata hold the recipe, the data set, the iterations done, and the ``ladder``: accuracies on the test
    split after some iterations. :meth:`save` writes them.
    """

    def __init__(self, directory: Path, metadata: RunMetadata, figures: Path | None = None) -> None:
        self.directory = directory
        self.metadata = metadata
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

    @property
    def name(self) -> str:
        """Name of the directory."""
        return self.directory.name

    def save(self) -> None:
        """Write the metadata.

        Raises:
            WriteError: the file cannot be written.
        """
        with replacing(self.directory / "run.json") as temporary:
            temporary.write_text(self.metadata.model_dump_json(indent=2) + "\n", "utf-8")

    def save_status(self, status: Status) -> None:
        """Write how the training ended, if possible: a write error must not hide the reason why it ended."""
        self.metadata.status = status
        with contextlib.suppress(WriteError):
            self.save()

    def version_changes(self) -> str:
        """List the versions that changed since the training, such as ``keras 3.12.0 (now 3.13.1)``."""
        then = self.metadata.versions
        changes = {name: now for name, now in versions().items() if then.get(name) != now}
        return ", ".join(f"{name} {then.get(name)} (now {now})" for name, now in changes.items())

    def load_metrics(self) -> Metrics:
        """Read the loss and the accuracy of every iteration.

        Raises:
            RunError: the file is missing or damaged.
        """
        return load_metrics(self.metrics_file)

    def load_dataset(
        self,
        name: str | None = None,
        data_dir: str | Path | None = None,
        *,
        skip_damaged: bool = False,
        only_test: bool = False,
    ) -> Dataset:
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
        own = self.metadata.dataset
        height, width = own.image_shape
        expected = NetworkInput(own.preparation, (height, width), own.background, only_test)
        if name or data_dir:
            dataset = self._load_own_pictures(data_dir) if data_dir and own.from_pictures else None
            dataset = dataset or load_dataset(name, data_dir, expected=expected, skip_damaged=skip_damaged)
            dataset = with_classes(dataset, tuple(own.class_names), own.digest)
        else:
            if own.data_dir and not os.path.isdir(own.data_dir):  # noqa: PTH112 - Path.is_dir may raise
                raise DataError(
                    f"The data folder of the run {self.name}, {own.data_dir}, is not there any more: give its new "
                    "place with --data-dir."
                )
            # Damaged pictures do not matter here: if the others are not those of the training, it is said below.
            dataset = load_dataset(own.name, own.data_dir, skip_damaged=True)
            dataset = with_classes(dataset, tuple(own.class_names), own.digest)
            # Without a folder the name is enough, because some copies of MNIST differ in a few faint pixels.
            if own.data_dir:
                self.check_same(dataset)
        if list(dataset.image_shape) != own.image_shape:
            raise DataError(
                f"The run {self.name} is for images of {own.image_shape} pixels, which {dataset.source} does not "
                "hold: choose other data with --data-dir or --dataset."
            )
        return dataset

    def _load_own_pictures(self, data_dir: str | Path) -> Dataset | None:
        """Load the pictures of the training, as they were then, from a new place; None if others are there."""
        with contextlib.suppress(DataError, PictureError):
            dataset = load_dataset(None, data_dir, skip_damaged=True)
            own = self.metadata.dataset
            if with_classes(dataset, tuple(own.class_names), own.digest).digest == own.digest:
                return dataset
        return None

    def check_same(self, dataset: Dataset) -> None:
        """Refuse a data set that differs from the data set of the training.

        Raises:
            DataError: a pixel or a label differs.
        """
        if dataset.digest != self.metadata.dataset.digest:
            raise DataError(
                f"The run {self.name} was trained on other data than {dataset.source}: name its data with "
                "--data-dir or --dataset."
            )

    def has_seen(self, dataset: Dataset, split: str) -> bool:
        """Whether the run was or may have been trained on images of this split: train, validation or test."""
        own = self.metadata.dataset
        if dataset.digest == own.digest or dataset.name == own.name:
            included = self.metadata.recipe.training.include_validation
            return split == "train" or (split == "validation" and included)
        # The embedded digits are training images of MNIST.
        pair = (own.name, dataset.name)
        return pair == ("mnist", "mnist5k") or (pair == ("mnist5k", "mnist") and split != "test")

    def load_model(self) -> "keras.Model":
        """Load the trained network, float32, from images in [0, 1] to logits.

        Raises:
            RunError: the run is not finished, or its model file is missing or damaged.
        """
        if not self.model_file.is_file():
            raise RunError(
                f"The run {self.name} has no trained network yet (status: {self.metadata.status}): "
                f"continue it with `cnnmnist train --resume {self.directory}`."
            )

        # TensorFlow takes seconds to import, and the other methods do not need it.
        from cnnmnist.model import build_model
        from cnnmnist.model_file import load_weights

        dataset = self.metadata.dataset
        height, width = dataset.image_shape
        model = build_model(self.metadata.recipe.model, (height, width), len(dataset.class_names))
        load_weights(model, self.model_file)
        return model
