"""A run: one training, the directory that holds all it left behind, and what to read from there."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnnmnist.data.loading import Dataset, load_dataset
from cnnmnist.errors import DataError, RunError, WriteError
from cnnmnist.files import replacing
from cnnmnist.runs.metadata import RunMetadata, Status, versions
from cnnmnist.runs.metrics import Metrics, load_metrics

if TYPE_CHECKING:
    from cnnmnist.runtime import keras


class Run:
    """A training with its ``directory`` and its ``metadata``.

    The metadata hold the recipe, the data, the iterations done and the ``ladder`` of accuracies on the test split;
    :meth:`save` writes them.
    """

    def __init__(self, directory: Path, metadata: RunMetadata, figures: Path | None = None) -> None:
        self.directory = directory
        self.metadata = metadata
        self.figures = figures or directory / "figures"
        """Where figures of the run go."""

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.directory.name

    @property
    def model_file(self) -> Path:
        """The trained network, which plain Keras opens."""
        return self.directory / "model.keras"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.directory / "checkpoints"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.directory / "recording"  # the name that earlier versions gave it

    @property
    def metrics_file(self) -> Path:
        """One JSON object per iteration: iteration, loss, accuracy, iterations_per_second."""
        return self.directory / "metrics.jsonl"

    def save(self) -> None:
        """Write the metadata.

        Raises:
            WriteError: they cannot be written.
        """
        with replacing(self.directory / "run.json") as temporary:
            temporary.write_text(self.metadata.model_dump_json(indent=2) + "\n", "utf-8")

    def save_status(self, status: Status) -> None:
        """Write how the training ended, if that is possible; the reason why it ended matters more."""
        self.metadata.status = status
        with contextlib.suppress(WriteError):
            self.save()

    def version_changes(self) -> str:
        """Versions that changed since the run was made, such as ``keras 3.12.0 (now 3.13.1)``; empty for none."""
        then = self.metadata.versions
        changes = {name: now for name, now in versions().items() if then.get(name) != now}
        return ", ".join(f"{name} {then.get(name)} (now {now})" for name, now in changes.items())

    def load_metrics(self) -> Metrics:
        """Loss and accuracy of every iteration.

        Raises:
            RunError: the file is missing or damaged.
        """
        return load_metrics(self.metrics_file)

    def load_dataset(self, name: str | None = None, data_dir: str | Path | None = None) -> Dataset:
        """Load the data that the run was trained on, or other data that the caller names.

        Raises:
            DataError: the data are missing, differ from those of the training, or do not fit the network.
        """
        if name or data_dir:
            return self._fitting(load_dataset(name, data_dir))
        own = self.metadata.dataset
        dataset = load_dataset(own.name, own.data_dir)
        # Some copies of MNIST differ in a few faint pixels, so that its name is enough.
        if own.data_dir:
            self.check_same(dataset)
        return self._fitting(dataset)

    def check_same(self, dataset: Dataset) -> None:
        """Refuse data that differ from those of the training.

        Raises:
            DataError: a pixel or a label differs.
        """
        if dataset.digest != self.metadata.dataset.digest:
            raise DataError(
                f"The run {self.name} was trained on other data than those of {dataset.source}: "
                "name the data to use with --data-dir or --dataset."
            )

    def _fitting(self, dataset: Dataset) -> Dataset:
        own, classes = self.metadata.dataset, len(dataset.class_names)
        if list(dataset.image_shape) != own.image_shape or classes > len(own.class_names):
            raise DataError(
                f"The run {self.name} is for {len(own.class_names)} classes of images of "
                f"{own.image_shape} pixels, and the data of {dataset.source} are not: choose others."
            )
        if classes < len(own.class_names):  # a folder in which the last labels do not occur
            dataset = replace(dataset, class_names=tuple(own.class_names))
        return dataset

    def has_seen(self, dataset: Dataset, split: str) -> bool:
        """Whether images of this split were, or may have been, among those that the run was trained on."""
        if dataset.digest == self.metadata.dataset.digest or dataset.name == self.metadata.dataset.name:
            included = self.metadata.recipe.training.include_validation
            return split == "train" or (split == "validation" and included)
        # The embedded digits are training images of MNIST.
        pair = (self.metadata.dataset.name, dataset.name)
        return pair == ("mnist", "mnist5k") or (pair == ("mnist5k", "mnist") and split != "test")

    def load_model(self) -> "keras.Model":
        """The trained network, float32, from images in [0, 1] to logits.

        Raises:
            RunError: the run has not finished, or its model file is missing or damaged.
        """
        if not self.model_file.is_file():
            raise RunError(
                f"The run {self.name} has no trained network yet (status: {self.metadata.status}): "
                f"continue it with `cnnmnist train --resume {self.directory}`."
            )

        # TensorFlow takes seconds to import, which a look at the run need not wait for.
        from cnnmnist.model import build_model
        from cnnmnist.weights import load_weights

        height, width = self.metadata.dataset.image_shape
        model = build_model(self.metadata.recipe.model, (height, width), len(self.metadata.dataset.class_names))
        load_weights(model, self.model_file)
        return model
