"""A picture file of a user, whatever its format, size and mode -> its pixels, or a sentence why not."""

import io
import math
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnnmnist.errors import PictureError, reason

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
STANDARD_INPUT = Path("-")
MAX_FILE_BYTES = 100_000_000
MAX_PIXELS = 64_000_000  # of the picture; a telephone's camera has about 50 million
WORKING_PIXELS = 1_000_000  # digits of any picture are looked for in no more than these

Pixels = NDArray[np.float32]


def read_picture(path: Path) -> Pixels:
    """Decode a picture file, upright and without transparency, reduced to about a million pixels.

    Args:
        path: a PNG, JPEG, BMP, TIFF, WebP or GIF file, or ``-`` for standard input.

    Returns:
        float32 (height, width, 3): red, green and blue in [0, 1].

    Raises:
        PictureError: it is missing, empty, damaged, animated, too large, or not a picture.
    """
    name = "Standard input" if path == STANDARD_INPUT else str(path)
    content = _read(path, name)
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of oddities that do no harm
            return _decode(content, name)
    except PictureError:
        raise
    # Pillow raises whatever a damaged file leads it to; all of it means the same here.
    except Exception as error:
        raise PictureError(f"{name} is a damaged picture: {reason(error)}.") from error


def fit_picture(pixels: Pixels, image_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Make a picture a grey image of another size, its aspect kept, on a ground like that along its edge.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`read_picture` returns them.
        image_shape: height and width to have.

    Returns:
        uint8 ``image_shape``.
    """
    from PIL import Image, ImageOps

    grey = Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).convert("L")
    values = np.asarray(grey)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    height, width = image_shape
    ground = int(np.median(edge))
    return np.asarray(ImageOps.pad(grey, (width, height), Image.Resampling.LANCZOS, color=ground))


def _read(path: Path, name: str) -> bytes:
    try:
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        raise PictureError(f"Cannot read {name}: {reason(error)}.") from error
    if not content:
        raise PictureError(f"{name} is empty: a picture of a digit was expected.")
    if len(content) > MAX_FILE_BYTES:
        raise PictureError(f"{name} is larger than {MAX_FILE_BYTES // 1_000_000} MB: reduce the picture.")
    return content


def _decode(content: bytes, name: str) -> Pixels:
    from PIL import Image, ImageOps, UnidentifiedImageError

    too_large = f"{name} is larger than {MAX_PIXELS // 1_000_000} million pixels: reduce the picture."
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is not a PNG, JPEG, BMP, TIFF, WebP or GIF picture.") from error
    except Image.DecompressionBombError as error:
        raise PictureError(too_large) from error
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PictureError(too_large)
        # The further pictures of a JPEG file (then called MPO) are a telephone's depth or brightness maps.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise PictureError(
                f"{name} holds more than one picture: save the one to be read in a file of its own."
            )
        factor = math.ceil(math.sqrt(width * height / WORKING_PIXELS))
        image.draft("RGB", (width // factor, height // factor))
        factor = math.ceil(math.sqrt(image.width * image.height / WORKING_PIXELS))
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            return _composite(_scaled(upright.convert("RGBA").reduce(factor)))
        return _opaque(upright, factor)


def _opaque(image: "PillowImage", factor: int) -> Pixels:
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # 16 or 32 bits for each pixel, which Pillow would clip at 255
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        values -= values.min()
        image = Image.fromarray((values / (values.max() or 1) * 255).astype(np.uint8))
    return _scaled(image.convert("RGB").reduce(factor))


def _scaled(image: "PillowImage") -> Pixels:
    return np.asarray(image, np.float32) / np.float32(255)


def _composite(pixels: Pixels) -> Pixels:
    """Put a picture with alpha, (height, width, 4), on the ground it was made for.

    What is drawn in one brightness needs a ground of the opposite one. Otherwise the picture has a ground of its
    own, which goes on.
    """
    colors, alpha = pixels[..., :3], pixels[..., 3:]
    visible = colors[alpha[..., 0] > 0.5]
    if not len(visible):
        return np.zeros_like(colors)
    low, high = np.percentile(visible.mean(axis=1), (2, 98))
    ground = np.median(visible, axis=0) if high - low > 0.25 else np.float32((low + high) / 2 < 0.5)
    composite: Pixels = (alpha * colors + (1 - alpha) * ground).astype(np.float32)
    return composite
