"""Letters: images like MNIST's of printed letters, from which a network learns what is no digit."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cnnmnist.data.ink import crop
from cnnmnist.data.preprocessing import clear_ink, digit_image

FONTS = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "cmb10", "cmmi10", "cmr10", "cmss10")
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYacdefhkmnprtuvwxy"  # the others look like digits
SIDE = 96  # pixels of a letter's sheet
BEND, WAVES = 2.5, 4  # standard deviation of a letter's displacement in pixels; its random values along each side


def draw_letters(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw letters in the fonts that come with Matplotlib, bent as if they were written by hand.

    Args:
        count: number of images.
        rng: its random numbers decide the images.

    Returns:
        uint8 (count, 28, 28), prepared as :func:`cnnmnist.data.preprocessing.digit_image` prepares digits.
    """
    import matplotlib  # takes long, and is needed only here

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    basic = ImageFont.Layout.BASIC  # the other one is not installed everywhere
    fonts = [ImageFont.truetype(folder / f"{name}.ttf", SIDE // 2, layout_engine=basic) for name in FONTS]
    images = np.empty((count, 28, 28), np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for image in images:
        sheet = Image.new("L", (SIDE, SIDE))
        font, letter = fonts[rng.integers(len(fonts))], LETTERS[rng.integers(len(LETTERS))]
        ImageDraw.Draw(sheet).text((SIDE // 2, SIDE // 2), letter, fill=255, font=font, anchor="mm")
        waves = rng.normal(0, BEND, (2, WAVES, WAVES)).astype(np.float32)
        right, down = (cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for each in waves)
        ink = cv2.remap(np.asarray(sheet, np.float32) / 255, x + right, y + down, cv2.INTER_LINEAR)
        image[:] = digit_image(crop(clear_ink(ink)), image.shape)
    return images
