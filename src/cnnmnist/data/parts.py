"""Parts: what stands between two cuts in a row of touching digits, from which a network learns to split."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.cuts import between, find_cuts
from cnnmnist.data.ink import Floats, inked
from cnnmnist.data.preprocessing import digit_image
from cnnmnist.data.registry import DIGITS

OTHER = len(DIGITS)  # the label of what is not one digit
SCALE = 2  # pixels of a row for each pixel of a digit's image
RAISED = 2  # pixels of a digit's image: the farthest that a digit is above or below its neighbour
OVERLAP = 2.0  # pixels of ink that two touching digits share, at most
MOST = 4, 5  # parts of a row that are a digit, and others
WHOLE, PURE = 0.93, 0.9  # of a digit is in a part that is this digit, and of the part is the digit, at least
TORN, SECOND = 0.75, 0.5  # of any digit is in a part that is no digit, at most, or of two digits, at least

Images = NDArray[np.uint8]


def draw_parts(images: Images, labels: Images, count: int, rng: np.random.Generator) -> tuple[Images, Images]:
    """Write rows of two or three digits that touch, and cut them where digits end, and elsewhere.

    Args:
        images: of digits, uint8 (n, height, width); at least one has ink.
        labels: of the digits, uint8 (n,), 0 to 9.
        count: number of parts.
        rng: its random numbers decide the parts.

    Returns:
        Images, uint8 (count, height, width), and labels, uint8 (count,), ``OTHER`` for what is not one digit.
    """
    numbers = inked(images)
    parts: list[Images] = []
    answers: list[int] = []
    while len(parts) < count:
        chosen = rng.choice(numbers, rng.integers(2, 4))
        for ink, number in _cut(_row(images[chosen] / np.float32(255), rng), rng):
            parts.append(digit_image(ink, images.shape[1:]))
            answers.append(OTHER if number is None else labels[chosen[number]])
    return np.array(parts[:count], np.uint8).reshape(count, *images.shape[1:]), np.array(answers[:count], np.uint8)


def _row(digits: Floats, rng: np.random.Generator) -> Floats:
    """Move each digit to the left until it touches the one before it: float32 (digits, height, width)."""
    count, height, width = digits.shape
    row = np.zeros((count, height + 2 * RAISED, count * width), np.float32)
    for number, digit in enumerate(digits):
        top, left = rng.integers(0, 2 * RAISED + 1), 0
        if number:
            before, own = row[number - 1, top : top + height] > 0.5, digit > 0.5
            ends = row.shape[2] - before[:, ::-1].argmax(axis=1)
            both = before.any(axis=1) & own.any(axis=1)
            nearest = (ends - own.argmax(axis=1))[both].max(initial=0)
            left = max(0, nearest - round(rng.uniform(0, OVERLAP)))
            left = min(left, row.shape[2] - width)
        row[number, top : top + height, left : left + width] = digit
    return row


def _cut(row: Floats, rng: np.random.Generator) -> list[tuple[Floats, int | None]]:
    """Cut a row, float32 (digits, height, width), into some parts, each with the digit's number, if it is one."""
    row = np.stack([cv2.resize(each, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC) for each in row])
    row = np.clip(2 * row - 0.5, 0, 1)  # with sharp edges, as in pictures
    left, top, width, height = cv2.boundingRect((row.max(axis=0) > 0).astype(np.uint8))
    row = row[:, top : top + height, left : left + width]
    ink, sizes = row.max(axis=0), row.sum(axis=(1, 2))
    cuts = find_cuts(ink)
    before = np.stack([(row * (np.arange(width) < cut[:, np.newaxis])).sum(axis=(1, 2)) for cut in cuts])
    first, last = np.triu_indices(len(cuts), 1)
    kept = before[last] - before[first]
    shares, purity = kept / sizes, kept.max(axis=1) / np.maximum(kept.sum(axis=1), 1e-6)
    number, (second, largest) = shares.argmax(axis=1), np.sort(shares, axis=1)[:, -2:].T
    is_digit = (largest > WHOLE) & (purity > PURE)
    is_other = (largest < TORN) | (second > SECOND)
    some = (
        rng.permutation(np.flatnonzero(is_digit))[: MOST[0]],
        rng.permutation(np.flatnonzero(is_other))[: MOST[1]],
    )
    parts = [(between(ink, cuts[first[each]], cuts[last[each]]), each) for each in np.concatenate(some)]
    return [(part[0], int(number[each]) if is_digit[each] else None) for part, each in parts if part]
