"""``compare --test``: whether runs differ on the same images by more than luck."""

import itertools
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import cnnmnist
from cnnmnist.cli.tables import make_table
from cnnmnist.cli.terminal import Terminal
from cnnmnist.errors import DataError

LEVEL = 0.05  # of significance
SHOWN = 36  # images in the figure
CAUTION = (
    "This is about these networks and images like these. Each recipe was trained once: with another seed, its "
    "network gets other images right, and `cnnmnist sweep` measures how many."
)


def load_same_dataset(runs: "list[cnnmnist.Run]", titles: list[str]) -> "cnnmnist.Dataset":
    """Load the data set of all runs.

    Raises:
        DataError: the runs do not have the same test images and classes.
    """
    import numpy as np

    first, *others = (run.load_dataset(only_test=True) for run in runs)
    for other, title in zip(others, titles[1:], strict=True):
        if first.class_names != other.class_names:
            raise DataError(f"{titles[0]} and {title} know other classes: no paired test can compare them.")
        pairs = ((getattr(each.test, part) for each in (first, other)) for part in ("images", "labels"))
        if not all(np.array_equal(*pair) for pair in pairs):
            raise DataError(f"{titles[0]} and {title} have other test images: no paired test can compare them.")
    return first


def paired_test(
    runs: "list[cnnmnist.Run]", titles: list[str], dataset: "cnnmnist.Dataset", path: Path, terminal: Terminal
) -> tuple[list[dict[str, Any]], list[Path]]:
    """Compare every two runs, and draw the images that only some read, beside the figure ``path``.

    Returns:
        The documents of the pairs, and the figure, unless there is no such image.
    """
    from cnnmnist.statistics import holm, mcnemar_test, paired_interval

    for run in runs:
        terminal.warn_about(run)
    test = dataset.test
    reports = [cnnmnist.evaluate(run.load_network(), test) for run in runs]
    right = [report.predicted == test.labels for report in reports]
    places = list(itertools.combinations(range(len(runs)), 2))
    counts = [tuple(int((right[i] & ~right[j]).sum()) for i, j in (pair, pair[::-1])) for pair in places]
    p_values = holm([mcnemar_test(*only) for only in counts])
    pairs = [
        {
            "first": str(runs[i].directory),
            "second": str(runs[j].directory),
            "only_first": first,
            "only_second": second,
            "difference": (first - second) / len(test),
            "interval": paired_interval(first, second, len(test)),
            "p_value": p_value,
        }
        for (i, j), (first, second), p_value in zip(places, counts, p_values, strict=True)
    ]
    letters = [ascii_uppercase[i % 26] + str(i // 26 or "") for i in range(len(runs))]
    terminal.out.print(f"Right answers on the same {len(test):,} test images", style="italic")
    for letter, title in zip(letters, titles, strict=True):
        terminal.out.print(f"  {letter}: {title}")
    _show(pairs, [(letters[i], letters[j]) for i, j in places], terminal)
    figure = path.with_name(f"{path.stem}-only-some-read{path.suffix}")
    return pairs, _draw(reports, letters, dataset, figure)


def _show(pairs: list[dict[str, Any]], names: list[tuple[str, str]], terminal: Terminal) -> None:
    rows = []
    for pair, (first, second) in zip(pairs, names, strict=True):
        low, high = (f"{100 * end:+.2f}" for end in pair["interval"])
        numbers = [f"{pair['only_first']:,}", f"{pair['only_second']:,}", f"{100 * pair['difference']:+.2f}"]
        rows.append((f"{first} and {second}", *numbers, f"{low} to {high}", f"{pair['p_value']:.2g}"))
    columns = ["pair", "only first", "only second", "difference", "95 % interval", "p"]
    terminal.out.print(make_table(columns, rows))
    corrected = f", corrected for {len(pairs)} pairs (Holm)" if len(pairs) > 1 else ""
    terminal.out.print(f"The difference is in percentage points; p is McNemar's exact test{corrected}.")
    for pair, (first, second) in zip(pairs, names, strict=True):
        if pair["p_value"] < LEVEL:
            better, worse = (first, second) if pair["difference"] > 0 else (second, first)
            terminal.out.print(f"{better} is better than {worse}: luck with the images seldom makes as much.")
        else:
            terminal.out.print(f"{first} and {second} differ by no more than luck with the images can make.")
    terminal.out.print(CAUTION)


def _draw(
    reports: "list[cnnmnist.Report]", letters: list[str], dataset: "cnnmnist.Dataset", path: Path
) -> list[Path]:
    """Draw the first images that some runs read and others do not, with the answer of each run."""
    test, names = dataset.test, dataset.class_names
    right = sum((report.predicted == test.labels).astype(int) for report in reports)
    differing = ((right > 0) & (right < len(reports))).nonzero()[0]
    if not len(differing):
        return []
    shown = differing[:SHOWN]
    title = f"{len(shown)} of {len(differing):,} test images that only some read"
    grid = cnnmnist.image_grid(test.images[shown], test.labels[shown], class_names=names, title=title)
    titles = list(grid.titles)
    for letter, report in zip(letters, reports, strict=True):
        answers = report.predicted[shown]
        titles = [f"{each}, {letter}: {names[answer]}" for each, answer in zip(titles, answers, strict=True)]
    cnnmnist.save_figure(cnnmnist.draw_grid(replace(grid, titles=tuple(titles))), path)
    return [path]
