"""The ink of a picture: the light, the colours and the strokes that it is made of."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from support.pictures import TEST, digit, likeness, read


def test_colours_of_the_same_brightness(reference, tmp_path):
    pixels = np.where((np.asarray(digit()) < 128)[..., None], np.uint8([200, 60, 60]), np.uint8([60, 130, 60]))
    (prepared,) = read(Image.fromarray(pixels), tmp_path / "colours.png")
    assert likeness(prepared, reference) > 0.9


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
