"""Reader of drawings: the network of a run, its answers, and the outputs of its layers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.pictures import prepare_whole
from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.prediction import probabilities
from cnnmnist.runs.run import Run

Bytes = NDArray[np.uint8]

DRAWING_SIDE = 196  # pixels; enough to measure the strokes of a digit
MAX_MAPS = 64  # of a layer; on a page with more, nobody could tell them apart


@dataclass(frozen=True)
class Reading:
    """The answers of a network for images, and the outputs of its layers."""

    images: Bytes
    """Images before the network scales them, uint8 (n, height, width); ink is 255."""
    probabilities: NDArray[np.float32]
    """Probabilities of the classes, float32 (n, classes)."""
    maps: dict[str, Bytes]
    """Outputs by convolutional layer, after its pooling and activation, uint8 (n, filters, height, width).

    The minimum of each output is 0 and its maximum is 255, as in
    :func:`cnnmnist.visualization.grids.activation_grid`.
    """


class Reader:
    """The network of a run, ready to answer at once; any thread may use it.

    Raises:
        RunError: the run has no trained network, or its file is damaged.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.data = run.metadata.dataset
        self._network = run.load_network()
        shapes = {
            layer.group: layer.output_shape for layer in self._network.layers if len(layer.output_shape) == 3
        }
        self.map_shapes = {name: (*shape[:2], min(shape[2], MAX_MAPS)) for name, shape in shapes.items()}
        """Height, width and number of the maps, by layer."""
        # Read a stroke, so that everything is imported, traced and compiled before the first drawing.
        height, width = self.drawing_shape
        stroke = np.full((height, width), 255, np.uint8)
        stroke[height // 4 : -height // 4, width // 2 : width // 2 + width // 12] = 0
        for _ in range(3):
            self.read_drawing(stroke)

    @property
    def drawing_shape(self) -> tuple[int, int]:
        """Height and width of a drawing in pixels, a multiple of the height and width of an image."""
        height, width = self.data.image_shape
        factor = DRAWING_SIDE // max(height, width)
        return height * factor, width * factor

    def read_drawing(self, drawing: Bytes) -> Reading:
        """Prepare a drawing as ``cnnmnist predict`` prepares a picture, and read it.

        Args:
            drawing: grey levels, uint8 (height, width), of any size; ink is 0 on paper of 255.

        Raises:
            PictureError: nothing is drawn, or no digit.
        """
        grey = drawing.astype(np.float32) / np.float32(255)
        pixels = np.repeat(grey[..., np.newaxis], 3, axis=2)
        height, width = self.data.image_shape
        if self.data.preparation == "whole":
            images = prepare_whole(pixels, (height, width), self.data.background)[np.newaxis]
        else:
            images = prepare_picture(pixels, (height, width), name="The drawing")
        return self.read_images(images)

    def read_images(self, images: Bytes) -> Reading:
        """Read images of the network's height and width, uint8 (n, height, width); ink is 255."""
        outputs = self._network.outputs(images)
        maps = {name: _stretched(np.moveaxis(outputs[name][..., :MAX_MAPS], -1, 1)) for name in self.map_shapes}
        return Reading(images, probabilities(outputs["logits"]), maps)


def _stretched(maps: NDArray[np.float32]) -> Bytes:
    """Scale each map from 0 at its minimum to 255 at its maximum; a map of equal values becomes 0."""
    low, high = maps.min((2, 3), keepdims=True), maps.max((2, 3), keepdims=True)
    stretched: Bytes = np.rint((maps - low) / np.where(high > low, high - low, 1) * 255).astype(np.uint8)
    return stretched
