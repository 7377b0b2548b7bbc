"""Letters: images like MNIST's of printed letters, from which a network learns what is no digit."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cnnmnist.data.preprocessing import digit_image

FONTS = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "cmb10", "cmmi10", "cmr10", "cmss10")
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYacdefhkmnprtuvwxy"  # the others look like digits
SIDE = 96  # pixels of a letter's sheet
BEND, WAVES = 2.5, 4  # standard deviation of a letter's displacement in pixels; its random values along each side
INK = 0.2  # of full ink; fainter pixels are not part of the letter


def draw_letters(
    count: int, rng: np.random.Generator, image_shape: tuple[int, int] = (28, 28)
) -> NDArray[np.uint8]:
    """Draw letters in the fonts that come with Matplotlib, bent as if they were written by hand.

    Args:
        count: number of images.
        rng: its random numbers decide the images.
        image_shape: height and width of an image in pixels.

    Returns:
        uint8 (count, height, width), prepared as :func:`cnnmnist.data.preprocessing.digit_image` prepares digits.
    """
    import matplotlib  # takes long, and is needed only here

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    basic = ImageFont.Layout.BASIC  # the other one is not installed everywhere
    fonts = [ImageFont.truetype(folder / f"{name}.ttf", SIDE // 2, layout_engine=basic) for name in FONTS]
    images = np.empty((count, *image_shape), np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for image in images:
        sheet = Image.new("L", (SIDE, SIDE))
        font, letter = fonts[rng.integers(len(fonts))], LETTERS[rng.integers(len(LETTERS))]
        ImageDraw.Draw(sheet).text((SIDE // 2, SIDE // 2), letter, fill=255, font=font, anchor="mm")
        waves = rng.normal(0, BEND, (2, WAVES, WAVES)).astype(np.float32)
        right, down = (cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for each in waves)
        ink = cv2.remap(np.asarray(sheet, np.float32) / 255, x + right, y + down, cv2.INTER_LINEAR)
        left, top, width, height = cv2.boundingRect((ink > INK).astype(np.uint8))
        image[:] = digit_image(ink[top : top + height, left : left + width], image_shape)
    return images
