"""What the tests of figures share."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnmnist.data.registry import DATASETS

FASHION = list(DATASETS["fashion-mnist"].class_names)


def digits(rng, count):
    return rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count)


def render(figure):
    """The figure's pixels, uint8 (height, width, 3), first row on top."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def overlapping(boxes):
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
