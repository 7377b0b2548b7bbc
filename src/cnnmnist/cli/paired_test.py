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
        same = (np.array_equal(getattr(first.test, x), getattr(other.test, x)) for x in ("images", "labels"))
        known = first.class_names == other.class_names
        if not known or not all(same):
            what = "have other test images" if known else "know other classes"
            raise DataError(f"{titles[0]} and {title} {what}: no paired test can compare them.")
    return first


def paired_test(
    runs: "list[cnnmnist.Run]", titles: list[str], dataset: "cnnmnist.Dataset", path: Path, terminal: Terminal
) -> tuple[list[dict[str, Any]], list[Path]]:
    """Compare every two runs, and draw the images that only some read, beside the figure ``path``.

    Returns:
        The documents of the pairs, and the figure, unless there is no such image.
    """
    from cnnmnist.statistics import LEVEL, holm, mcnemar_test, paired_interval

    for run in runs:
        terminal.warn_about(run)
    test = dataset.test
    reports = [cnnmnist.evaluate(run.load_network(), test) for run in runs]
    right = [report.predicted == test.labels for report in reports]
    letters = [ascii_uppercase[i % 26] + str(i // 26 or "") for i in range(len(runs))]
    places = list(itertools.combinations(range(len(runs)), 2))
    counts = [(int((right[i] & ~right[j]).sum()), int((right[j] & ~right[i]).sum())) for i, j in places]
    p_values = holm([mcnemar_test(*only) for only in counts])
    pairs, rows, verdicts = [], [], []
    for (i, j), only, p_value in zip(places, counts, p_values, strict=True):
        difference, interval = (only[0] - only[1]) / len(test), paired_interval(*only, len(test))
        pairs.append(
            {
                "first": str(runs[i].directory),
                "second": str(runs[j].directory),
                "only_first": only[0],
                "only_second": only[1],
                "difference": difference,
                "interval": interval,
                "p_value": p_value,
            }
        )
        low, high = (f"{100 * end:+.2f}" for end in interval)
        numbers = [f"{only[0]:,}", f"{only[1]:,}", f"{100 * difference:+.2f}", f"{low} to {high}"]
        rows.append([f"{letters[i]} and {letters[j]}", *numbers, f"{p_value:.2g}"])
        verdict = f"{letters[i]} and {letters[j]} differ by no more than luck with the images can make."
        if p_value < LEVEL:
            better, worse = (i, j) if difference > 0 else (j, i)
            verdict = (
                f"{letters[better]} is better than {letters[worse]}: luck with the images seldom makes as much."
            )
        verdicts.append(verdict)

    out = terminal.out
    out.print(f"Right answers on the same {len(test):,} test images", style="italic")
    for letter, title in zip(letters, titles, strict=True):
        out.print(f"  {letter}: {title}")
    columns = ["pair", "only first", "only second", "difference", "95 % interval", "p"]
    out.print(make_table(columns, rows))
    corrected = f", corrected for {len(pairs)} pairs (Holm)" if len(pairs) > 1 else ""
    out.print(f"The difference is in percentage points; p is McNemar's exact test{corrected}.")
    out.print("\n".join([*verdicts, CAUTION]))
    return pairs, _draw(reports, letters, dataset, path.with_name(f"{path.stem}-only-some-read{path.suffix}"))


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
