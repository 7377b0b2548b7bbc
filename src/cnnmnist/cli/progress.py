"""How a training looks: a live bar on a terminal, plain lines elsewhere, and the ladder at the end."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cnnmnist.cli.terminal import Terminal

if TYPE_CHECKING:
    from cnnmnist.config import Recipe
    from cnnmnist.runs.metadata import Rung
    from cnnmnist.training.trainer import Progress

# Accuracy on the test split after so many iterations, as the notebook of the tutorial shows it.
TUTORIAL_LADDER = {0: 0.104, 1: 0.109, 100: 0.663, 1_000: 0.933, 10_000: 0.985}


@contextlib.contextmanager
def lines(recipe: "Recipe", terminal: Terminal) -> "Iterator[Callable[[Progress], None]]":
    """Progress where nobody watches: a line per 100 iterations, in the notebook's words."""

    def update(progress: "Progress") -> None:
        if progress.batch_accuracy is not None:
            terminal.err.print(
                f"Optimization Iteration: {progress.iteration:>6}, "
                f"Training Accuracy: {progress.batch_accuracy:>6.1%}"
            )

    yield update


@contextlib.contextmanager
def live_bar(recipe: "Recipe", terminal: Terminal) -> "Iterator[Callable[[Progress], None]]":
    """Progress on a terminal: iterations, speed, time left, loss and batch accuracy."""
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("Training"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[speed]}"),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[state]}"),
    )
    with rich_progress.Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task("Training", total=recipe.training.iterations, speed="", state="")

        def update(progress: "Progress") -> None:
            bar.update(
                task,
                completed=progress.iteration,
                speed=f"{len(progress.losses) / progress.seconds:.0f} it/s",
                state=f"loss {progress.losses.mean():.3f}, accuracy {progress.accuracies.mean():.1%}",
            )

        yield update


def show_ladder(ladder: "list[Rung]", terminal: Terminal) -> None:
    """The accuracies of a run beside those that the tutorial shows."""
    from rich.table import Table

    table = Table(title="Accuracy on Test-Set", title_justify="left")
    table.add_column("iterations", justify="right")
    table.add_column("this run", justify="right", style="bold")
    table.add_column("tutorial", justify="right")
    for rung in ladder:
        published = TUTORIAL_LADDER.get(rung.iteration)
        table.add_row(
            f"{rung.iteration:,}",
            f"{rung.accuracy:.1%}",
            f"{published:.1%}" if published is not None else "-",
        )
    terminal.out.print(table, soft_wrap=False)
