"""Pictures as people take them, drawn here with digits of MNIST, are read by the network that ships."""

import itertools
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from cnnmnist.data.pictures import read_picture
from cnnmnist.errors import PictureError
from cnnmnist.reading import Digit, read_digits
from cnnmnist.runs.store import load_run
from support.pictures import TEST

RUN = load_run("handwriting", Path("runs"))
NETWORK, DATASET = RUN.load_network(), RUN.metadata.dataset
SIDE = 90  # pixels of an image of MNIST on the sheet; its digit is 64 high


def lines(sheet: Image.Image) -> list[list[Digit]]:
    return read_digits(np.asarray(sheet.convert("RGB"), np.float32) / 255, NETWORK, DATASET)


def text(sheet: Image.Image) -> str:
    return "\n".join("".join(str(digit.label) for digit in line) for line in lines(sheet))


def write(
    sheet: Image.Image,
    digits: str,
    left: int,
    top: int,
    *,
    step: int = 75,
    side: int = SIDE,
    ink: int = 30,
    number: int = 3,
) -> None:
    """Write digits of MNIST in a row, each darker than what is below it."""
    for place, digit in enumerate(digits):
        image = TEST.images[np.flatnonzero(TEST.labels == int(digit))[number]]
        alpha = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(ink, (left + place * step, top), alpha)


def paper(width: int = 360, height: int = 240) -> Image.Image:
    return Image.new("L", (width, height), 225)


def test_rows_are_read_from_top_to_bottom_and_each_from_left_to_right() -> None:
    sheet = paper(480, 360)
    for row, digits in enumerate(("12345", "678", "90")):
        write(sheet, digits, 30 + 10 * row, 10 + 115 * row)
    assert text(sheet) == "12345\n678\n90"


def test_digits_below_each_other_are_lines_of_one() -> None:
    sheet = paper(150, 360)
    for row, digit in enumerate("274"):
        write(sheet, digit, 30, 10 + 115 * row)
    assert text(sheet) == "2\n7\n4"


@pytest.mark.parametrize("digits", ["3", "58", "204"])
@pytest.mark.parametrize("rulings", ["ruled", "pale", "squared", "margin"])
def test_rulings_are_no_strokes(digits: str, rulings: str) -> None:
    sheet = paper()
    draw = ImageDraw.Draw(sheet)
    level = 185 if rulings == "pale" else 90
    for y in range(25, 240, 50) if rulings != "margin" else ():
        draw.line([(0, y), (360, y + 4)], fill=level, width=2)
    for x in range(15, 360, 50) if rulings == "squared" else (25,) if rulings == "margin" else ():
        draw.line([(x, 0), (x - 4, 240)], fill=level, width=2)
    write(sheet, digits, 80, 70)
    assert text(sheet) == digits


@pytest.mark.parametrize("level", [40, 120])
@pytest.mark.parametrize("digits", ["6", "31"])
def test_a_sheet_on_a_desk(level: int, digits: str) -> None:
    sheet = paper(400, 300)
    write(sheet, digits, 120, 100)
    desk = Image.new("L", (640, 480), level)
    desk.paste(sheet.rotate(5, Image.Resampling.BICUBIC, expand=True, fillcolor=level), (110, 80))
    assert text(desk) == digits


@pytest.mark.parametrize("digits", ["7", "25"])
def test_corners_and_a_border_are_no_digits(digits: str) -> None:
    for draw_frame in (
        lambda draw: [
            draw.polygon([(x, y), (abs(x - 20), y), (x, abs(y - 20))], fill=0) for x in (0, 359) for y in (0, 239)
        ],
        lambda draw: draw.rectangle([(0, 0), (12, 239)], fill=20),
    ):
        sheet = paper()
        write(sheet, digits, 110, 70)
        draw_frame(ImageDraw.Draw(sheet))
        assert text(sheet) == digits


@pytest.mark.parametrize("is_dark", [True, False])
def test_digits_that_fill_their_pictures(is_dark: bool) -> None:
    right = []
    for digit, number in itertools.product(range(10), range(4)):
        image = TEST.images[np.flatnonzero(TEST.labels == digit)[number]]
        left, top, width, height = cv2.boundingRect((image > 100).astype(np.uint8))
        sheet = Image.fromarray(255 - image if is_dark else image)
        sheet = sheet.crop((left, top, left + width, top + height)).resize((6 * width, 6 * height))
        try:
            right.append(text(sheet) == str(digit))
        except PictureError:
            right.append(False)
    assert np.mean(right) >= 0.95


def test_specks_beside_a_digit_that_fills_its_picture_do_not_mark_it() -> None:
    sheet = paper(64, 90)
    draw = ImageDraw.Draw(sheet)
    draw.line([(0, 4), (60, 4), (20, 89)], fill=30, width=8)  # a 7
    draw.point([(5, 60), (55, 70), (50, 40)], fill=30)
    (digit,) = lines(sheet)[0]
    assert digit.label == 7
    assert not digit.doubtful


@pytest.mark.parametrize("left", [0, 9])
def test_a_digit_at_the_border_is_not_left_out_without_a_mark(left: int) -> None:
    """Nobody can tell an upright 1 that touches the border from the edge of something else."""
    sheet = paper(300, 130)
    ImageDraw.Draw(sheet).line([(left + 4, 25), (left + 4, 90)], fill=30, width=9)
    write(sheet, "35", 60, 10)
    digits = [digit for line in lines(sheet) for digit in line]
    assert [digit.label for digit in digits][-2:] == [3, 5]
    assert len(digits) == 3 or all(digit.doubtful for digit in digits)


@pytest.mark.parametrize("digit", list("02345689"))
def test_a_digit_that_the_border_cuts_marks_its_line(digit: str) -> None:
    sheet = paper(300, 130)
    write(sheet, "35" + digit, 30, 10, step=85)
    cut = [each for line in lines(sheet.crop((0, 0, 235, 130))) for each in line]
    assert [each.label for each in cut][:2] == [3, 5]
    assert all(each.doubtful for each in cut)


def is_marked(sheet: Image.Image) -> bool:
    return all(digit.doubtful for line in lines(sheet) for digit in line)


@pytest.mark.parametrize("pale", [120, 140])
def test_two_pens(pale: int) -> None:
    sheet = paper()
    write(sheet, "38", 40, 70, ink=30)
    write(sheet, "25", 190, 70, ink=pale)
    assert text(sheet) == "3825"


@pytest.mark.parametrize("thickness", [4, 8])
@pytest.mark.parametrize("lean", [0, 12])
def test_ones_that_are_nearly_as_high_as_the_picture_are_no_rulings(thickness: int, lean: int) -> None:
    sheet = paper(420, 180)
    for x in (60, 120, 300):
        ImageDraw.Draw(sheet).line([(x + lean, 30), (x, 150)], fill=30, width=thickness)
    write(sheet, "4", 150, 5, side=170)
    assert text(sheet) == "1141"


@pytest.mark.parametrize("digits", ["3", "58"])
@pytest.mark.parametrize("shape", ["rectangle", "ellipse"])
@pytest.mark.parametrize("thickness", [3, 8])
def test_a_box_or_a_circle_around_digits_is_none(digits: str, shape: str, thickness: int) -> None:
    sheet = paper(400, 300)
    write(sheet, digits, 120, 105)
    getattr(ImageDraw.Draw(sheet), shape)([(75, 60), (325, 240)], outline=60, width=thickness)
    assert text(sheet) == digits


def test_boxes_of_a_form_are_no_digits() -> None:
    sheet = paper(560, 200)
    for left in range(30, 530, 100):
        ImageDraw.Draw(sheet).rectangle([(left, 40), (left + 100, 160)], outline=90, width=2)
    write(sheet, "27385", 35, 55, step=100)
    assert text(sheet) == "27385"


def test_a_digit_that_touches_the_circle_around_it_is_not_left_out_without_a_mark() -> None:
    sheet = paper(400, 300)
    write(sheet, "385", 100, 105)
    ImageDraw.Draw(sheet).ellipse([(50, 40), (325, 260)], outline=60, width=5)
    ImageDraw.Draw(sheet).line([(290, 150), (325, 150)], fill=60, width=8)
    assert is_marked(sheet)


@pytest.mark.parametrize("sign", ["point", "comma", "colon", "minus before", "minus behind"])
def test_a_number_with_a_sign_is_marked(sign: str) -> None:
    sheet = paper(440)
    write(sheet, "2", 70, 70)
    write(sheet, "85", 180, 70)
    draw = ImageDraw.Draw(sheet)
    if sign in ("point", "colon"):
        draw.ellipse([(165, 136), (175, 146)], fill=30)
    if sign == "colon":
        draw.ellipse([(165, 100), (175, 110)], fill=30)
    if sign == "comma":
        draw.line([(172, 143), (166, 162)], fill=30, width=7)
    if sign.startswith("minus"):
        draw.line(
            [(30 if "before" in sign else 345, 115), (60 if "before" in sign else 380, 115)], fill=30, width=7
        )
    assert all(digit.doubtful for digit in lines(sheet)[0])


@pytest.mark.parametrize("lean", [15, 45])
@pytest.mark.parametrize("digits", ["15", "27"])
def test_a_slash_is_no_1(digits: str, lean: int) -> None:
    sheet = paper(440)
    write(sheet, digits, 30, 70)
    ImageDraw.Draw(sheet).line([(200 + lean, 68), (195, 157)], fill=30, width=7)
    write(sheet, "8", 205 + lean, 70)
    assert is_marked(sheet)


def test_an_unlikely_digit_does_not_mark_the_others() -> None:
    sheet = paper()
    write(sheet, "38", 30, 70)
    ImageDraw.Draw(sheet).line([(222, 82), (200, 115), (205, 145), (220, 140)], fill=30, width=7, joint="curve")
    assert [digit.doubtful for digit in lines(sheet)[0]] == [False, False, True]


@pytest.mark.parametrize("digit", list("1247"))
def test_what_the_border_cuts_is_marked(digit: str) -> None:
    sheet = paper(600, 240)
    write(sheet, "35", 30, 70)
    ImageDraw.Draw(sheet).line([(420, 70), (599, 20)], fill=30, width=14)  # a pen
    assert all(digit.doubtful for line in lines(sheet) for digit in line if digit.box[2] == 1)
    sheet = paper()
    write(sheet, "35" + digit, 30, 70)
    assert is_marked(sheet.crop((0, 0, 225, 240)))


@pytest.mark.parametrize("digits", ["3", "274"])
def test_small_writing_on_a_large_sheet(digits: str) -> None:
    sheet = paper(1000, 700)
    write(sheet, digits, 400, 300, side=46, step=40)
    assert text(sheet) == digits


@pytest.mark.parametrize("sides", range(1, 5))
@pytest.mark.parametrize("depth", [4, 40])
@pytest.mark.parametrize(("paper_color", "frame"), [(225, 30), (30, 225)])
def test_a_frame_without_writing_is_refused(sides: int, depth: int, paper_color: int, frame: int) -> None:
    sheet = Image.new("L", (360, 240), paper_color)
    draw = ImageDraw.Draw(sheet)
    boxes = (0, 0, depth, 239), (0, 0, 359, depth), (359 - depth, 0, 359, 239), (0, 239 - depth, 359, 239)
    for box in boxes[:sides]:
        draw.rectangle(box, fill=frame)
    with pytest.raises(PictureError, match="shows no digit"):
        lines(sheet)


@pytest.mark.parametrize("digit", list("2578"))
def test_a_speck_darker_than_the_ink(digit: str) -> None:
    sheet = paper()
    write(sheet, digit, 100, 60, ink=150)
    ImageDraw.Draw(sheet).ellipse([(300, 40), (305, 45)], fill=0)
    assert text(sheet) == digit


@pytest.mark.parametrize("digit", list("2578"))
def test_pencil_on_grain(digit: str) -> None:
    rng = np.random.default_rng(0)
    sheet = paper()
    write(sheet, digit, 100, 60, side=150, ink=140)
    pixels = (
        np.asarray(sheet)
        + rng.normal(0, 5, (240, 360))
        + 5 * rng.normal(0, 1, (120, 180)).repeat(2, 0).repeat(2, 1)
    )
    assert text(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))) == digit


@pytest.mark.parametrize("digits", ["00", "52", "38"])
def test_touching_digits_are_split(digits: str) -> None:
    step = next(step for step in range(80, 30, -1) if _pieces(_row(digits, step)) == 1)
    assert text(_row(digits, step)) == digits


@pytest.mark.parametrize(("digits", "slant"), [("96", 0.3), ("28", 0.3), ("250", 0.4), ("302", 0.4)])
def test_touching_digits_that_lean_are_split(digits: str, slant: float) -> None:
    step = next(step for step in range(80, 20, -1) if _pieces(_row(digits, step)) == 1)
    row = _row(digits, step)
    lean = (1, slant, -slant * row.height, 0, 1, 0)
    size = round(row.width + slant * row.height), row.height
    paper_color = row.getpixel((0, 0))
    assert text(row.transform(size, Image.Transform.AFFINE, lean, fillcolor=paper_color)) == digits


def _row(digits: str, step: int) -> Image.Image:
    sheet = paper()
    write(sheet, digits, 80, 70, step=step)
    return sheet


def _pieces(sheet: Image.Image) -> int:
    return cv2.connectedComponents((np.asarray(sheet) < 128).astype(np.uint8))[0] - 1


@pytest.mark.parametrize("digit", ["1", "3", "4", "6", "7", "9"])
@pytest.mark.parametrize("height", [0.35, 0.5, 0.65])
def test_a_stroke_that_the_pen_left_out_for_a_moment_is_one_stroke(digit: str, height: float) -> None:
    sheet = paper()
    write(sheet, digit, 130, 40, side=160)
    cut = 40 + round(160 * (0.15 + 0.7 * height))
    ImageDraw.Draw(sheet).line((100, cut - 6, 320, cut + 6), fill=225, width=6)
    assert text(sheet) == digit


def test_small_zeros_and_a_five_in_two_pieces() -> None:
    sheet = paper(480)
    write(sheet, "5", 30, 70)
    write(sheet, "00", 115, 108, side=45, step=50)
    write(sheet, "8", 220, 70)
    assert text(sheet) == "5008"
    five = Image.new("L", (300, 300), 255)
    draw = ImageDraw.Draw(five)
    draw.line([(120, 70), (195, 66)], fill=0, width=12)
    draw.line([(118, 82), (112, 145)], fill=0, width=12)
    draw.arc([(85, 135), (185, 235)], 235, 135, fill=0, width=12)
    assert text(five) == "5"


@pytest.mark.parametrize("blur", [0, 5])
@pytest.mark.parametrize("ink", [30, 185])
def test_faint_and_blurred_pens(ink: int, blur: int) -> None:
    sheet = paper()
    write(sheet, "27", 80, 70, ink=ink)
    assert text(sheet.filter(ImageFilter.GaussianBlur(blur))) == "27"


@pytest.mark.parametrize("kind", ["blank", "ruled", "squared", "sheet on a desk"])
def test_paper_without_writing_is_refused(kind: str) -> None:
    sheet = paper(600, 400)
    draw = ImageDraw.Draw(sheet)
    for y in range(30, 400, 60) if kind in ("ruled", "squared") else ():
        draw.line([(0, y), (600, y + 5)], fill=110, width=3)
    for x in range(30, 600, 60) if kind == "squared" else ():
        draw.line([(x, 0), (x + 5, 400)], fill=110, width=3)
    if kind == "sheet on a desk":
        draw.rectangle([(0, 0), (599, 399)], fill=60)
        draw.polygon([(90, 60), (500, 75), (490, 350), (80, 335)], fill=225)
    sheet = Image.fromarray(
        (np.asarray(sheet) + np.random.default_rng(0).normal(0, 3, (400, 600))).astype(np.uint8)
    )
    with pytest.raises(PictureError, match="shows no digit"):
        lines(sheet)


def test_most_letters_and_a_sum_are_marked() -> None:
    marked = []
    for letter in "AEFHKMRWXkmnw&#":
        sheet = paper()
        font = ImageFont.load_default(120)
        ImageDraw.Draw(sheet).text((180, 120), letter, fill=30, font=font, anchor="mm")
        marked.append(all(digit.doubtful for line in lines(sheet) for digit in line))
    assert np.mean(marked) >= 0.75
    sheet = paper()
    write(sheet, "83", 20, 70, step=200)
    draw = ImageDraw.Draw(sheet)
    draw.line([(145, 115), (185, 115)], fill=30, width=7)
    draw.line([(165, 95), (165, 135)], fill=30, width=7)
    assert all(digit.doubtful for line in lines(sheet) for digit in line)


def test_letters_that_split_into_ones_and_sevens_are_marked() -> None:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    marked = []
    for name in ("DejaVuSans-Oblique", "DejaVuSansMono"):
        font = ImageFont.truetype(fonts / f"{name}.ttf", 120)
        for letter in "MWNUVnmuw":
            sheet = paper()
            ImageDraw.Draw(sheet).text((180, 120), letter, fill=30, font=font, anchor="mm")
            marked.append(all(digit.doubtful for line in lines(sheet) for digit in line))
    assert sum(marked) >= 17  # of 18


def test_few_digits_of_mnist_are_marked() -> None:
    digits = []
    for number in range(0, 200, 5):
        sheet = paper()
        sheet.paste(30, (100, 60), Image.fromarray(TEST.images[number]).resize((SIDE, SIDE)))
        digits += [(digit.doubtful, digit.label == TEST.labels[number]) for line in lines(sheet) for digit in line]
    assert len(digits) == 40
    assert sum(doubtful for doubtful, right in digits if right) <= 2


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_boxes_are_fractions_of_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    sheet = Image.new("L", (2400, 1600), 225)
    write(sheet, "3", 1500, 300, side=560)
    turns = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored = sheet.transpose(turn) if (turn := turns[orientation]) is not None else sheet
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "large.jpg", exif=exif)
    picture = read_picture(tmp_path / "large.jpg")
    assert picture.size == (2400, 1600)
    ((digit,),) = read_digits(picture.pixels, NETWORK, DATASET)
    assert digit.label == 3
    box = np.array(digit.box) * (picture.size * 2)
    drawn = np.asarray(sheet) < 128
    (rows,), (columns,) = np.nonzero(drawn.any(1)), np.nonzero(drawn.any(0))
    assert box == pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=16)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 999),
    levels=st.sampled_from([2, 3, 256]),
)
def test_any_pixels_are_read_or_refused(shape: tuple[int, int], seed: int, levels: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, levels, (*shape, 3)).astype(np.float32) / (levels - 1)
    try:
        found = read_digits(pixels, NETWORK, DATASET)
    except PictureError:
        return
    for digit in (digit for line in found for digit in line):
        left, top, right, bottom = (
            round(part * side) for part, side in zip(digit.box, shape[::-1] * 2, strict=True)
        )
        assert 0 <= left <= right <= shape[1]
        assert 0 <= top <= bottom <= shape[0]
        assert digit.probabilities.sum() == pytest.approx(1, abs=1e-4)


def test_a_run_of_other_pictures_gets_the_whole_picture() -> None:
    whole = DATASET.model_copy(update={"preparation": "whole", "background": 0})
    for number in (0, 100, 200):
        pixels = np.repeat(TEST.images[number][..., None], 3, axis=2).astype(np.float32) / 255
        ((digit,),) = read_digits(pixels, NETWORK, whole)
        assert (digit.image == TEST.images[number]).all()
        assert digit.box == (0, 0, 1, 1)
