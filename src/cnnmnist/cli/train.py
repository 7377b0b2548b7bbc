"""``cnnmnist train``."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import Command, Terminal, data_options, json_option, options, runs_dir_option

if TYPE_CHECKING:
    from cnnmnist.config import Recipe
    from cnnmnist.data.sources import Dataset
    from cnnmnist.runs import Run, Rung
    from cnnmnist.training import Progress

# Accuracy on the test split after so many iterations, as the notebook of the tutorial shows it.
TUTORIAL_LADDER = {0: 0.104, 1: 0.109, 100: 0.663, 1_000: 0.933, 10_000: 0.985}


def _iterations(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    try:
        return sorted({int(part) for part in value.split(",")}) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of iterations such as 0,1,100.") from None


recipe_options = options(
    click.option(
        "--config", metavar="NAME|FILE", help="Recipe: a shipped one or a YAML file.  [default: tutorial]"
    ),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="Set any field, as training.beta_2=0.99.",
    ),
    click.option("--iterations", type=int, metavar="N", help="Optimizer steps."),
    click.option("--batch-size", type=int, metavar="N", help="Images per iteration."),
    click.option("--learning-rate", type=float, metavar="X", help="Adam's step size."),
    click.option("--seed", type=int, metavar="N", help="Seed of weights, order, dropout and augmentation."),
    click.option(
        "--evaluate-at",
        callback=_iterations,
        metavar="N,N,...",
        help="Evaluate the test split after these iterations.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "mixed_bfloat16"]),
        help="Arithmetic of the layers.",
    ),
)


@click.command(cls=Command)
@recipe_options
@data_options
@runs_dir_option
@click.option("--name", metavar="NAME", help="Name of the run.  [default: time and recipe]")
@click.option("--resume", metavar="RUN", help="Continue a run; more --iterations extend it.")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    metavar="N",
    help="Iterations between checkpoints.",
)
@json_option
def command(
    config: str | None,
    settings: tuple[str, ...],
    dataset: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    name: str | None,
    resume: str | None,
    checkpoint_every: int,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train the network and keep all that it leaves behind in a run directory.

    \b
    cnnmnist train
    cnnmnist train --iterations 1000 --learning-rate 3e-4
    cnnmnist train --set training.schedule=one-cycle --seed 7
    cnnmnist train --resume latest --iterations 20000
    """
    terminal = Terminal(as_json)
    overrides = _overrides(settings, {f"training.{field}": value for field, value in fields.items()}, dataset)
    if resume is not None:
        refused = {"--config": config, "--name": name, "--dataset": dataset}
        run, digits = _resumed(resume, runs_dir, data_dir, overrides, refused, terminal)
    else:
        run, digits = _new(config, overrides, data_dir, runs_dir, name, terminal)
    _describe(run, digits, terminal)
    stopped_by = _train(run, digits, checkpoint_every, terminal)
    record = run.record
    if stopped_by:
        terminal.err.print(
            f"Interrupted after {record.iteration:,} iterations. Continue with: "
            f"cnnmnist train --resume {run.name if run.directory.parent == runs_dir else run.directory}"
        )
        raise SystemExit(128 + stopped_by)
    _show_ladder(record.ladder, terminal)
    terminal.out.print(f"Time usage: {timedelta(seconds=round(record.seconds))}")
    terminal.out.print(f"Run: {run.directory}")
    terminal.result(
        {
            "run": str(run.directory),
            "dataset": record.dataset.name,
            "precision": record.precision,
            "iterations": record.iteration,
            "seconds": round(record.seconds, 3),
            "accuracy": record.ladder[-1].accuracy,
            "ladder": [rung.model_dump() for rung in record.ladder],
        }
    )


def _overrides(settings: tuple[str, ...], fields: dict[str, Any], dataset: str | None) -> dict[str, Any]:
    from cnnmnist.config import parse_yaml

    overrides = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set {setting}: write it as KEY=VALUE.")
        overrides[field.strip()] = parse_yaml(value, f"--set {field}")
    overrides |= {field: value for field, value in fields.items() if value is not None}
    return overrides | ({"dataset": dataset} if dataset else {})


def _new(
    config: str | None,
    overrides: dict[str, Any],
    data_dir: Path | None,
    runs_dir: Path,
    name: str | None,
    terminal: Terminal,
) -> "tuple[Run, Dataset]":
    from cnnmnist.cli.downloads import DownloadBar
    from cnnmnist.config import load_recipe
    from cnnmnist.data.sources import load_dataset
    from cnnmnist.runs import create_run

    recipe = load_recipe(config or "tutorial", overrides)
    with DownloadBar(terminal) as progress:
        digits = load_dataset(recipe.dataset, data_dir, progress=progress)
    if digits.fallback_reason:
        terminal.notice(
            "Training on the embedded digits",
            f"{digits.fallback_reason}\n\nThis run uses mnist5k, the 5,000 of MNIST's 70,000 digits that ship "
            "with the program. For all of them, put the four IDX files in a folder and name it with --data-dir "
            "or $CNNMNIST_DATA_DIR, or train again when the network is there.",
        )
    return create_run(runs_dir, name, recipe, digits), digits


def _resumed(
    resume: str,
    runs_dir: Path,
    data_dir: Path | None,
    overrides: dict[str, Any],
    refused: dict[str, Any],
    terminal: Terminal,
) -> "tuple[Run, Dataset]":
    from cnnmnist.config import validate_recipe
    from cnnmnist.runs import find_run, versions

    run = find_run(resume, runs_dir)
    recorded = run.record.recipe.model_dump()
    iterations = overrides.pop("training.iterations", None)
    for option, value in refused.items():
        if value is not None:
            raise click.UsageError(f"{option} cannot be given with --resume: the run {run.name} has its own.")
    for field, value in overrides.items():
        section, _, key = field.partition(".")
        kept = recorded.get(section, {}).get(key) if key else recorded.get(section)
        if value != kept:
            raise click.UsageError(
                f"{field} is {kept} in the recipe of the run {run.name}: it cannot go on with {value}."
            )
    if iterations is not None and iterations != recorded["training"]["iterations"]:
        _check_extension(run, iterations)
        recorded["training"]["iterations"] = iterations
        run.record.recipe = validate_recipe(recorded, "--iterations")
    for package, now in versions().items():
        if run.record.versions.get(package) != now:
            terminal.warn(
                f"the run was made with {package} {run.record.versions.get(package)}, this is {now}: "
                "the result may differ from that of a run that was not interrupted."
            )
    return run, run.load_dataset(data_dir=data_dir)


def _check_extension(run: "Run", iterations: int) -> None:
    if run.record.recipe.training.schedule != "constant":
        raise click.UsageError(
            f"The {run.record.recipe.training.schedule} schedule of the run {run.name} ends with its last "
            "iteration, so that --iterations cannot be changed."
        )
    if iterations < run.record.iteration:
        raise click.UsageError(f"The run {run.name} has {run.record.iteration:,} iterations already.")


def _describe(run: "Run", digits: "Dataset", terminal: Terminal) -> None:
    sizes = {"Training set": digits.train, "Validation set": digits.validation, "Test set": digits.test}
    terminal.out.print(f"Recipe {run.record.recipe.name}, digits: {digits.name} ({digits.source})")
    for title, split in sizes.items():
        terminal.out.print(f"  {title + ':':<16}{len(split):>7,} images")


def _train(run: "Run", digits: "Dataset", checkpoint_every: int, terminal: Terminal) -> int:
    """Train to the end or to a signal, and return the signal's number, or 0."""
    with terminal.err.status("Starting TensorFlow") if terminal.err.is_terminal else contextlib.nullcontext():
        from cnnmnist.session import train_run
    from cnnmnist.runs import Rung

    show: Any = _live_bar if terminal.err.is_terminal else _lines
    with _Signals() as signals, show(run.record.recipe, terminal) as update:
        events = train_run(run, digits, checkpoint_every=checkpoint_every)
        for event in events:
            if not isinstance(event, Rung):
                update(event)
            if signals.received:
                events.close()
                break
    return signals.received


class _Signals:
    """Notes the first Ctrl-C or SIGTERM, so that the current iterations end well; the second stops at once."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Signals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number


@contextlib.contextmanager
def _lines(recipe: "Recipe", terminal: Terminal) -> "Iterator[Callable[[Progress], None]]":
    """Progress where nobody watches: a line per 100 iterations, in the notebook's words."""

    def update(progress: "Progress") -> None:
        if progress.batch_accuracy is not None:
            terminal.err.print(
                f"Optimization Iteration: {progress.iteration:>6}, "
                f"Training Accuracy: {progress.batch_accuracy:>6.1%}"
            )

    yield update


@contextlib.contextmanager
def _live_bar(recipe: "Recipe", terminal: Terminal) -> "Iterator[Callable[[Progress], None]]":
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


def _show_ladder(ladder: "list[Rung]", terminal: Terminal) -> None:
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
