"""Picture files of every kind, and the digits found in them."""

import functools
import io
import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cnnmnist.data.loading import load_dataset
from cnnmnist.data.pictures import read_picture
from cnnmnist.data.preprocessing import prepare_picture
from cnnmnist.errors import PictureError

TEST = load_dataset("mnist5k").test


def digit(index=0, side=200, margin=60, invert=False):
    """An MNIST digit as a large picture, dark on light."""
    ink = Image.fromarray(TEST.images[index]).resize((side, side), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (side + 2 * margin,) * 2, 0)
    sheet.paste(ink, (margin, margin))
    return sheet if invert else Image.fromarray(255 - np.asarray(sheet))


def read(image, path, **options):
    image.save(path, **options)
    return prepare_picture(read_picture(path))


def likeness(one, other):
    """Correlation of two images, of which one may have been centred a pixel away."""
    shifted = [np.roll(other, shift, (0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)]
    return max(float(np.corrcoef(one.ravel(), each.ravel())[0, 1]) for each in shifted)


@pytest.fixture(scope="module")
def reference():
    (image,) = prepare_picture(np.asarray(digit().convert("RGB"), np.float32) / 255)
    return image


def test_a_digit_of_mnist_enlarged_comes_back(reference):
    assert reference.shape == (28, 28)
    assert reference.dtype == np.uint8
    assert likeness(reference, TEST.images[0]) > 0.95


@pytest.mark.parametrize("side", [20, 50, 400])
@pytest.mark.parametrize("invert", [False, True])
def test_size_and_polarity_do_not_matter(reference, tmp_path, side, invert):
    (image,) = read(digit(side=side, margin=side // 3, invert=invert), tmp_path / "digit.png")
    assert likeness(image, reference) > 0.9


def test_it_is_scaled_into_20x20_with_its_aspect_and_centred_by_mass(reference):
    rows, columns = np.nonzero(reference)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(height, width) == 20
    drawn_rows, drawn_columns = np.nonzero(np.asarray(digit()) < 128)
    assert width / height == pytest.approx(np.ptp(drawn_columns) / np.ptp(drawn_rows), rel=0.15)
    mass = reference.astype(float)
    for axis in (0, 1):
        profile = mass.sum(axis=1 - axis)
        assert abs((profile * np.arange(28)).sum() / profile.sum() - 14) <= 0.51


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


def test_colours_of_the_same_brightness(reference, tmp_path):
    pixels = np.where((np.asarray(digit()) < 128)[..., None], np.uint8([200, 60, 60]), np.uint8([60, 130, 60]))
    (prepared,) = read(Image.fromarray(pixels), tmp_path / "colours.png")
    assert likeness(prepared, reference) > 0.9


def test_the_orientation_of_a_camera_is_heeded(reference, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to look at it
    turned = digit().transpose(Image.Transpose.ROTATE_90)
    (prepared,) = read(turned, tmp_path / "turned.jpg", exif=exif)
    assert likeness(prepared, reference) > 0.95


@pytest.mark.parametrize("lighting", ["slope", "vignette", "shadow", "sheet on a table"])
def test_a_photograph_unevenly_lit(reference, tmp_path, lighting):
    paper = np.asarray(digit().resize((480, 480)), np.float64) / 255 * 0.75 + 0.15
    y, x = np.mgrid[-1:1:480j, -1:1:480j]
    if lighting == "sheet on a table":
        paper[(abs(x) > 0.85) | (abs(y) > 0.85)] = 0.2
    light = {
        "slope": 0.65 + 0.3 * x + 0.05 * y,
        "vignette": 1 - 0.3 * (x * x + y * y),
        "shadow": 1 - 0.45 / (1 + np.exp(-40 * (x - 0.1 + 0.4 * y))),
    }.get(lighting, np.ones_like(x))
    grain = np.random.default_rng(0).normal(0, 0.02, x.shape)
    image = Image.fromarray((255 * np.clip(paper * light + grain, 0, 1)).astype(np.uint8))
    (prepared,) = read(image, tmp_path / "photograph.jpg", quality=75)
    assert likeness(prepared, reference) > 0.85


def test_a_row_of_digits_is_split_from_left_to_right(tmp_path):
    indices = [0, 100, 200, 300]
    row = np.hstack([np.asarray(digit(index, margin=20)) for index in indices])
    prepared = read(Image.fromarray(row), tmp_path / "number.png")
    assert len(prepared) == 4
    for image, index in zip(prepared, indices, strict=True):
        assert likeness(image, TEST.images[index]) > 0.95


def test_a_digit_with_broken_strokes_is_one_digit(tmp_path):
    five = Image.new("L", (300, 300), 255)
    draw = ImageDraw.Draw(five)
    draw.line([(110, 70), (190, 70)], fill=0, width=16)
    draw.line([(112, 90), (112, 150)], fill=0, width=16)
    draw.arc([(90, 135), (190, 235)], 235, 135, fill=0, width=16)
    assert len(read(five, tmp_path / "five.png")) == 1


def test_specks_and_a_frame_are_dropped(reference, tmp_path):
    image = digit()
    draw = ImageDraw.Draw(image)
    draw.rectangle([(0, 0), (319, 319)], outline=0, width=6)
    draw.ellipse([(30, 40), (36, 46)], fill=0)
    draw.point([(280, 280), (20, 300)], fill=0)
    (prepared,) = read(image, tmp_path / "dirty.png")
    assert likeness(prepared, reference) > 0.95


def test_a_pen_too_thin_for_28_pixels_leaves_a_clear_stroke(tmp_path):
    image = Image.new("L", (900, 900), 255)
    ImageDraw.Draw(image).line([(300, 150), (600, 150), (400, 750)], fill=0, width=4)
    (prepared,) = read(image, tmp_path / "seven.png")
    assert prepared.max() > 200
    assert prepared.any(axis=1).sum() == 20


@pytest.mark.parametrize("image_shape", [(8, 8), (28, 28), (32, 48), (64, 64)])
def test_any_size_of_image_that_a_network_wants(image_shape):
    pixels = np.asarray(digit().convert("RGB"), np.float32) / 255
    (prepared,) = prepare_picture(pixels, image_shape)
    assert prepared.shape == image_shape
    assert prepared.any(axis=1).sum() == round(min(image_shape) * 20 / 28)


@pytest.mark.parametrize("blank", ["white", "black", "paper", "transparent"])
def test_a_picture_of_nothing(tmp_path, blank):
    if blank == "transparent":
        image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    else:
        level = {"white": 255, "black": 0, "paper": 200}[blank]
        grain = np.random.default_rng(0).normal(0, 4 * (blank == "paper"), (300, 300))
        image = Image.fromarray(np.clip(level + grain, 0, 255).astype(np.uint8))
    with pytest.raises(PictureError, match="The picture shows no digit"):
        read(image, tmp_path / "blank.png")


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
        (b"not a picture", "is not a PNG, JPEG, BMP, TIFF, WebP or GIF picture"),
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
        pixels = read_picture(path)
    except PictureError:
        return
    assert pixels.shape[2] == 3
    assert 0 <= pixels.min() <= pixels.max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1_000),
    spread=st.sampled_from([0.001, 0.03, 1.0]),
)
def test_any_pixels_are_prepared_or_refused(shape, seed, spread):
    pixels = (
        np.random.default_rng(seed).uniform(0.5 - spread / 2, 0.5 + spread / 2, (*shape, 3)).astype(np.float32)
    )
    try:
        prepared = prepare_picture(pixels)
    except PictureError:
        return
    assert prepared.shape[1:] == (28, 28)
    assert prepared.any(axis=(1, 2)).all()
