"""Reading: the digits of a picture as a network reads them, touching digits split, and what is doubtful marked."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.ink import Floats
from cnnmnist.data.pictures import prepare_whole
from cnnmnist.data.preprocessing import Box, InkedDigit, digit_image, find_lines
from cnnmnist.network import Network
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.metadata import DatasetMetadata

SURE = 0.8  # the least probability of a digit that is not doubtful
NO_DIGIT = 0.3, 0.4  # with a lower probability, a high or a low piece of ink is a sign
LOWER = 0.9  # of the tallest digit in the line; lower pieces may well be signs, such as a plus
TOUCHING = 0.7  # of its height is the least width of several digits
BROAD = 1.1  # times its height is the width of a piece of ink that is rather several digits than one
WHOLE = 0.4  # the least probability of a narrower piece that is one digit
WIDEST = 1.5  # times its height is a part of a split
SURE_SPLIT = 0.67  # the least probability of all parts of a broad piece that are not doubtful
SIMPLE = 1, 7  # digits that are found in letters such as M, n and W
HEIGHT = 64  # rows of the ink in which cuts are searched
SHARED = 0.06  # of the height: the width of a stroke that may be in both parts, as between two zeros
STEP, BEND = 0.08, 0.05  # of the height: between two cuts, and sideways in a cut
SLANTS = 0.0, 0.3  # of cuts: columns to the right for each row upwards; few people slant more, or to the left
MOST_CUTS = 30  # of each slant
PRICE, BENT = 0.01, 0.05  # of a cut through one pixel of full ink, and of a step sideways as an amount of ink

Images = NDArray[np.uint8]
Classify = Callable[[Images], Floats]  # from images to probabilities, float32 (n, classes)


@dataclass(frozen=True)
class Digit:
    """What a network reads in one place of a picture: a digit or, if it was trained on others, another class."""

    image: Images
    """The image that the network got, uint8 (height, width)."""
    probabilities: Floats
    """Probabilities of the classes, float32 (classes,)."""
    box: Box
    """Left, top, right and bottom, as fractions of the picture's width and height."""
    doubtful: bool
    """Whether the answer may well be wrong."""

    @property
    def label(self) -> int:
        """Number of the most probable class."""
        return int(self.probabilities.argmax())


def read_digits(
    pixels: Floats, network: Network, dataset: DatasetMetadata, *, name: str = "The picture"
) -> list[list[Digit]]:
    """Read a picture as the network's data set was made: its digits, or the whole picture.

    Args:
        pixels: float32 (height, width, 3) in [0, 1], as :func:`cnnmnist.data.pictures.read_picture` reads them.
        network: as :meth:`cnnmnist.runs.run.Run.load_network` returns it.
        dataset: what the run recorded of its data set.
        name: name of the picture in an error message.

    Returns:
        Lines from top to bottom, each with its digits from left to right; one line of one, for a whole picture.

    Raises:
        PictureError: the picture shows no digit.
    """
    shape = network.image_shape

    def classify(images: Images) -> Floats:
        return probabilities(predict_logits(network, images))

    if dataset.preparation == "digits":
        lines = [_read_line(line, classify, shape) for line in find_lines(pixels, name)]
    else:
        image = prepare_whole(pixels, shape, dataset.background)
        row = classify(image[np.newaxis])[0]
        lines = [[Digit(image, row, (0.0, 0.0, 1.0, 1.0), bool(row.max() < SURE))]]
    # The bounds above were found for probabilities of temperature 1, and hold for those alone.
    return [[_calibrated(digit, network) for digit in line] for line in lines]


def _calibrated(digit: Digit, network: Network) -> Digit:
    if network.temperature == 1.0:
        return digit
    logits = np.log(np.maximum(digit.probabilities, np.finfo(np.float32).tiny))[np.newaxis]
    return replace(digit, probabilities=probabilities(logits, network.temperature)[0])


def _read_line(line: list[InkedDigit], classify: Classify, shape: tuple[int, int]) -> list[Digit]:
    tallest = max(inked.ink.shape[0] for inked in line)
    has_sign, digits = line[0].beside_sign, []
    for inked in line:
        read, probability = _read(inked, classify, shape)
        has_sign |= probability < NO_DIGIT[inked.ink.shape[0] < LOWER * tallest]
        digits += read
    # 8+3 is no number, although 8 and 3 are digits.
    return [replace(digit, doubtful=True) for digit in digits] if has_sign else digits


def _read(inked: InkedDigit, classify: Classify, shape: tuple[int, int]) -> tuple[list[Digit], float]:
    """Read a piece of ink as one digit or several, whatever is more probable, and return this probability, too."""
    image = digit_image(inked.ink, shape)
    row = classify(image[np.newaxis])[0]
    probability = float(row.max())
    height, width = inked.ink.shape
    is_broad = width >= BROAD * height
    if is_broad or (width > TOUCHING * height and probability < WHOLE):
        score, parts = _split(inked, classify, shape)
        if score > math.log(probability):
            probability = math.exp(score)
            is_letter = all(part.label in SIMPLE for part in parts)
            unsure = is_letter or not is_broad or probability < SURE_SPLIT
            return [replace(part, doubtful=part.doubtful or unsure) for part in parts], probability
    return [Digit(image, row, inked.box, probability < SURE)], probability


def _split(inked: InkedDigit, classify: Classify, shape: tuple[int, int]) -> tuple[float, list[Digit]]:
    """Cut a piece of ink into the digits of which the network is most sure.

    Returns:
        The logarithm of the probability of all parts, less the price of the cuts; -inf if there are no such parts.
    """
    height, width = inked.ink.shape
    left, top, right, bottom = inked.box
    cuts = [(np.zeros(height), 0.0), *_cuts(inked.ink), (np.full(height, float(width)), 0.0)]
    parts = []
    for (first, (start, _)), (last, (end, _)) in itertools.combinations(enumerate(cuts), 2):
        for shared in (0.0, SHARED * height):
            ink, column = _between(inked.ink, start - shared, end + shared)
            if 0 < ink.shape[1] <= WIDEST * ink.shape[0]:
                ends = [left + (right - left) * each / width for each in (column, column + ink.shape[1])]
                parts.append((first, last, digit_image(ink, shape), (ends[0], top, ends[1], bottom)))
    if not parts:
        return -math.inf, []
    best: dict[int, tuple[float, list[Digit]]] = {0: (0.0, [])}
    rows = classify(np.stack([image for _, _, image, _ in parts]))
    for (first, last, image, box), row in zip(parts, rows, strict=True):  # in the order of their first cut
        if first in best:
            probability = float(row.max())
            score = best[first][0] + math.log(probability) - cuts[last][1]
            if score > best.get(last, (-math.inf,))[0]:
                best[last] = score, [*best[first][1], Digit(image, row, box, probability < SURE)]
    return best.get(len(cuts) - 1, (-math.inf, []))


def _between(ink: Floats, left: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[Floats, int]:
    """Cut out the ink between two cuts, without small bits of the neighbours, and its first column."""
    first = min(max(0, math.floor(left.min())), ink.shape[1] - 1)
    near = ink[:, first : max(first, math.floor(right.max())) + 1]
    columns = first + np.arange(near.shape[1])
    part = np.where((columns >= left[:, np.newaxis]) & (columns < right[:, np.newaxis]), near, np.float32(0))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((part > 0).astype(np.uint8))
    areas = boxes[1:, cv2.CC_STAT_AREA]
    large = 1 + np.flatnonzero(areas >= 0.15 * areas.max(initial=0))
    part = np.where(np.isin(labels, large), part, 0)
    left_, top, width, height = cv2.boundingRect((part > 0).astype(np.uint8))
    return part[top : top + height, left_ : left_ + width], first + left_


def _cuts(ink: Floats) -> list[tuple[NDArray[np.float64], float]]:
    """Upright and slanted paths across little ink, from left to right: a column for each row, and the price."""
    factor = HEIGHT / ink.shape[0]
    width = max(3, round(ink.shape[1] * factor))
    small = cv2.resize(ink, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    spacing, bend = max(STEP * HEIGHT, width / MOST_CUTS), round(BEND * HEIGHT)
    middles = np.arange(spacing, width - spacing / 2, spacing).astype(int)
    rows = np.arange(HEIGHT)
    lines = [middle + np.rint(slant * (HEIGHT / 2 - rows)) for middle in middles for slant in SLANTS]
    columns = np.array(lines, np.int64).reshape(-1, HEIGHT, 1) + np.arange(-bend, bend + 1)
    inside = (columns >= 0) & (columns < width)
    paths, crossed = _cheapest_paths(np.where(inside, small[rows[:, np.newaxis], columns.clip(0, width - 1)], 0))
    paths = (paths + columns[:, :, 0]).clip(0, width - 1)
    small_rows = np.minimum((np.arange(ink.shape[0]) * factor).astype(int), HEIGHT - 1)
    return [((path[small_rows] + 0.5) / factor, PRICE * each) for path, each in zip(paths, crossed, strict=True)]


def _cheapest_paths(ink: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The paths from top to bottom across the least ink, by dynamic programming, and this ink.

    Args:
        ink: float32 (n, rows, columns).

    Returns:
        The columns, int64 (n, rows), and float32 (n,).
    """
    costs, steps = ink.astype(np.float64), np.zeros(ink.shape, np.int64)
    for row in range(1, ink.shape[1]):
        above = np.pad(costs[:, row - 1], ((0, 0), (1, 1)), constant_values=math.inf)
        choices = np.stack([above[:, :-2] + BENT, above[:, 1:-1], above[:, 2:] + BENT])
        steps[:, row] = choices.argmin(axis=0) - 1
        costs[:, row] += choices.min(axis=0)
    paths = np.repeat(costs[:, -1].argmin(axis=1)[:, np.newaxis], ink.shape[1], axis=1)
    for row in range(ink.shape[1] - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + steps[np.arange(len(ink)), row, paths[:, row]]
    return paths, np.take_along_axis(ink, paths[..., np.newaxis], axis=2).sum(axis=(1, 2))
