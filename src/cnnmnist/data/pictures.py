"""Pictures: files of any common format, size and mode, read as pixels."""

import contextlib
import io
import math
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from cnnmnist.errors import PictureError, raised_as
from cnnmnist.files import open_file

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
STANDARD_INPUT = Path("-")
MAX_FILE_BYTES = 100_000_000
MAX_PIXELS = 64_000_000  # of the file; the camera of a telephone has about 50 million
WORKING_PIXELS = 1_000_000  # of the picture in which digits are searched
DARK, LIGHT = 64, 191  # grey levels below and above which a background is certainly dark or light

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """The pixels of a picture file."""

    pixels: Pixels
    """Red, green and blue, float32 (height, width, 3) in [0, 1], of at most about a million pixels."""
    size: tuple[int, int]
    """Width and height of the upright picture in the file, in pixels."""


def read_picture(path: Path) -> Picture:
    """Read a picture file, or standard input for ``-``: upright, opaque, reduced to about a million pixels.

    Raises:
        PictureError: the file is missing, empty, damaged, animated, too large, or not a picture.
    """
    name = "Standard input" if path == STANDARD_INPUT else str(path)
    content = _read(path, name)
    # Pillow raises nearly anything for a damaged file, and warns of harmless defects.
    with (
        raised_as(PictureError, f"{name} is a damaged picture", Exception),
        warnings.catch_warnings(action="ignore"),
    ):
        return _decode(content, name)


def fit_picture(pixels: Pixels, image_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Make a picture grey, scale it with its aspect kept, and pad it with the median along its edge.

    Args:
        pixels: as :func:`read_picture` reads them.
        image_shape: height and width of the result, which is uint8, in pixels.
    """
    grey = Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).convert("L")
    height, width = image_shape
    background = int(edge_level(np.asarray(grey)))
    return np.asarray(ImageOps.pad(grey, (width, height), Image.Resampling.LANCZOS, color=background))


def prepare_whole(
    pixels: Pixels, image_shape: tuple[int, int], background: int | None = None
) -> NDArray[np.uint8]:
    """Make a whole picture an image like those of the training, negated where they are dark and it is light.

    Fashion-MNIST, for example, was made from photographs on white by negating them: H. Xiao et al., 2017,
    https://arxiv.org/abs/1708.07747.

    Args:
        pixels: as :func:`read_picture` reads them.
        image_shape: height and width of the result, which is uint8, in pixels.
        background: grey level of the training images' background, 0 to 255, or None to negate no picture.
    """
    image = fit_picture(pixels, image_shape)
    levels = [edge_level(image), *([] if background is None else [background])]
    return 255 - image if min(levels) < DARK and max(levels) > LIGHT else image


def edge_level(values: NDArray[Any]) -> float:
    """The median of the values along the edges of a picture, (height, width)."""
    return float(np.median(np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])))


def _read(path: Path, name: str) -> bytes:
    with (
        raised_as(PictureError, f"Cannot read {name}"),
        contextlib.nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else open_file(path) as file,
    ):
        content = file.read(MAX_FILE_BYTES + 1)
    if not content:
        raise PictureError(f"{name} is empty: a picture of a digit was expected.")
    if len(content) > MAX_FILE_BYTES:
        raise PictureError(f"{name} is larger than {MAX_FILE_BYTES // 1_000_000} MB: reduce the picture.")
    return content


def _decode(content: bytes, name: str) -> Picture:
    too_large = f"{name} is larger than {MAX_PIXELS // 1_000_000} million pixels: reduce the picture."
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM picture.") from error
    except Image.DecompressionBombError as error:
        raise PictureError(too_large) from error
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PictureError(too_large)
        # Pillow calls a JPEG file MPO if it also holds the depth or brightness maps of a telephone's camera.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise PictureError(f"{name} holds more than one picture: save one of them as a file.")
        factor = math.ceil(math.sqrt(width * height / WORKING_PIXELS))
        image.draft("RGB", (width // factor, height // factor))
        factor = math.ceil(math.sqrt(image.width * image.height / WORKING_PIXELS))
        upright = ImageOps.exif_transpose(image)
        turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)  # by a quarter
        return Picture(_to_pixels(upright, factor), (height, width) if turned else (width, height))


def _to_pixels(upright: Image.Image, factor: int) -> Pixels:
    transparent = upright.has_transparency_data
    # 16 or 32 bits for each pixel, which Pillow would clip at 255.
    if not transparent and upright.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(upright, np.float32), posinf=0, neginf=0)
        values -= values.min()
        upright = Image.fromarray((values / (values.max() or 1) * 255).astype(np.uint8))
    image = upright.convert("RGBA" if transparent else "RGB").reduce(factor)
    pixels = np.asarray(image, np.float32) / np.float32(255)
    return _composite(pixels) if transparent else pixels


def _composite(pixels: Pixels) -> Pixels:
    """Put a picture with alpha, (height, width, 4), on a background.

    A picture of one brightness gets the opposite brightness as its background. Any other picture has a background,
    the median of its visible pixels, which fills the transparent pixels, too.
    """
    colors, alpha = pixels[..., :3], pixels[..., 3:]
    visible = colors[alpha[..., 0] > 0.5]
    if not len(visible):
        return np.zeros_like(colors)
    low, high = np.percentile(visible.mean(axis=1), (2, 98))
    background = np.median(visible, axis=0) if high - low > 0.25 else np.float32((low + high) / 2 < 0.5)
    composite: Pixels = (alpha * colors + (1 - alpha) * background).astype(np.float32)
    return composite
