"""Drawn digits and drawn other things: in the form of MNIST's images, in many styles, and decided by the seed."""

import re

import numpy as np
import pytest
from scipy import ndimage

from cnnmnist.data.strokes import BOX, SIDE, Hand, draw_digits, draw_others
from cnnmnist.data.styles import DIGITS, OTHERS

STILL = Hand(
    wobble=0.0, bend=0.0, width=(0.7, 0.7), slant=(0.0, 0.0), rotation=0.0, pen=(2.0, 2.0), edge=(1.0, 1.0)
)
STYLES = [style for several in (*DIGITS.values(), OTHERS) for style in several]


def boxes(images: np.ndarray) -> np.ndarray:
    """Height and width of the ink of each image, int (n, 2)."""
    found = [ndimage.find_objects((image > 127).astype(int))[0] for image in images]
    return np.array([[part.stop - part.start for part in box] for box in found])


@pytest.mark.parametrize("kind", ["digits", "others"])
def test_drawn_images_have_the_form_of_mnists(rng: np.random.Generator, kind: str) -> None:
    images = draw_digits(500, rng)[0] if kind == "digits" else draw_others(500, rng)
    assert (images.shape, images.dtype) == ((500, SIDE, SIDE), np.uint8)
    assert (images.max((1, 2)) > 127).all()
    longest = boxes(images).max(1)
    assert ((longest >= BOX - 2) & (longest <= BOX + 1)).all()
    border = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    assert border.max() <= 128, "only the outer half of a grey edge is cut off"
    centers = np.array([ndimage.center_of_mass(image) for image in images])
    assert (np.abs(centers - (SIDE - 1) / 2) < 1.5).mean() > 0.98  # a shift stops at the edge of the image


def test_every_digit_is_drawn_in_each_of_its_styles() -> None:
    for digit, styles in DIGITS.items():
        for style in styles:
            images, labels = draw_digits(3, np.random.default_rng(0), STILL, {digit: [style]})
            assert labels.tolist() == [int(digit)] * 3
            if ":" not in style:
                assert (images[0] == images[1]).all()
    _, labels = draw_digits(2_000, np.random.default_rng(0))
    assert set(labels.tolist()) == set(range(10))


@pytest.mark.parametrize("style", STYLES)
def test_the_extremes_of_a_style_have_the_same_strokes(style: str) -> None:
    assert re.fullmatch(r"\d\d([-, ]\d\d)+(:\d\d([-, ]\d\d)+)?", style)
    assert len({tuple(re.findall("[-, ]", extreme)) for extreme in style.split(":")}) == 1


@pytest.mark.parametrize(
    ("style", "inked", "empty"),
    [
        ("50-59", [(14, 14), (7, 14)], [(14, 8), (14, 20)]),  # a stem
        ("05-95", [(14, 8), (14, 20)], [(7, 14), (20, 14)]),  # a bar
        ("50-59 05-95", [(5, 14), (14, 8)], [(8, 8), (20, 20)]),  # the pen is lifted between two strokes
        ("09,00,90", [(16, 11), (8, 16)], [(16, 18)]),  # corners
    ],
)
def test_a_style_is_drawn_as_it_says(
    style: str, inked: list[tuple[int, int]], empty: list[tuple[int, int]]
) -> None:
    (image,), _ = draw_digits(1, np.random.default_rng(0), STILL, {"1": [style]})
    for row, column in inked:
        assert image[row - 1 : row + 2, column - 1 : column + 2].max() > 127, (row, column)
    for row, column in empty:
        assert image[row, column] == 0, (row, column)


def test_the_seed_decides_the_images() -> None:
    def drawn(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        return draw_digits(50, rng)[0].tobytes() + draw_others(50, rng).tobytes()

    assert drawn(3) == drawn(3) != drawn(4)


def test_a_wider_pen_leaves_more_ink_and_a_slant_leans() -> None:
    def stem(**fields: object) -> np.ndarray:
        hand = Hand(**{**vars(STILL), **fields})  # type: ignore[arg-type]
        return draw_digits(1, np.random.default_rng(0), hand, {"1": ["50-59"]})[0][0]

    assert stem(pen=(4.0, 4.0)).sum() == pytest.approx(2 * stem().sum(), rel=0.05)
    assert stem()[14].sum() == pytest.approx(2 * 255, rel=0.05), "the pen is two pixels wide"
    assert boxes(stem(slant=(0.5, 0.5))[None])[0, 1] == pytest.approx(0.5 * BOX, abs=2)


def test_pairs_are_wider_than_digits(rng: np.random.Generator) -> None:
    height, width = boxes(draw_others(300, rng)[200:]).T
    assert (width > height).mean() > 0.6


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_any_number_of_images(rng: np.random.Generator, count: int) -> None:
    assert draw_digits(count, rng)[0].shape == draw_others(count, rng).shape == (count, SIDE, SIDE)
