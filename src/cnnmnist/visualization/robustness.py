"""The figure of a network's robustness."""

from collections.abc import Sequence

from cnnmnist.robustness import Curve
from cnnmnist.visualization.figures import DPI, LARGE, SMALL, Figure


def draw_robustness(curves: Sequence[Curve], class_names: Sequence[str], title: str = "") -> Figure:
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
        axes.tick_params(labelsize=SMALL - 1, length=2)
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        for panel, image, answer in zip(panels, curve.examples, curve.predicted, strict=True):
            panel.imshow(image, "binary", vmin=0, vmax=1, interpolation="none")
            panel.set(xticks=[], yticks=[])
            color = "black" if answer == curve.predicted[0] else "#c00000"
            panel.set_title(class_names[answer], size=SMALL, pad=2, color=color, parse_math=False)
            panel.spines[:].set(color="0.75")
    return figure
