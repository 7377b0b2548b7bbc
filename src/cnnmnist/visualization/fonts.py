"""Fonts of this machine that have the letters which matplotlib's own font lacks, such as Chinese ones."""

import contextlib
import functools
from collections.abc import Iterable

import matplotlib
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font


def font_families(texts: Iterable[str]) -> list[str]:
    """The families with which matplotlib draws texts: its default ones, then others for the letters they lack."""
    return [*matplotlib.rcParams["font.family"], *_others(_missing(texts))[0]]


def can_draw(texts: Iterable[str]) -> bool:
    """Whether the fonts of this machine have all letters of texts."""
    return not _others(_missing(texts))[1]


def _missing(texts: Iterable[str]) -> frozenset[str]:
    """The letters that matplotlib's default font lacks."""
    return frozenset(letter for letter in "".join(texts) if letter.isprintable()) - _own_letters()


@functools.cache
def _own_letters() -> frozenset[str]:
    return frozenset(map(chr, get_font(findfont(FontProperties())).get_charmap()))


@functools.cache
def _others(missing: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """As few families as have the missing letters, and the letters that none has."""
    found: dict[str, frozenset[str]] = {}
    for file in sorted(findSystemFonts()) if missing else []:  # matplotlib's list of fonts may be old
        with contextlib.suppress(OSError, RuntimeError):  # a damaged font
            charmap = get_font(file).get_charmap()
            found[file] = frozenset(letter for letter in missing if ord(letter) in charmap)
    families: list[str] = []
    while found and found[best := max(found, key=lambda file: len(found[file] & missing))] & missing:
        fontManager.addfont(best)
        families.append(get_font(best).family_name)
        missing -= found[best]
    return families, missing
