import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cnnmnist.calibration import Calibration
from cnnmnist.evaluation import Report
from cnnmnist.visualization.charts import (
    LearningCurve,
    draw_calibration,
    draw_confusion_matrix,
    draw_embedding,
    draw_learning_curves,
    draw_rate_test,
)
from cnnmnist.visualization.figures import save_figure
from support.pixels import FASHION, overlapping, render


def contrast(one, other):
    """Contrast ratio of two colours: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""

    def luminance(color):
        parts = np.array(to_rgb(color))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("names", [list("0123456789"), FASHION])
def test_counts_of_a_confusion_matrix_are_legible(names):
    matrix = np.array(
        [[0 if row > column else 2 ** abs(row - column) for column in range(10)] for row in range(10)]
    )
    matrix[9, 9] = 1000
    figure = draw_confusion_matrix(matrix, names, "Accuracy on Test-Set: 98.5%")
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("Predicted", "True", "Images")
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert [int(text.get_text()) for text in axes.texts] == matrix.ravel().tolist()
    picture = render(figure)
    (image,) = axes.images
    for text, count in zip(axes.texts, matrix.ravel(), strict=True):
        if count:
            assert contrast(text.get_color(), image.cmap(image.norm(count))[:3]) > 3
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edge == 255).all(), "something is cut off at the edge of the figure"
    labels = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert overlapping(labels) == []


def test_a_large_confusion_matrix_has_no_counts():
    figure = draw_confusion_matrix(np.eye(47, dtype=int), [chr(48 + i) for i in range(47)])
    assert not figure.axes[0].texts
    render(figure)
    assert overlapping([label.get_window_extent() for label in figure.axes[0].get_yticklabels()]) == []


def curve(name, losses, ladder=((0, 0.1),)):
    losses = np.asarray(losses, float)
    return LearningCurve(name, losses, 1 - np.minimum(losses, 1), ladder)


def test_learning_curves_are_means_over_the_iterations_around(rng):
    noise = rng.normal(0, 0.01, 1_000)
    figure = draw_learning_curves([curve("long", 0.5 + noise), curve("short", [0.25] * 7, [(7, 0.75)])])
    losses, accuracies = figure.axes
    assert "mean of 20 iterations" in losses.get_ylabel()
    long, short = losses.lines
    assert long.get_xdata().tolist() == list(range(1, 1_001))
    assert long.get_ydata()[499] == pytest.approx(0.5 + noise[489:510].mean())
    assert long.get_ydata()[-1] == pytest.approx(0.5 + noise[989:].mean())
    assert short.get_ydata() == pytest.approx([0.25] * 7)
    assert [line.get_ydata().tolist() for line in accuracies.lines if line.get_marker() == "o"] == [[0.1], [0.75]]
    assert long.get_color() != short.get_color()


def test_several_trainings_are_their_mean_in_a_band_from_the_lowest_to_the_highest():
    losses = np.array([[0.4] * 40, [0.1] * 40, [0.1] * 40])
    figure = draw_learning_curves([curve("seeds", losses, [(40, 0.6), (40, 0.9)]), curve("one", losses[0])])
    axes = figure.axes[0]
    assert axes.lines[0].get_ydata() == pytest.approx([0.2] * 40)
    (band,) = axes.collections
    assert {round(float(y), 6) for _, y in band.get_paths()[0].vertices} == {0.1, 0.4}


def test_a_reliability_diagram_shows_the_bins_and_the_coverage():
    rows = np.array([[0.95, 0.05], [0.93, 0.07], [0.65, 0.35], [0.55, 0.45]], np.float32)
    report = Report(np.array([0, 1, 0, 0]), np.zeros(4, int), np.array([[3, 0], [1, 0]]), [], np.log(rows), 1.0)
    figure = draw_calibration(Calibration(report), "Calibration")
    bins, coverage = figure.axes
    assert [bar.get_height() for bar in bins.patches] == [1, 1, 0.5]
    assert [bar.get_x() + bar.get_width() / 2 for bar in bins.patches] == pytest.approx([0.55, 0.65, 0.95])
    assert [text.get_text() for text in bins.texts] == ["1", "1", "2"]
    assert coverage.lines[0].get_ydata() == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])
    assert "expected calibration error 42.00%" in figure.get_suptitle()


def test_a_rate_test_marks_its_rates_and_survives_a_loss_that_is_not_finite():
    rates, losses = np.geomspace(1e-6, 1, 4), np.array([2.3, 1.0, 0.5, np.nan])
    marks = {"steepest": 1e-4, "least": 1e-2, "try": 1e-3, "diverged": 1.0}
    figure = draw_rate_test(rates, losses, np.array([2.3, 1.0, 0.5, np.inf]), marks)
    render(figure)
    (axes,) = figure.axes
    assert [line.get_xdata()[0] for line in axes.lines[2:]] == list(marks.values())
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [f"{name}: {rate:.2g}" for name, rate in marks.items()]


def test_long_curves_are_thinned_and_empty_or_perfect_ones_drawn(tmp_path):
    perfect = LearningCurve("perfect", np.full(30_000, 1e-9), np.ones(30_000), [(30_000, 1.0)])
    figure = draw_learning_curves([perfect, curve("empty", [], [])])
    assert len(figure.axes[0].lines[0].get_xdata()) == 1_000
    assert figure.axes[0].lines[0].get_xdata()[-1] == 30_000
    for path in (tmp_path / "a.png", tmp_path / "a.svg", tmp_path / "a.pdf"):
        save_figure(figure, path)
        save_figure(draw_learning_curves([curve("empty", [], [])]), path)


def test_every_name_is_in_the_legend_whatever_it_is():
    names = ["_private", "$x^2$ \\frac", "ordinary", *(f"run {number}" for number in range(20))]
    figure = draw_learning_curves([curve(name, [1.0, 0.5]) for name in names])
    render(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    height = figure.get_window_extent().height
    assert legend.get_window_extent().height < height - 2 * 300  # the curves keep their room
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(styles) == len(names)


def embedded(rng, classes, per_class):
    labels = np.repeat(np.arange(classes), per_class)
    centres = np.stack([np.cos(np.arange(classes) * 2.4), np.sin(np.arange(classes) * 2.4)], axis=1)
    points = centres[labels] * np.sqrt(1 + labels[:, np.newaxis]) * 10 + rng.normal(0, 0.5, (len(labels), 2))
    return points, labels


@pytest.mark.parametrize("names", [list("0123456789"), FASHION, [f"$class_{number}$" for number in range(47)]])
def test_an_embedding_names_its_clusters_and_marks_what_is_misclassified(rng, names):
    points, labels = embedded(rng, len(names), 20)
    predicted = labels.copy()
    predicted[[3, 45]] = 1, 0
    figure = draw_embedding(points, labels, predicted, names, "Test images")
    render(figure)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == names
    for number, text in enumerate(axes.texts):
        assert text.get_position() == pytest.approx(np.median(points[labels == number], axis=0))
    plain, marked = (each for each in axes.collections if len(each.get_offsets()))
    np.testing.assert_allclose(marked.get_offsets(), points[[3, 45]])
    assert len(plain.get_offsets()) == len(points) - 2
    colors = plain.get_facecolor()[:, :3]
    of_class = [colors[plain.get_offsets()[:, 0].tolist().index(points[20 * n, 0])] for n in range(len(names))]
    assert len({tuple(color) for color in colors}) == len({tuple(color) for color in of_class}) == len(names)
    np.testing.assert_allclose(marked.get_facecolor()[:, :3], [of_class[0], of_class[2]])
    assert marked.get_linewidth()[0] > 0
    assert marked.get_sizes()[0] > plain.get_sizes()[0]
    assert "misclassified, in the colour of the true class (2)" in figure.legends[0].get_texts()[0].get_text()


def test_an_embedding_of_two_images_is_drawn(tmp_path):
    for suffix in ("png", "svg"):
        save_figure(
            draw_embedding(np.eye(2), np.array([0, 1]), np.array([1, 1]), "ab"), tmp_path / f"two.{suffix}"
        )
