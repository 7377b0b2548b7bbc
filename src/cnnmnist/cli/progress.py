"""Progress: a live bar on a terminal and plain lines elsewhere; the ladder of accuracies; a bar for downloads."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import progress as rich_progress
from rich.measure import Measurement
from rich.table import Table

import cnnmnist
from cnnmnist.cli.tables import make_table, styled
from cnnmnist.cli.terminal import Terminal


class _Progress(rich_progress.Progress):
    """A live line that leaves out whole columns where the terminal is narrow: no number is cut."""

    dispensable: Sequence[rich_progress.ProgressColumn] = ()
    """The columns to leave out, the least important first."""

    def make_tasks_table(self, tasks: Iterable[rich_progress.Task]) -> Table:
        tasks, columns = list(tasks), self.columns
        if not tasks:  # rich has no console yet
            return super().make_tasks_table(tasks)
        wide = self.console.options.update(width=1_000)
        for number in range(len(self.dispensable) + 1):
            self.columns = tuple(each for each in columns if each not in self.dispensable[:number])
            table = super().make_tasks_table(tasks)
            if Measurement.get(self.console, wide, table).maximum < self.console.width:
                break
        self.columns = columns
        return table


@contextlib.contextmanager
def progress_lines(
    recipe: "cnnmnist.Recipe", terminal: Terminal
) -> "Iterator[Callable[[cnnmnist.Progress], None]]":
    """Progress in a pipe or a file: a line per 100 iterations, in the notebook's words."""

    def update(progress: "cnnmnist.Progress") -> None:
        if progress.batch_accuracy is not None:
            terminal.message(
                f"Optimization Iteration: {progress.iteration:>6}, "
                f"Training Accuracy: {progress.batch_accuracy:>6.1%}"
            )

    yield update


@contextlib.contextmanager
def progress_bar(recipe: "cnnmnist.Recipe", terminal: Terminal) -> "Iterator[Callable[[cnnmnist.Progress], None]]":
    """Progress on a terminal: iterations, speed, time left, loss and batch accuracy."""
    columns = (
        rich_progress.TextColumn("Training"),
        rich_progress.BarColumn(bar_width=max(10, min(40, terminal.err.width - 70))),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[speed]}"),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[loss]}"),
        rich_progress.TextColumn("{task.fields[accuracy]}"),
    )
    with _Progress(*columns, console=terminal.err) as bar:
        bar.dispensable = [columns[number] for number in (1, 3, 0, 5, 4, 6, 2)]
        task = bar.add_task("Training", total=recipe.training.iterations, speed="", loss="", accuracy="")

        def update(progress: "cnnmnist.Progress") -> None:
            bar.update(
                task,
                completed=progress.iteration,
                speed=f"{len(progress.losses) / progress.seconds:.0f} it/s",
                loss=f"loss {progress.losses.mean():.3f}",
                accuracy=f"accuracy {progress.accuracies.mean():.1%}",
            )

        yield update


def show_ladder(ladder: "list[cnnmnist.Rung]", terminal: Terminal) -> None:
    """Print the accuracies of a run beside those of the tutorial."""
    from cnnmnist.recipes import TUTORIAL_LADDER  # imports pydantic

    tutorial = {iteration: f"{accuracy:.1%}" for iteration, accuracy in TUTORIAL_LADDER.items()}
    rows = [
        (f"{rung.iteration:,}", styled(f"{rung.accuracy:.1%}", "bold"), tutorial.get(rung.iteration, "-"))
        for rung in ladder
    ]
    columns = ["iterations", "this run", "tutorial"]
    terminal.out.print(make_table(columns, rows, title="Accuracy on Test-Set", left=0))


@contextlib.contextmanager
def download_bar(terminal: Terminal) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error that appears when a download begins, and that the download calls as it goes on."""
    columns = (
        rich_progress.TextColumn("Downloading"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    bar = _Progress(*columns, console=terminal.err, transient=True, disable=not terminal.shows_progress)
    bar.dispensable = [columns[number] for number in (1, 0, 3, 2)]
    task = bar.add_task("", total=None)

    def update(received: int, size: int | None) -> None:
        bar.start()
        bar.update(task, completed=received, total=size)

    try:
        yield update
    finally:
        bar.live.stop()  # the stop of the bar itself prints an empty line where there is no terminal
