"""What the tests of pictures share: a digit as a large picture, and how alike two images are."""

import itertools

import numpy as np
from PIL import Image

from cnnmnist.data.loading import load_dataset
from cnnmnist.data.pictures import read_picture
from cnnmnist.data.preprocessing import prepare_picture

TEST = load_dataset("mnist5k").test


def digit(index=0, side=200, margin=60, invert=False):
    """An MNIST digit as a large picture, dark on light."""
    ink = Image.fromarray(TEST.images[index]).resize((side, side), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (side + 2 * margin,) * 2, 0)
    sheet.paste(ink, (margin, margin))
    return sheet if invert else Image.fromarray(255 - np.asarray(sheet))


def read(image, path, **options):
    image.save(path, **options)
    return prepare_picture(read_picture(path).pixels)


def likeness(one, other):
    """Correlation of two images, of which one may have been centred a pixel away."""
    shifted = [np.roll(other, shift, (0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)]
    return max(float(np.corrcoef(one.ravel(), each.ravel())[0, 1]) for each in shifted)
