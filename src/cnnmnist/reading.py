"""Reading: the digits of a picture as a network reads them, touching digits split, and what is doubtful marked."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.cuts import between, find_cuts
from cnnmnist.data.ink import Floats
from cnnmnist.data.pictures import prepare_whole
from cnnmnist.data.preprocessing import Box, InkedDigit, digit_image, find_lines
from cnnmnist.network import Network
from cnnmnist.prediction import predict_logits, probabilities
from cnnmnist.runs.metadata import DatasetMetadata

SURE = 0.88  # the least probability, after the network's temperature, of a digit that is not doubtful
# The other probabilities are those before the temperature, in which what is no digit differs more from digits.
NO_DIGIT, SIGN_WIDTH = 0.3, 0.7  # with a lower probability, what is at least so wide by its height is a sign
SLASH = 1.25  # times as high as the other digits is a slash, which looks like a 1
TOUCHING = 0.7  # of its height is the least width of several digits
SPLIT = 1.4  # times as probable as the whole are the parts of a split, at least
SURE_SPLIT = 0.78  # the least probability of all parts that are not doubtful, of what is wider than high
SIMPLE = "1", "7"  # digits that are found in letters such as M, n and W
SHARED = 0.06  # of the height: the width of a stroke that may be in both parts, as between two zeros

Images = NDArray[np.uint8]
Names = tuple[str, ...]
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
    doubtful: bool = False
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
        lines = [_read_line(line, classify, shape, dataset.class_names) for line in find_lines(pixels, name)]
    else:
        image = prepare_whole(pixels, shape, dataset.background)
        row = classify(image[np.newaxis])[0]
        lines = [[Digit(image, row, (0.0, 0.0, 1.0, 1.0))]]
    return [[_calibrated(digit, network.temperature) for digit in line] for line in lines]


def _calibrated(digit: Digit, temperature: float) -> Digit:
    logits = np.log(np.maximum(digit.probabilities, np.finfo(np.float32).tiny))[np.newaxis]
    row = probabilities(logits, temperature)[0]
    return replace(digit, probabilities=row, doubtful=digit.doubtful or bool(row.max() < SURE))


def _read_line(line: list[InkedDigit], classify: Classify, shape: tuple[int, int], names: Names) -> list[Digit]:
    has_sign, digits = line[0].beside_sign, []
    for inked in line:
        read, probability = _read(inked, classify, shape, names)
        height, width = inked.ink.shape
        has_sign |= probability < NO_DIGIT and width >= SIGN_WIDTH * height
        digits += read
    # 8+3 is no number, although 8 and 3 are digits.
    return [replace(digit, doubtful=True) for digit in digits] if has_sign or _has_slash(digits, names) else digits


def _has_slash(digits: list[Digit], names: Names) -> bool:
    """Tell a slash from a 1 by its height; zeros, which may be small, and ones do not measure it."""
    heights = [(names[digit.label], digit.box[3] - digit.box[1]) for digit in digits]
    tallest = max((height for name, height in heights if name not in ("0", "1")), default=math.inf)
    return any(name == "1" and height > SLASH * tallest for name, height in heights)


def _read(
    inked: InkedDigit, classify: Classify, shape: tuple[int, int], names: Names
) -> tuple[list[Digit], float]:
    """Read a piece of ink as one digit or several, whatever is more probable, and return this probability, too."""
    image = digit_image(inked.ink, shape)
    row = classify(image[np.newaxis])[0]
    probability = float(row.max())
    height, width = inked.ink.shape
    if width > TOUCHING * height and SPLIT * probability < 1:
        together, parts = _split(inked, classify, shape)
        if together > SPLIT * probability:
            is_letter = all(names[part.label] in SIMPLE for part in parts)
            unsure = is_letter or width < height or together < SURE_SPLIT
            return [replace(part, doubtful=unsure) for part in parts], together
    return [Digit(image, row, inked.box)], probability


def _split(inked: InkedDigit, classify: Classify, shape: tuple[int, int]) -> tuple[float, list[Digit]]:
    """Cut a piece of ink into the digits of which the network is most sure.

    Returns:
        The probability of all parts together, and the parts; 0 and none if no parts could be digits.
    """
    height, width = inked.ink.shape
    left, top, right, bottom = inked.box
    cuts = find_cuts(inked.ink)
    parts = []
    for (first, start), (last, end) in itertools.combinations(enumerate(cuts), 2):
        for shared in (0.0, SHARED * height):
            if part := between(inked.ink, start - shared, end + shared):
                ink, column = part
                ends = [left + (right - left) * each / width for each in (column, column + ink.shape[1])]
                parts.append((first, last, digit_image(ink, shape), (ends[0], top, ends[1], bottom)))
    if not parts:
        return 0.0, []
    best: dict[int, tuple[float, list[Digit]]] = {0: (1.0, [])}
    rows = classify(np.stack([image for _, _, image, _ in parts]))
    for (first, last, image, box), row in zip(parts, rows, strict=True):  # in the order of their first cut
        if first in best:
            probability = best[first][0] * float(row.max())
            if probability > best.get(last, (0.0,))[0]:
                best[last] = probability, [*best[first][1], Digit(image, row, box)]
    return best.get(len(cuts) - 1, (0.0, []))
