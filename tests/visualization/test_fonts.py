"""Fonts for letters that matplotlib's own font lacks, from fonts that the tests make."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from cnnmnist.visualization import fonts
from cnnmnist.visualization.charts import draw_confusion_matrix, draw_embedding
from cnnmnist.visualization.figures import draw_grid, text_width
from cnnmnist.visualization.grids import image_grid
from support.pixels import digits, render

NAMES = ["ᚠᚢ", "ᚦ", "a"]  # runes, which few fonts have


def make_font(file: Path, family: str, letters: str) -> None:
    """A font whose letters are wide rectangles."""
    pen = TTGlyphPen(None)
    for move, point in zip(
        [pen.moveTo, *[pen.lineTo] * 3], [(0, 0), (0, 900), (1800, 900), (1800, 0)], strict=True
    ):
        move(point)
    pen.closePath()
    names = [".notdef", *(f"u{ord(letter):x}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): f"u{ord(letter):x}" for letter in letters})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (2000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make these fonts the only ones besides matplotlib's."""

    def install(**families: str) -> None:
        for family, letters in families.items():
            make_font(tmp_path / f"{family}.ttf", family, letters)
        files = [str(tmp_path / f"{family}.ttf") for family in families]
        monkeypatch.setattr(fonts, "findSystemFonts", lambda: files)
        fonts._others.cache_clear()

    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(font_manager.fontManager.ttflist))

    yield install
    fonts._others.cache_clear()


def test_as_few_fonts_as_possible_are_chosen(installed: Any) -> None:
    installed(First="ᚠ", Most="ᚠᚢ", Last="ᚦ")
    assert fonts.font_families(["abc", "Größe", "ελ"]) == ["sans-serif"]
    assert fonts.font_families(NAMES) == ["sans-serif", "Most", "Last"]
    assert fonts.can_draw(NAMES)
    assert not fonts.can_draw(["ᚩ"])
    installed()
    assert not fonts.can_draw(NAMES)
    assert fonts.can_draw(["abc", "مرحبا"])


def test_figures_are_drawn_with_the_letters_and_have_room_for_them(
    installed: Any, rng: np.random.Generator
) -> None:
    installed(Runes="ᚠᚢᚦ")
    images, labels = digits(rng, 4)
    matrix = np.eye(3, dtype=int)
    with warnings.catch_warnings(action="error"):  # matplotlib warns of a missing letter
        for figure in (
            draw_confusion_matrix(matrix, NAMES, title=NAMES[0]),
            draw_embedding(rng.normal(size=(9, 2)), np.arange(9) % 3, np.arange(9) % 3, NAMES),
            draw_grid(image_grid(images, labels % 3, (labels + 1) % 3, NAMES, title=NAMES[1])),
        ):
            render(figure)
    assert text_width(["ᚠᚢ"], 10) > 2.5 * text_width(["aa"], 10)
