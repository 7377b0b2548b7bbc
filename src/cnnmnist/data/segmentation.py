"""Segmentation: the pieces of ink in a picture, grouped into digits, and the digits into lines.

Sizes are relative to the picture or to its tallest piece of ink, so that the resolution does not matter.
"""

import functools
import operator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.ink import Floats, stroke_width

MOST_PIECES = 500  # more are a pattern
LEAST_SIZE = 0.025  # of the picture's longer side is the tallest digit
LEAST_AREA = 0.02  # of the largest piece of ink; anything smaller is a speck
LEAST_HEIGHT = 0.25  # of the tallest digit; anything lower is a dot, a sign or dirt
SIGN = 0.3  # of the tallest digit's height is the width of a sign before or behind digits, such as a minus
FOOT = 0.65  # of a line's height is above a comma
EDGE = 0.04  # of the picture's width and height is its edge, where other writing and frames are
ALONG = 0.6  # of its width or height touches the picture's border a piece that lies along the border
SHALLOW = 0.25  # of the picture's depth, at most, has such a piece
CLOSE = 0.03  # of the tallest piece's height; strokes with a smaller gap belong to one digit
BREAK = 0.75  # of a stroke's width; two strokes, one below the other with a smaller gap, are one that broke
SMALL, DOT = 0.35, 0.2  # of it: the height of a loose stroke, and its length, which is twice its distance
LOW = 0.5  # of a digit's height; a lower piece above or below the digit is one of its strokes
LARGEST_GAP = 0.3  # of both heights, between a digit and such a piece
CRACK = 0.08  # of their height together, between the halves of a broken digit
TALLEST, NARROW = 1.6, 0.3  # height of a digit that broke by its width; width of another by its height
HIGH = 1.2  # of a line's height; anything higher at the border is the border's
BESIDE = 0.35  # of the lower digit's height is at the height of its neighbour in the line

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Piece:
    """The box of one or several connected pieces of ink, in pixels, and their labels."""

    labels: tuple[int, ...]
    left: int
    top: int
    right: int
    bottom: int
    beside_sign: bool = False
    """Whether ink that is no digit, such as a minus, stands in the same line, or something cuts the line."""

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    def __or__(self, other: "Piece") -> "Piece":
        left, top = min(self.left, other.left), min(self.top, other.top)
        right, bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        return Piece(self.labels + other.labels, left, top, right, bottom)


def find_digits(ink: Floats) -> tuple[Labels, list[list[Piece]]]:
    """Label the connected pieces of ink, and group the pieces of each digit, and the digits of each line.

    Args:
        ink: float32 (height, width) in [0, 1].

    Returns:
        The labels of the pixels, int32 (height, width), and the lines from top to bottom, each with its digits
        from left to right. There is no line if there are more than 500 pieces, which no writing has.
    """
    labels, pieces, left_out = _pieces(ink, ink > 0)
    frames = [piece for piece in pieces if _is_frame(piece, pieces, labels)]
    framed, pieces = labels, [piece for piece in pieces if piece not in frames]
    tallest = max((piece.height for piece in pieces), default=0)
    if tallest < LEAST_SIZE * max(ink.shape):
        return labels, []
    # Specks go before gaps are closed, so that they join nothing.
    clean = np.where(np.isin(labels, [piece.labels[0] for piece in pieces]), ink, np.float32(0))
    reach = 2 * round(CLOSE * tallest / 2) + 1
    rows = max(reach, 2 * round(BREAK * stroke_width(clean) / 2) + 1)
    labels, pieces, _ = _pieces(clean, cv2.dilate(clean, np.ones((rows, reach), np.uint8)) > 0)
    if not 0 < len(pieces) <= MOST_PIECES:
        return labels, []
    groups = _group(pieces)
    tallest = max(group.height for group in groups)
    digits = [group for group in groups if group.height >= LEAST_HEIGHT * tallest]
    signs = [group for group in groups if group.height < LOW * tallest]
    lines = []
    for line in _lines(digits):
        beside_sign = _is_beside_sign(line, signs, left_out, labels.shape) or any(
            _has_empty_part(frame, line, framed) for frame in frames
        )
        lines.append([replace(digit, beside_sign=beside_sign) for digit in line])
    return labels, lines


def _pieces(ink: Floats, mask: NDArray[np.bool_]) -> tuple[Labels, list[Piece], list[Piece]]:
    """Find the pieces of ink that a mask connects, without specks, and those left out at the border."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    labels = np.where(ink > 0, labels, 0).astype(np.int32)
    rows, columns = np.nonzero(labels)
    numbers = labels[rows, columns]
    count = int(labels.max()) + 1
    peaks, areas = np.zeros(count, np.float32), np.bincount(numbers, ink[rows, columns], count)
    np.maximum.at(peaks, numbers, ink[rows, columns])
    first, last = np.full((count, 2), max(ink.shape)), np.zeros((count, 2), np.int64)
    np.minimum.at(first, numbers, np.stack([columns, rows], axis=1))
    np.maximum.at(last, numbers, np.stack([columns, rows], axis=1) + 1)
    boxes = np.concatenate([first, last], axis=1).tolist()
    pieces = [Piece((number,), *boxes[number]) for number in range(1, count) if peaks[number] >= 0.5]
    kept = [not _is_at_border(piece, labels) for piece in pieces]
    if not any(kept):
        kept = [_fills(piece, labels) for piece in pieces]
    inside = [piece for piece, keep in zip(pieces, kept, strict=True) if keep]
    left_out = [piece for piece, keep in zip(pieces, kept, strict=True) if not keep]
    largest = max((areas[piece.labels[0]] for piece in inside), default=0)
    return labels, [piece for piece in inside if areas[piece.labels[0]] >= LEAST_AREA * largest], left_out


def _is_at_border(piece: Piece, labels: Labels) -> bool:
    """Decide whether a piece is a frame, a corner, or the edge of a sheet, of a shadow or of other writing."""
    height, width = labels.shape
    if min(piece.right / width, 1 - piece.left / width, piece.bottom / height, 1 - piece.top / height) < EDGE:
        return True
    lengths = piece.width, piece.width, piece.height, piece.height
    depths = (piece.height / height,) * 2 + (piece.width / width,) * 2
    touching = _touching(piece, labels)
    shares = [touch.sum() / length for touch, length in zip(touching, lengths, strict=True)]
    along = (
        share > ALONG and (depth < SHALLOW or touch.mean() > 1 - SHALLOW / 2)
        for share, depth, touch in zip(shares, depths, touching, strict=True)
    )
    return sum(share > ALONG / 2 for share in shares) >= 3 or any(along)


def _is_frame(piece: Piece, pieces: list[Piece], labels: Labels) -> bool:
    """Decide whether a piece is a box or a circle around digits, which may be open in places."""
    around = sum(other.height for other in pieces if _is_around(piece, other, labels))
    return around > LEAST_HEIGHT * piece.height


def _is_around(frame: Piece, piece: Piece, labels: Labels) -> bool:
    if not (frame.left < piece.left and piece.right < frame.right):
        return False
    row = labels[(piece.top + piece.bottom) // 2] == frame.labels[0]
    column = labels[:, (piece.left + piece.right) // 2] == frame.labels[0]
    sides = row[: piece.left], row[piece.right :], column[: piece.top], column[piece.bottom :]
    return all(side.any() for side in sides)


def _has_empty_part(frame: Piece, line: list[Piece], labels: Labels) -> bool:
    """Decide whether a part of a frame has no digit, perhaps because the digit touches the frame."""
    middles = [(digit.left + digit.right) // 2 for digit in line]
    for row in np.linspace(line[0].top, line[0].bottom, 5)[1:-1].astype(int):
        edges = np.flatnonzero(np.diff(labels[row] == frame.labels[0]))[1:-1]
        parts = np.searchsorted(edges, middles)
        if np.unique(parts[parts % 2 == 1]).size < edges.size // 2:
            return True
    return False


def _fills(piece: Piece, labels: Labels) -> bool:
    """Decide whether a piece fills its picture, as a digit does that is cut out, and does not frame it."""
    touching = _touching(piece, labels)
    return all(each.any() for each in touching) and bool(np.concatenate(touching).mean() < 0.5)


def _touching(piece: Piece, labels: Labels) -> list[NDArray[np.bool_]]:
    """Where a piece touches the top, the bottom, the left and the right border."""
    return [border == piece.labels[0] for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1])]


def _group(pieces: list[Piece]) -> list[Piece]:
    """Join the pieces of each digit, until none belongs to another."""
    tallest = max(piece.height for piece in pieces)
    digits: list[Piece] = []
    waiting = sorted(pieces, key=lambda piece: piece.height)
    while waiting:
        piece = waiting.pop()
        owner = next((digit for digit in digits if _are_one(piece, digit, tallest)), None)
        if owner:
            digits.remove(owner)
            waiting.append(owner | piece)
        else:
            digits.append(piece)
    return digits


def _are_one(piece: Piece, digit: Piece, tallest: int) -> bool:
    """Decide whether two pieces are strokes of one digit."""
    piece, digit = sorted((piece, digit), key=lambda each: each.height)
    overlap = min(piece.right, digit.right) - max(piece.left, digit.left)
    gap = max(piece.top, digit.top) - min(piece.bottom, digit.bottom)
    if piece.height < SMALL * tallest and max(piece.height, piece.width) >= DOT * tallest > 2 * max(gap, -overlap):
        return True
    if overlap < min(piece.width, digit.width) / 2:
        return False
    if gap < -piece.height / 5 or piece.height < LOW * digit.height:
        return gap <= LARGEST_GAP * (piece.height + digit.height)
    both = piece | digit
    broken = both.height < TALLEST * both.width or max(piece.width, digit.width) < NARROW * both.height
    return broken and gap < CRACK * both.height


def _lines(digits: list[Piece]) -> list[list[Piece]]:
    """Follow each line from left to right: a digit continues the line whose last digit is beside it."""
    lines: list[list[Piece]] = []
    for digit in sorted(digits, key=lambda digit: digit.left + digit.right):
        line = max(lines, key=lambda line: _beside(line[-1], digit), default=[])
        if line and _beside(line[-1], digit) > BESIDE:
            line.append(digit)
        else:
            lines.append([digit])
    return sorted(lines, key=lambda line: sum(digit.top + digit.bottom for digit in line) / len(line))


def _beside(last: Piece, digit: Piece) -> float:
    """The heights that two digits have in common, as a fraction of the lower digit's height."""
    return (min(last.bottom, digit.bottom) - max(last.top, digit.top)) / min(last.height, digit.height)


def _is_beside_sign(line: list[Piece], signs: list[Piece], left_out: list[Piece], shape: tuple[int, ...]) -> bool:
    """Decide whether a sign is in a line or beside it, or the border cuts it or what stands in its height."""
    whole = functools.reduce(operator.or_, line)
    left, top, right, bottom = whole.left == 0, whole.top == 0, whole.right == shape[1], whole.bottom == shape[0]
    return (
        any(_is_sign(sign, whole) for sign in signs if sign not in line)
        or any(digit.top > whole.top + FOOT * whole.height for digit in line)
        # What touches opposite borders fills its picture, and is not cut.
        or ((left or top or right or bottom) and not ((left and right) or (top and bottom)))
        or any(
            _beside(whole, piece) > BESIDE and LEAST_HEIGHT < piece.height / whole.height < HIGH
            for piece in left_out
        )
    )


def _is_sign(piece: Piece, line: Piece) -> bool:
    """Tell a point or a minus in a line, or a minus before or behind it, from dirt."""
    reach = line.height if piece.width >= SIGN * line.height else 0
    is_beside = line.left - reach < piece.left and piece.right < line.right + reach
    return is_beside and line.top < piece.top < line.bottom


def cut_out(ink: Floats, labels: Labels, digit: Piece) -> Floats:
    """Copy the ink of a digit alone, float32 with the height and width of its box."""
    box = np.s_[digit.top : digit.bottom, digit.left : digit.right]
    return np.where(np.isin(labels[box], digit.labels), ink[box], np.float32(0))
