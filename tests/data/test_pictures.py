"""Picture files of every kind: read, or refused in a sentence."""

import functools
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnmnist.data.pictures import prepare_whole, read_picture
from cnnmnist.errors import PictureError
from support.pictures import digit, likeness, read


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp", "gif"])
def test_every_format(reference, tmp_path, suffix):
    (image,) = read(digit(), tmp_path / f"digit.{suffix}")
    assert likeness(image, reference) > 0.95


YCBCR = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow 13 is the first that reads such a TIFF file"
)


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", pytest.param("YCbCr", marks=YCBCR), "I;16", "F", "I"],
)
def test_every_mode(reference, tmp_path, mode):
    grey = digit()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode in ("F", "I"):
        image = Image.fromarray(np.asarray(grey).astype(np.float32 if mode == "F" else np.int32) * 3 - 100)
    else:
        image = (grey.convert("RGB") if mode in ("CMYK", "YCbCr", "P") else grey).convert(mode, dither=0)
    assert image.mode == mode
    (prepared,) = read(image, tmp_path / "digit.tiff")
    assert likeness(prepared, reference) > 0.95


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 30, 30)])
def test_ink_on_a_transparent_ground(reference, tmp_path, color):
    image = Image.new("RGBA", digit().size, color)
    image.putalpha(digit(invert=True))
    (prepared,) = read(image, tmp_path / "digit.png")
    assert likeness(prepared, reference) > 0.95


def test_an_opaque_card_on_a_transparent_ground(reference, tmp_path):
    image = Image.new("RGBA", (600, 600), (0, 0, 0, 0))
    image.paste(digit().convert("RGBA"), (140, 140))
    (prepared,) = read(image, tmp_path / "card.png")
    assert likeness(prepared, reference) > 0.95


def test_the_orientation_of_a_camera_is_heeded(reference, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to look at it
    turned = digit().transpose(Image.Transpose.ROTATE_90)
    (prepared,) = read(turned, tmp_path / "turned.jpg", exif=exif)
    assert likeness(prepared, reference) > 0.95


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@functools.cache
def encoded(suffix):
    buffer = io.BytesIO()
    digit(side=60, margin=10).save(buffer, suffix)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"not a picture", "is not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM picture"),
        (bomb(60_000), "is larger than 64 million pixels"),
        (bomb(9_000), "is larger than 64 million pixels"),
        (encoded("PNG")[:200], "is a damaged picture"),
        (encoded("JPEG")[:200], "is a damaged picture|is not a PNG"),
    ],
)
def test_what_is_not_a_whole_picture_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "digit.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_animation_and_a_missing_file_and_a_folder(tmp_path):
    path = tmp_path / "animated.gif"
    digit().save(path, save_all=True, append_images=[digit(1)])
    with pytest.raises(PictureError, match="more than one picture"):
        read_picture(path)
    for path in (tmp_path / "missing.png", tmp_path, Path("a\0b")):
        with pytest.raises(PictureError, match="Cannot read"):
            read_picture(path)


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"]),
    place=st.floats(0, 1),
    replacement=st.binary(max_size=8),
    cut=st.booleans(),
)
def test_a_damaged_picture_is_read_or_refused(tmp_path_factory, suffix, place, replacement, cut):
    content = encoded(suffix)
    first = int(place * len(content))
    rest = b"" if cut else content[first + len(replacement) :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[:first] + replacement + rest)
    try:
        pixels = read_picture(path).pixels
    except PictureError:
        return
    assert pixels.shape[2] == 3
    assert 0 <= pixels.min() <= pixels.max() <= 1


@pytest.mark.parametrize("own", [0, 40, 120, 200, 255])
@pytest.mark.parametrize("background", [None, 0, 40, 120, 200, 255])
def test_a_whole_picture_is_negated_only_if_its_background_is_certainly_the_other(
    own: int, background: int | None
) -> None:
    pixels = np.full((50, 70, 3), own / 255, np.float32)
    pixels[20:30, 20:40] = 0.5
    image = prepare_whole(pixels, (20, 28), background)
    opposite = background is not None and {own < 64, background < 64} == {own > 191, background > 191} == {
        False,
        True,
    }
    assert image.shape == (20, 28)
    assert abs(int(image[0, 0]) - (255 - own if opposite else own)) <= 1
