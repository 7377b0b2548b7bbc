"""``cnnmnist train``."""

import contextlib
import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

import cnnmnist
from cnnmnist.cli import workers
from cnnmnist.cli.command import Command, require_extra
from cnnmnist.cli.find_learning_rate import find_rate
from cnnmnist.cli.progress import download_bar, progress_bar, progress_lines, show_ladder
from cnnmnist.cli.resume import resume_run
from cnnmnist.cli.signals import Signals
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train_options import TrainOptions, train_options
from cnnmnist.errors import ClusterError, CnnMnistError, shell_quoted

if TYPE_CHECKING:
    from cnnmnist.distributed.cluster import Cluster
    from cnnmnist.distributed.strategy import Distribution


@click.command(cls=Command)
@train_options
def command(**given: Any) -> None:
    """Train the network, and keep its weights, metrics and checkpoints in a run directory.

    \b
    cnnmnist train
    cnnmnist train --iterations 1000 --learning-rate 3e-4
    cnnmnist train --set training.schedule=one-cycle --seed 7
    cnnmnist train --record
    cnnmnist train --resume latest --iterations 20000
    """
    options = TrainOptions.parse(**given)
    if options.tensorboard:
        require_extra("tensorboard", "--tensorboard", "tensorboard")
    terminal = Terminal(options.as_json)
    if options.find_learning_rate:
        find_rate(options, load_training_data(options.load_recipe(), options, terminal), terminal)
        return
    cluster = workers.find_cluster(options)
    if cluster and not cluster.is_chief:
        try:
            workers.follow_chief(options, cluster, terminal)
        except CnnMnistError as error:
            error.args = (f"{cluster.names[cluster.rank]}: {error}",)
            raise
        return
    start = resume_run if options.resume else _new_run
    run, dataset, distribution = start(options, cluster, terminal)
    with run.locked():
        metadata = run.metadata
        try:
            _describe(run, dataset, terminal)
            stopped_by = _train(run, dataset, distribution, options, terminal)
        finally:
            # For example, nobody reads the output any more.
            if metadata.status == "running" and not options.resume:
                shutil.rmtree(run.directory, ignore_errors=True)
    if stopped_by:
        with contextlib.suppress(OSError):  # the terminal may be closed
            terminal.err.print(
                f"Interrupted after {metadata.iteration:,} iterations. Continue with: {run.resume_command}"
            )
        os._exit(128 + stopped_by)  # TensorFlow would take another second to be torn down
    show_ladder(metadata.ladder, terminal)
    terminal.out.print(f"Time usage: {timedelta(seconds=round(metadata.seconds))}")
    terminal.out.print(f"Run: {run.directory}")
    if metadata.recipe.training.record_at:
        terminal.out.print(f"Show how it learned: cnnmnist visualize {shell_quoted(run.directory)} --movie")
    if options.tensorboard:
        logs = shell_quoted(run.directory.parent)
        terminal.out.print(f"Show the run in TensorBoard: tensorboard --logdir {logs}")
    terminal.result(
        {
            "run": str(run.directory),
            "dataset": metadata.dataset.name,
            "precision": metadata.precision,
            "iterations": metadata.iteration,
            "seconds": round(metadata.seconds, 3),
            "accuracy": metadata.ladder[-1].accuracy,
            "ladder": [rung.model_dump() for rung in metadata.ladder],
        }
    )


def _new_run(
    options: TrainOptions, cluster: "Cluster | None", terminal: Terminal
) -> "tuple[cnnmnist.Run, cnnmnist.Dataset, Distribution | None]":
    from cnnmnist.runs.store import check_new_name, create_run

    with workers.refusals_told(cluster):
        recipe = options.load_recipe()
        check_new_name(options.runs_dir, options.name)
        dataset = load_training_data(recipe, options, terminal)
    distribution = workers.connect(options, cluster, terminal)
    workers.check_same_training(distribution, recipe, dataset)
    replicas = distribution.replicas if distribution else 1
    return create_run(options.runs_dir, options.name, recipe, dataset, replicas), dataset, distribution


def load_training_data(recipe: "cnnmnist.Recipe", options: TrainOptions, terminal: Terminal) -> "cnnmnist.Dataset":
    """Load the data set of a new run, and say where it is not what a user might expect."""
    with download_bar(terminal) as progress:
        dataset = cnnmnist.load_dataset(
            recipe.dataset, options.data_dir, progress=progress, skip_damaged=options.skip_damaged
        )
    terminal.warn_of_data(dataset)
    if dataset.fallback_reason:
        terminal.notice(
            "Training on the embedded digits",
            f"{dataset.fallback_reason}\n\nThis run uses mnist5k, the 5,000 of MNIST's 70,000 digits that ship "
            "with the program. For all of them, put the four IDX files in a folder and name it with --data-dir "
            "or $CNNMNIST_DATA_DIR, or train again with a connection to the internet.",
        )
    return dataset


def _describe(run: "cnnmnist.Run", dataset: "cnnmnist.Dataset", terminal: Terminal) -> None:
    sizes = {"Training set": dataset.train, "Validation set": dataset.validation, "Test set": dataset.test}
    terminal.out.print(f"Recipe {run.metadata.recipe.name}, data: {dataset.name} ({dataset.source})")
    for title, split in sizes.items():
        terminal.out.print(f"  {title + ':':<16}{len(split):>7,} images")


def _train(
    run: "cnnmnist.Run",
    dataset: "cnnmnist.Dataset",
    distribution: "Distribution | None",
    options: TrainOptions,
    terminal: Terminal,
) -> int:
    """Train to the end or to a signal, and return the signal's number, or 0."""
    show: Any = progress_bar if terminal.shows_progress else progress_lines
    with Signals(run, terminal) as signals:
        try:
            with terminal.waiting("Starting TensorFlow"):
                from cnnmnist.distributed.strategy import distribute
                from cnnmnist.training.loop import training_events
                from cnnmnist.training.step import Progress
            distribution = distribution or distribute(options.strategy)
            _describe_distribution(run, distribution, terminal)
            training = training_events(
                run, dataset, distribution=distribution, checkpoint_every=options.checkpoint_every
            )
            with (
                _tensorboard(run, dataset, options) as writer,
                contextlib.closing(training) as events,
                show(run.metadata.recipe, terminal) as update,
            ):
                for event in events:
                    if writer:
                        writer.write(event)
                    if isinstance(event, Progress):
                        signals.in_training = True
                        update(event)
                    if signals.received:
                        break
        except KeyboardInterrupt:
            run.save_status("interrupted")
        except ClusterError:
            if not signals.received:  # otherwise the other workers were most likely told to stop, too
                raise
            run.save_status("interrupted")
    return signals.received


def _tensorboard(run: "cnnmnist.Run", dataset: "cnnmnist.Dataset", options: TrainOptions) -> Any:
    if not options.tensorboard:
        return contextlib.nullcontext()
    from cnnmnist.training.tensorboard import TensorBoardWriter  # an extra

    return TensorBoardWriter(run, dataset)


def _describe_distribution(run: "cnnmnist.Run", distribution: "Distribution", terminal: Terminal) -> None:
    from cnnmnist.runtime import resolve_precision

    metadata, replicas = run.metadata, distribution.replicas
    share = metadata.recipe.training.batch_size // replicas
    precision = resolve_precision(metadata.recipe.training.precision)
    terminal.out.print(f"Strategy {distribution.kind}: {replicas} x {share} images per iteration, in {precision}")
    if metadata.iteration and replicas != metadata.replicas:
        terminal.warn(
            f"the run {run.name} was trained with {metadata.replicas} replicas until here: the result may differ "
            "slightly from that of an uninterrupted run."
        )
