"""``cnnmnist train``."""

import os
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.cluster import Placement, check_agreement, cluster_options, follow_chief, offer, placement
from cnnmnist.cli.progress import show_ladder
from cnnmnist.cli.session import how_to_go_on, train_and_show
from cnnmnist.cli.terminal import (
    Command,
    Terminal,
    data_options,
    json_option,
    options,
    runs_dir_option,
)
from cnnmnist.files import locked

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset
    from cnnmnist.distributed.strategy import Distribution
    from cnnmnist.runs.store import Run


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
        "--record-at",
        callback=_iterations,
        metavar="N,N,...",
        help="Record after exactly these iterations.",
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
@click.option(
    "--record",
    "records",
    is_flag=True,
    help="Record how it learns, at about 50 iterations, for visualize --movie.",
)
@click.option("--tensorboard", is_flag=True, help="Write what TensorBoard shows, in the run directory.")
@cluster_options
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
    records: bool,
    tensorboard: bool,
    strategy: str,
    manager: str,
    cluster_timeout: float,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train the network and keep all that it leaves behind in a run directory.

    \b
    cnnmnist train
    cnnmnist train --iterations 1000 --learning-rate 3e-4
    cnnmnist train --set training.schedule=one-cycle --seed 7
    cnnmnist train --record
    cnnmnist train --resume latest --iterations 20000
    """
    from cnnmnist.cli.extras import require

    if tensorboard:
        require("tensorboard", "--tensorboard", "tensorboard")
    terminal = Terminal(as_json)
    overrides = _overrides(settings, {f"training.{field}": value for field, value in fields.items()}, dataset)
    place = placement(strategy, manager, cluster_timeout, checkpoint_every)
    if records and "training.record_at" in overrides:
        raise click.UsageError("--record chooses the iterations itself: leave out --record-at.")
    if records and resume is None:
        overrides["training.record_at"] = _recording_times(config, overrides)
    if place.follows:
        with place.naming_failures():
            follow_chief(place, resume is not None, config, overrides, data_dir, terminal)
        return
    if resume is not None:
        refused = {"--config": config, "--name": name, "--dataset": dataset}
        run, digits, distribution = _resumed(
            resume, runs_dir, data_dir, overrides, refused, records, place, terminal
        )
    else:
        run, digits, distribution = _new(config, overrides, data_dir, runs_dir, name, place, terminal)
    record = run.record
    with locked(run.directory):
        _describe(run, digits, terminal)
        stopped_by = train_and_show(run, digits, strategy, distribution, checkpoint_every, tensorboard, terminal)
    if stopped_by:
        terminal.err.print(f"Interrupted after {record.iteration:,} iterations. {how_to_go_on(run)}")
        os._exit(128 + stopped_by)  # TensorFlow would take another second to be torn down
    show_ladder(record.ladder, terminal)
    terminal.out.print(f"Time usage: {timedelta(seconds=round(record.seconds))}")
    terminal.out.print(f"Run: {run.directory}")
    if record.recipe.training.record_at:
        terminal.out.print(f"See it learn with: cnnmnist visualize {shlex.quote(str(run.directory))} --movie")
    if tensorboard:
        logs = shlex.quote(str(run.directory.parent))
        terminal.out.print(f"Look at its events with: tensorboard --logdir {logs}")
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


def _recording_times(config: str | None, overrides: dict[str, Any]) -> list[int]:
    from cnnmnist.config import load_recipe
    from cnnmnist.runs.snapshots import recording_times

    return recording_times(load_recipe(config or "tutorial", overrides).training.iterations)


def _new(
    config: str | None,
    overrides: dict[str, Any],
    data_dir: Path | None,
    runs_dir: Path,
    name: str | None,
    place: Placement,
    terminal: Terminal,
) -> "tuple[Run, Dataset, Distribution | None]":
    from cnnmnist.cli.downloads import DownloadBar
    from cnnmnist.config import load_recipe
    from cnnmnist.data.loading import load_dataset
    from cnnmnist.runs.store import create_run

    recipe = load_recipe(config or "tutorial", overrides)
    distribution = place.connect(terminal, resumes=False)
    with DownloadBar(terminal) as progress:
        digits = load_dataset(recipe.dataset, data_dir, progress=progress)
    if digits.fallback_reason:
        terminal.notice(
            "Training on the embedded digits",
            f"{digits.fallback_reason}\n\nThis run uses mnist5k, the 5,000 of MNIST's 70,000 digits that ship "
            "with the program. For all of them, put the four IDX files in a folder and name it with --data-dir "
            "or $CNNMNIST_DATA_DIR, or train again when the network is there.",
        )
    check_agreement(distribution, recipe, digits)
    return create_run(runs_dir, name, recipe, digits), digits, distribution


def _resumed(
    resume: str,
    runs_dir: Path,
    data_dir: Path | None,
    overrides: dict[str, Any],
    refused: dict[str, Any],
    records: bool,
    place: Placement,
    terminal: Terminal,
) -> "tuple[Run, Dataset, Distribution | None]":
    from cnnmnist.config import load_recipe
    from cnnmnist.runs.store import load_run

    run = load_run(resume, runs_dir)
    recipe = run.record.recipe
    for option, value in refused.items():
        if value is not None:
            raise click.UsageError(f"{option} cannot be given with --resume: the run {run.name} has its own.")
    if records and not recipe.training.record_at:
        raise click.UsageError(
            f"--record contradicts the recipe of the run {run.name}, which is not recorded: leave it out, or "
            "train a new run."
        )
    given = load_recipe(overrides=overrides)
    for field in overrides.keys() - {"training.iterations"}:
        section, _, key = field.partition(".")
        kept, asked = (
            getattr(getattr(each, section), key) if key else getattr(each, section) for each in (recipe, given)
        )
        if asked != kept:
            raise click.UsageError(
                f"{_option(field)} contradicts the recipe of the run {run.name}, in which it is {kept}: leave it "
                "out, or train a new run."
            )
    if "training.iterations" in overrides and given.training.iterations != recipe.training.iterations:
        _extend(run, given.training.iterations, chosen="training.record_at" in overrides)
    terminal.warn_of_versions(run, "the result may differ from that of a run that was not interrupted")
    distribution = place.connect(terminal, resumes=True)
    offer(distribution, run)
    digits = run.load_dataset(data_dir=data_dir)
    run.check_same(digits)
    check_agreement(distribution, run.record.recipe, digits)
    return run, digits, distribution


def _option(field: str) -> str:
    """What sets a field of the recipe: its own option, or --set."""
    own = {f"training.{param.name}": param.opts[0] for param in command.params}
    return own.get(field, f"--set {field}")


def _extend(run: "Run", iterations: int, chosen: bool) -> None:
    """Give a run more iterations; one recorded to its end is recorded to the new one, unless that was chosen."""
    from cnnmnist.config import validate_recipe
    from cnnmnist.runs.snapshots import recording_times

    recipe = run.record.recipe
    schedule = "" if recipe.training.schedule == "constant" else f"{recipe.training.schedule} schedule"
    if tied := schedule or ("fade" if recipe.augmentation.fade else ""):
        raise click.UsageError(
            f"The {tied} of the run {run.name} ends with its last iteration, so that --iterations cannot be "
            "changed."
        )
    if iterations < run.record.iteration:
        raise click.UsageError(f"The run {run.name} has {run.record.iteration:,} iterations already.")
    extended = recipe.model_dump()
    training, last = extended["training"], recipe.training.iterations
    training["iterations"] = iterations
    if last in training["record_at"] and not chosen:
        training["record_at"] += [at for at in recording_times(iterations) if at > last]
    run.record.recipe = validate_recipe(extended, "--iterations")


def _describe(run: "Run", digits: "Dataset", terminal: Terminal) -> None:
    sizes = {"Training set": digits.train, "Validation set": digits.validation, "Test set": digits.test}
    terminal.out.print(f"Recipe {run.record.recipe.name}, digits: {digits.name} ({digits.source})")
    for title, split in sizes.items():
        terminal.out.print(f"  {title + ':':<16}{len(split):>7,} images")
