"""Coarse digits: digits as a small or blurred picture shows them, on few pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.ink import crop, inked
from cnnmnist.data.preprocessing import clear_ink, digit_image

PIXELS = 10, 14  # of the coarse image's side, whose digit has 20/28 of it
FINE = 12  # times as many pixels has the enlarged image

Images = NDArray[np.uint8]


def draw_coarse(images: Images, labels: Images, count: int, rng: np.random.Generator) -> tuple[Images, Images]:
    """Show some digits on coarse pixels, and prepare them as ``predict`` prepares a small picture.

    Args:
        images: of digits, uint8 (n, height, width); at least one has ink.
        labels: of the digits, uint8 (n,).
        count: number of coarse digits.
        rng: its random numbers decide which digits, and their pixels.

    Returns:
        Images, uint8 (count, height, width), and labels, uint8 (count,).
    """
    chosen = rng.choice(inked(images), count)
    drawn = np.empty((count, *images.shape[1:]), np.uint8)
    for image, number in zip(drawn, chosen, strict=True):
        side = int(rng.integers(PIXELS[0], PIXELS[1] + 1))
        coarse = cv2.resize(images[number].astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
        fine = cv2.resize(coarse, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
        full = coarse[coarse > coarse.max() / 2].mean()
        image[:] = digit_image(crop(clear_ink(fine / full)), image.shape)
    return drawn, labels[chosen]
