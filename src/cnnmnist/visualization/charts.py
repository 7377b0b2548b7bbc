"""Charts: confusion matrices, learning curves, embeddings, calibration and robustness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import SymLogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import ScalarFormatter

from cnnmnist.calibration import BINS, Calibration
from cnnmnist.visualization.figures import DPI, LARGE, SMALL, Figure, style_axes, text_width
from cnnmnist.visualization.grids import Array

if TYPE_CHECKING:
    from cnnmnist.robustness import Curve

LARGEST_COUNTED_MATRIX = 20  # classes; in a larger matrix nobody could read the numbers
LINE_STYLES = ("solid", "dashed", "dotted", "dashdot")
LOGIT_RANGE = (0.001, 0.9999)
LOGIT_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
LARGEST_CURVE = 1_000  # points


def draw_confusion_matrix(matrix: Array, class_names: Sequence[str], title: str = "") -> Figure:
    """Draw the number of images by true class (rows) and predicted class (columns).

    The colour scale is logarithmic from 1 on: on a linear scale the few confusions would be invisible.

    Args:
        matrix: int (classes, classes).
        class_names: one for each class.
        title: title of the figure.
    """
    classes = len(matrix)
    counted = classes <= LARGEST_COUNTED_MATRIX
    cells = max(2.5, classes * (0.45 if counted else 0.17))  # inches
    longest = text_width(class_names, SMALL) / DPI
    upright = longest < 0.9 * cells / classes
    size = cells + longest + 1.3, cells + (0 if upright else longest) + 0.9
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    norm = SymLogNorm(linthresh=1, vmin=0, vmax=max(1, matrix.max()), base=10)
    image = axes.imshow(matrix, cmap="Blues", norm=norm, aspect="auto", interpolation="none")
    figure.colorbar(image, ax=axes, label="Images", format=ScalarFormatter(), pad=0.03).minorticks_off()

    axes.set_xticks(range(classes), class_names, rotation=0 if upright else 90, size=SMALL, parse_math=False)
    axes.set_yticks(range(classes), class_names, size=SMALL, parse_math=False)
    axes.tick_params(length=0)
    axes.set(xlabel="Predicted", ylabel="True")
    axes.set_title(title, size=LARGE, parse_math=False)
    if counted:
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if norm(count) > 0.6 else "black" if count else "0.7"
            axes.text(column, row, str(count), ha="center", va="center", size=SMALL, color=color)
    return figure


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The losses and accuracies of one training, or of several that differ in the seed only."""

    name: str
    losses: Array
    """Loss of each iteration from the first, float (n,), or (trainings, n); n may be 0."""
    accuracies: Array
    """Accuracy of each iteration on its batch, in the same shape."""
    ladder: Sequence[tuple[int, float]]
    """Pairs of a number of iterations and the accuracy on the test split after them, of all trainings."""


def draw_learning_curves(curves: Sequence[LearningCurve]) -> Figure:
    """Draw losses and accuracies of one or more trainings over their iterations.

    Lines are running means of losses and accuracies on batches, over a fiftieth of the longest training. Where a
    curve is that of several trainings, the line is their mean, in a band from the lowest to the highest. Circles
    are accuracies on the test split. The accuracies have a logit scale, so that 98 % and 99 % are far from each
    other; accuracies above 99.99 % are on its upper edge.
    """
    window = max(1, max(np.shape(curve.losses)[-1] for curve in curves) // 50)
    over = f" (mean of {window:,} iterations)" if window > 1 else ""
    figure = Figure(figsize=(7, 6.4 + 0.2 * len(curves)), dpi=DPI, layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(2, sharex=True)
    lines = []
    for number, curve in enumerate(curves):
        color, style = f"C{number % 10}", LINE_STYLES[number // 10 % len(LINE_STYLES)]
        parts = (loss_axes, curve.losses, (0.0, np.inf)), (accuracy_axes, curve.accuracies, LOGIT_RANGE)
        for axes, values, limits in parts:
            iterations, smoothed = _smoothed(np.atleast_2d(values), window)
            smoothed = smoothed.clip(*limits)
            lines += axes.plot(iterations, smoothed.mean(axis=0), linewidth=1, color=color, linestyle=style)
            if len(smoothed) > 1:
                low, high = smoothed.min(axis=0), smoothed.max(axis=0)
                axes.fill_between(iterations, low, high, color=color, alpha=0.2, linewidth=0)
        iterations, accuracies = np.array(curve.ladder, float).reshape(-1, 2).T
        circle: dict[str, Any] = {"markersize": 6, "markeredgecolor": "white", "zorder": 3, "clip_on": False}
        accuracy_axes.plot(iterations, accuracies.clip(*LOGIT_RANGE), "o", color=color, **circle)
    loss_axes.set(yscale="log", ylabel=f"Training loss{over}")
    lowest = min((min(line.get_ydata(), default=1.0) for line in accuracy_axes.lines), default=1.0)
    accuracy_axes.set(yscale="logit", ylim=(min(0.5, 0.8 * lowest), LOGIT_RANGE[1]), xlabel="Iterations")
    accuracy_axes.set_yticks(LOGIT_TICKS, [f"{100 * tick:g}%" for tick in LOGIT_TICKS])
    accuracy_axes.minorticks_off()
    accuracy_axes.set_ylabel(f"Batch accuracy{over}\nand test accuracy (circles)")
    accuracy_axes.xaxis.set_major_formatter("{x:,.0f}")
    for axes in (loss_axes, accuracy_axes):
        style_axes(axes)
    # legend() ignores a name that begins with an underscore, but text.set() takes it.
    lines = lines[1::2]  # those of the accuracies
    legend = figure.legend(lines, ["-"] * len(lines), loc="outside lower center", fontsize=SMALL, frameon=False)
    for text, curve in zip(legend.get_texts(), curves, strict=True):
        text.set(text=curve.name, parse_math=False)
    return figure


def draw_rate_test(rates: Array, losses: Array, smoothed: Array, marks: Mapping[str, float]) -> Figure:
    """Draw losses and smoothed losses, both float (n,), over learning rates, float (n,), and mark named rates."""
    figure = Figure(figsize=(7, 4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    axes.plot(rates, losses, color="0.75", linewidth=0.8)
    axes.plot(rates, smoothed, color="C0")
    for number, (name, rate) in enumerate(marks.items()):
        label = f"{name}: {rate:.2g}"
        axes.axvline(rate, color=f"C{number + 1}", linestyle=LINE_STYLES[number], label=label)
    axes.set(xlabel="Learning rate", ylabel="Training loss, and its running mean")
    axes.set_ylim(0.7 * smoothed.min(), 1.3 * smoothed[np.isfinite(smoothed)].max())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    style_axes(axes)
    axes.legend(fontsize=SMALL, frameon=False)
    return figure


def _smoothed(values: Array, window: int) -> tuple[Array, Array]:
    """Choose iterations, and compute the mean of the values around each, of fewer values near the ends; by row."""
    length = values.shape[1]
    places = np.unique(np.linspace(0, length - 1, min(length, LARGEST_CURVE)).astype(int))
    sums = np.pad(np.cumsum(values, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    first, last = np.maximum(places - window // 2, 0), np.minimum(places + window // 2 + 1, length)
    return places + 1, (sums[:, last] - sums[:, first]) / (last - first)


def draw_embedding(
    points: Array, labels: Array, predicted: Array, class_names: Sequence[str], title: str = ""
) -> Figure:
    """Draw images as points in the colour of their class; misclassified images have a black edge.

    Args:
        points: float (n, 2), as :func:`cnnmnist.interpretation.embed` returns them.
        labels: true classes, int (n,).
        predicted: predicted classes, int (n,).
        class_names: one for each class; each is written at the median of the points of its class.
        title: title of the figure.
    """
    figure = Figure(figsize=(7, 7.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot(aspect="equal", xticks=[], yticks=[])
    wrong, classes = predicted != labels, len(class_names)
    colors = colormaps["tab10" if classes <= 10 else "tab20" if classes <= 20 else "turbo"]
    colors = colors.resampled(classes) if classes > 20 else colors
    size = min(60.0, 24_000 / len(points))
    edge: dict[str, Any] = {"s": size + 14, "edgecolor": "black", "linewidth": 0.8}
    for chosen, look in ((~wrong, {"s": size, "linewidth": 0, "alpha": 0.7}), (wrong, edge)):
        # Rasterized, because viewers are slow with the outlines of thousands of points.
        of_classes = colors(labels[chosen].astype(int))
        axes.scatter(*points[chosen].T, color=of_classes, rasterized=True, clip_on=False, zorder=1, **look)
    for number in np.unique(labels):
        x, y = np.median(points[labels == number], axis=0)
        style: dict[str, Any] = {"size": LARGE, "weight": "bold", "ha": "center", "va": "center", "zorder": 3}
        label = axes.text(x, y, class_names[number], parse_math=False, **style)
        label.set_path_effects([withStroke(linewidth=3, foreground="white")])
    mark = axes.scatter([], [], color="white", **edge)
    caption = f"misclassified, in the colour of the true class ({wrong.sum():,})"
    figure.legend([mark], [caption], loc="outside lower center", fontsize=SMALL, frameon=False)
    axes.spines[:].set(color="0.75")
    axes.set_title(title, size=LARGE, parse_math=False)
    return figure


def draw_calibration(calibration: Calibration, title: str = "") -> Figure:
    """Draw a reliability diagram beside the accuracy on the images of which the network is most sure.

    Args:
        calibration: ``cnnmnist.calibration.Calibration(report)``.
        title: title of the figure.
    """
    figure = Figure(figsize=(8.4, 4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    counts, sure, accuracy = np.array(calibration.bins).T
    shown = counts > 0
    middles = (np.arange(BINS) + 0.5) / BINS
    left.bar(middles[shown], accuracy[shown], 0.9 / BINS, color="C0", alpha=0.6)
    left.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="dashed")
    left.plot(sure[shown], accuracy[shown], "o", color="C0", markersize=4, clip_on=False)
    for x, y, count in zip(middles[shown], accuracy[shown], counts[shown], strict=True):
        left.annotate(f"{count:,.0f}", (x, y), (0, 5), textcoords="offset points", ha="center", size=6)
    left.set(xlim=(0, 1), ylim=(0, 1.06), xlabel="Probability of the answer", ylabel="Fraction that is right")
    covered, accuracies = calibration.coverage
    places = np.unique(np.linspace(0, len(covered) - 1, min(len(covered), LARGEST_CURVE)).astype(int))
    right.plot(covered[places], accuracies[places], color="C1")
    right.set(xlim=(0, 1), xlabel="Fraction of the images answered, the surest first", ylabel="Accuracy on them")
    for axes in (left, right):
        style_axes(axes)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, place: f"{100 * value:g} %")
    error = f"expected calibration error {calibration.error:.2%}"
    figure.suptitle(f"{title}: {error}" if title else error, size=LARGE)
    return figure


def draw_robustness(curves: "Sequence[Curve]", class_names: Sequence[str], title: str = "") -> Figure:
    """Draw a row for each curve: the accuracies, and one image at each severity.

    Args:
        curves: at least one, as :func:`cnnmnist.robustness.robustness` yields them.
        class_names: one for each class; that of the answer is above each image, in red where the answer changed.
        title: title of the figure.
    """
    figure = Figure(figsize=(9.5, 0.6 + 1.15 * len(curves)), dpi=DPI, layout="constrained")
    figure.suptitle(title, size=LARGE, parse_math=False)
    count = len(curves[0].examples)
    for curve, (axes, *panels) in zip(
        curves,
        figure.subplots(len(curves), 1 + count, squeeze=False, width_ratios=[3.2, *[1] * count]),
        strict=True,
    ):
        axes.plot(curve.accuracies, "o-", markersize=4, linewidth=1.2, clip_on=False)
        axes.set_xticks(range(count), ["none", *(f"{amount:.3g}" for amount in curve.amounts)])
        axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        axes.set_ylim(0, 1)
        axes.set_title(f"{curve.name} ({curve.unit})", size=SMALL, loc="left", pad=5)
        style_axes(axes)
        axes.tick_params(labelsize=SMALL - 1, length=2)
        for panel, image, answer in zip(panels, curve.examples, curve.predicted, strict=True):
            panel.imshow(image, "binary", vmin=0, vmax=1, interpolation="none")
            panel.set(xticks=[], yticks=[])
            color = "black" if answer == curve.predicted[0] else "#c00000"
            panel.set_title(class_names[answer], size=SMALL, pad=2, color=color, parse_math=False)
            panel.spines[:].set(color="0.75")
    return figure
