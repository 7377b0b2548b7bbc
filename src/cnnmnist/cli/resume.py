"""``cnnmnist train --resume``: continue a run under its own recipe, or extend it."""

from typing import TYPE_CHECKING, Any

import click

import cnnmnist
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train_options import TrainOptions, option_of
from cnnmnist.cli.workers import check_same_training, connect, refusals_told, send_to_followers

if TYPE_CHECKING:
    from cnnmnist.distributed.cluster import Cluster
    from cnnmnist.distributed.strategy import Distribution


def resume_run(
    options: TrainOptions, cluster: "Cluster | None", terminal: Terminal
) -> "tuple[cnnmnist.Run, cnnmnist.Dataset, Distribution | None]":
    """Load the run of ``--resume``, and refuse options that contradict it."""
    assert options.resume
    with refusals_told(cluster):
        run = cnnmnist.load_run(options.resume, options.runs_dir)
        with run.locked():  # refuses a run that another process is training
            _check_options(run, options)
        terminal.warn_of_versions(run, "the result may differ from that of an uninterrupted run")
        dataset = run.load_own_dataset(options.data_dir)
        run.check_same(dataset)
    terminal.warn_of_data(dataset)
    distribution = connect(options, cluster, terminal)
    send_to_followers(distribution, run)
    if options.data_dir:  # where `cnnmnist evaluate` will look for the data
        run.metadata.dataset.data_dir, run.metadata.dataset.source = str(dataset.data_dir), dataset.source
    check_same_training(distribution, run.metadata.recipe, dataset)
    return run, dataset, distribution


def _check_options(run: "cnnmnist.Run", options: TrainOptions) -> None:
    from cnnmnist.recipes import get_field

    recipe, overrides = run.metadata.recipe, options.overrides
    if options.record and not recipe.training.record_at:
        raise click.UsageError(
            f"--record contradicts the recipe of the run {run.name}, which keeps no snapshots: leave it out, or "
            "train a new run."
        )
    own, given = recipe.model_dump(), options.load_recipe().model_dump()
    for field in overrides.keys() - {"training.iterations"}:
        if (kept := get_field(own, field)) != get_field(given, field):
            raise click.UsageError(
                f"{option_of(field)} contradicts the recipe of the run {run.name}, in which it is {kept}: leave "
                "it out, or train a new run."
            )
    iterations = get_field(given, "training.iterations")
    if "training.iterations" in overrides and iterations != recipe.training.iterations:
        _extend(run, iterations, keep_snapshots="training.record_at" in overrides)


def _extend(run: "cnnmnist.Run", iterations: int, keep_snapshots: bool) -> None:
    """Give a run more iterations; its snapshots go on to the new end, unless they were chosen one by one."""
    from cnnmnist.recipes import validate_recipe
    from cnnmnist.runs.snapshots import snapshot_times

    recipe = run.metadata.recipe
    schedule = "" if recipe.training.schedule == "constant" else f"{recipe.training.schedule} schedule"
    if tied := schedule or ("fade" if recipe.augmentation.fade else ""):
        raise click.UsageError(
            f"The {tied} of the run {run.name} ends with its last iteration, so that --iterations cannot be "
            "changed."
        )
    if iterations < run.metadata.iteration:
        raise click.UsageError(f"The run {run.name} has {run.metadata.iteration:,} iterations already.")
    extended: dict[str, Any] = recipe.model_dump()
    training, last = extended["training"], recipe.training.iterations
    training["iterations"] = iterations
    if last in training["record_at"] and not keep_snapshots:
        training["record_at"] += [at for at in snapshot_times(iterations) if at > last]
    run.metadata.recipe = validate_recipe(extended, "--iterations")
