"""Robustness: how accurate a network stays when its images are corrupted or attacked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cnnmnist.data.loading import Split
from cnnmnist.network import Network, scale
from cnnmnist.prediction import predict_logits
from cnnmnist.threads import in_threads

if TYPE_CHECKING:
    from cnnmnist.runtime import keras

Array = NDArray[Any]

EPSILONS = (0.05, 0.1, 0.15, 0.2, 0.3)
STEPS, PROJECTED_IMAGES = 40, 1_000  # the projected gradients of 1,000 images take about half a minute
AT_ONCE = 500  # images
SIDE = 28  # pixels of the image to which amounts in pixels belong; they grow with the shorter side of an image


@dataclass(frozen=True, eq=False)
class Curve:
    """The accuracy of a network on images as they are, and at five severities of a corruption or attack."""

    name: str
    unit: str
    amounts: tuple[float, ...]
    """Of each severity, in ``unit``."""
    images: int
    """Number of images, from the first of the split."""
    accuracies: tuple[float, ...]
    """On the images as they are, and at each severity."""
    examples: Array
    """An image as it is and at each severity, float (6, height, width) in [0, 1]."""
    predicted: tuple[int, ...]
    """Predicted class of each example."""


def robustness(network: Network, model: "keras.Model", split: Split, predicted: Array) -> Iterator[Curve]:
    """Measure the accuracy of a network on corrupted, then on attacked images.

    Args:
        network: the network, which classifies all images.
        model: the same network in Keras, for the gradients of the attacks.
        split: images, uint8 (n, height, width), and labels, uint8 (n,), n at least 1.
        predicted: predicted classes of the images as they are, int (n,).
    """
    shown = int((predicted == split.labels)[:PROJECTED_IMAGES].argmax())  # the first image that is read rightly
    changes: dict[str, Callable[..., Array]] = {name: partial(corrupt, name) for name in CORRUPTIONS}
    changes["fast gradient sign"] = partial(attack, model, split.labels)
    changes["projected gradient"] = partial(attack, model, split.labels[:PROJECTED_IMAGES], steps=STEPS)
    for name, change in changes.items():
        unit, amounts = CORRUPTIONS[name][:2] if name in CORRUPTIONS else ("epsilon", EPSILONS)
        count = PROJECTED_IMAGES if name == "projected gradient" else len(split)
        if unit == "pixels":
            amounts = tuple(amount * min(split.images.shape[1:]) / SIDE for amount in amounts)
        labels, images = split.labels[:count], split.images[:count]
        classes, examples = [predicted[:count]], [scale(images[shown])]
        for amount in amounts:
            changed = change(images, amount)
            classes.append(predict_logits(network, changed).argmax(axis=1))
            examples.append(changed[shown] if changed.ndim == 4 else scale(changed[shown]))
        accuracies = tuple(float((each == labels).mean()) for each in classes)
        answers = tuple(int(each[shown]) for each in classes)
        yield Curve(name, unit, amounts, len(labels), accuracies, np.stack(examples)[..., 0], answers)


def corrupt(name: str, images: Array, amount: float, seed: int = 0) -> Array:
    """Corrupt images, uint8 (n, height, width), to uint8 of the same shape.

    Pixels from beyond the edge are background: the median along all images' edges.

    Args:
        name: key of :data:`CORRUPTIONS`.
        images: n at least 1.
        amount: how much, in the unit of the corruption.
        seed: of directions and noise, which are the same for each amount.
    """
    edges = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    background = float(np.median(np.concatenate(edges, axis=1))) / 255
    function, number = CORRUPTIONS[name][2], list(CORRUPTIONS).index(name)

    def part(first: int) -> Array:
        rng = np.random.default_rng([seed, number, first])
        changed: Array = function(images[first : first + AT_ONCE] / 255, amount, background, rng)
        rounded: Array = np.rint(changed.clip(0, 1) * 255).astype(np.uint8)
        return rounded

    return np.concatenate(in_threads(part, range(0, len(images), AT_ONCE)))


def _warp(matrix: Callable[[float, float], Any], values: Array, amount: float, fill: float, rng: Any) -> Array:
    """Sample images at a matrix, (2, 3), of rows and columns from the centre; the amount has two random signs."""
    centre, warped = (np.array(values.shape[1:]) - 1) / 2, np.empty_like(values)
    for image, result, signs in zip(values, warped, rng.choice([-1, 1], (len(values), 2)), strict=True):
        linear, shift = np.split(np.array(matrix(*amount * signs)), [2], axis=1)
        offset = centre - linear @ centre + shift[:, 0]
        ndimage.affine_transform(image, linear, offset, order=1, output=result, mode="grid-constant", cval=fill)
    return warped


def _thicken(values: Array, amount: float, background: float, _: Any) -> Array:
    """Let strokes grow by a pixel up, down, left and right, and again; the last time, by a fraction of it."""
    grow = ndimage.grey_dilation if background < 0.5 else ndimage.grey_erosion
    cross = ndimage.generate_binary_structure(2, 1)[np.newaxis]
    while amount > 0:
        grown = grow(values, footprint=cross)
        values, amount = values + min(amount, 1) * (grown - values), amount - 1
    return values


def _rotation(degrees: float, _: float) -> Any:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return [[cos, -sin, 0], [sin, cos, 0]]


FRACTIONS, PARTS, KEPT = (0.1, 0.2, 0.3, 0.4, 0.5), (0.2, 0.4, 0.6, 0.8, 1), (0.8, 0.6, 0.4, 0.2, 0.1)
# The unit of each corruption, its amount at each severity, and its function of images, float (n, height, width) in
# [0, 1], an amount, the background and a generator of random numbers. Contrast is the differences from the mean.
CORRUPTIONS: dict[str, tuple[str, tuple[float, ...], Callable[..., Array]]] = {
    "shift": ("pixels", (1, 2, 3, 4, 5), partial(_warp, lambda a, b: [[1, 0, a], [0, 1, b]])),
    "rotation": ("degrees", (10, 20, 30, 45, 60), partial(_warp, _rotation)),
    "scale": ("fraction larger or smaller", FRACTIONS, partial(_warp, lambda a, _: np.eye(2, 3) / (1 + a))),
    "shear": ("pixels per pixel", PARTS, partial(_warp, lambda a, _: [[1, 0, 0], [a, 1, 0]])),
    "noise": ("standard deviation", FRACTIONS, lambda x, a, _, rng: rng.normal(x, a)),
    "blur": (
        "pixels",
        (0.5, 1, 1.5, 2, 2.5),
        lambda x, a, fill, _: ndimage.gaussian_filter(x, (0, a, a), mode="constant", cval=fill),
    ),
    "contrast": ("fraction kept", KEPT, lambda x, a, *_: x.mean((1, 2), keepdims=True) * (1 - a) + a * x),
    "thicker strokes": ("pixels", (0.4, 0.8, 1.2, 1.6, 2), _thicken),
    "thinner strokes": ("pixels", PARTS, lambda x, a, fill, _: _thicken(x, a, 1 - fill, _)),
    "inversion": ("fraction inverted", PARTS, lambda x, a, *_: (1 - a) * x + a * (1 - x)),
}


def attack(
    model: "keras.Model", labels: Array, images: Array, epsilon: float, steps: int = 1, seed: int = 0
) -> Array:
    """Attack images: change each pixel by at most ``epsilon``, along the sign of the loss's gradient.

    One step of ``epsilon`` is the fast gradient sign method (Goodfellow, Shlens and Szegedy, 2014,
    https://arxiv.org/abs/1412.6572). More steps begin at a random place and are projected gradient descent (Madry
    et al., 2017, https://arxiv.org/abs/1706.06083); their sum is 4/3 of ``epsilon``, as in Madry et al., who
    attack MNIST by 40 steps of 0.01 with an epsilon of 0.3.

    Args:
        model: the network.
        labels: true classes, int (n,).
        images: uint8 (n, height, width).
        epsilon: where pixel values go from 0 to 1.
        steps: at least 1.
        seed: of the random places.

    Returns:
        float32 (n, height, width, 1) in [0, 1].
    """
    from cnnmnist.runtime import tf

    values, targets, attacked = scale(images), labels.astype(np.int64), scale(images)
    low, high = np.clip(values - np.float32(epsilon), 0, 1), np.clip(values + np.float32(epsilon), 0, 1)
    if steps > 1:
        attacked += np.random.default_rng(seed).uniform(-epsilon, epsilon, values.shape).astype(np.float32)
    length = np.float32(epsilon if steps == 1 else epsilon * 4 / 3 / steps)
    for first in range(0, len(images), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        for _ in range(steps):
            pixels = tf.constant(attacked[part].clip(low[part], high[part]))
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                logits = model(pixels, training=False)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets[part], logits)
            attacked[part] = pixels + length * tf.sign(tape.gradient(loss, pixels))
    return attacked.clip(low, high)
