"""What ``cnnmnist train`` does as one of several workers: find and join the others, and follow the chief."""

import atexit
import contextlib
import faulthandler
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import cnnmnist
from cnnmnist.cli.command import show_error
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train_options import TrainOptions
from cnnmnist.errors import CnnMnistError

if TYPE_CHECKING:
    from cnnmnist.distributed.cluster import Cluster
    from cnnmnist.distributed.strategy import Distribution

# Run by a process that waits for the traceback of another one.
GIVE_UP = "import sys; sys.stdin.read() and __import__('cnnmnist.cli.workers').cli.workers.give_up(*sys.argv[1:])"


def find_cluster(options: TrainOptions) -> "Cluster | None":
    """Find the workers of this training; None where this process trains alone.

    Raises:
        ClusterError: it is described wrongly.
        click.UsageError: the options contradict each other, or a cluster is asked for and not described.
    """
    if options.strategy in ("single", "mirrored"):
        if options.cluster == "slurm":
            raise click.UsageError(f"--cluster slurm cannot be given with --strategy {options.strategy}.")
        return None

    from cnnmnist.distributed.cluster import cluster_from_environment, cluster_from_slurm

    cluster = cluster_from_slurm() if options.cluster == "slurm" else cluster_from_environment()
    if options.strategy == "multi-worker" and cluster is None:
        raise click.UsageError(
            "--strategy multi-worker needs to know the workers: set TF_CONFIG (docs/distributed.md), or give "
            "--cluster slurm inside of a Slurm job."
        )
    if options.strategy == "auto" and cluster and len(cluster.members) == 1:
        return None
    return cluster


def connect(options: TrainOptions, cluster: "Cluster | None", terminal: Terminal) -> "Distribution | None":
    """Join the other workers; None where only TensorFlow, once it is imported, knows the devices."""
    if options.strategy != "mirrored" and not cluster:
        return None
    with terminal.waiting("Starting TensorFlow"):
        from cnnmnist.distributed.strategy import distribute
        from cnnmnist.runs.metadata import versions
    if not cluster:
        return distribute(options.strategy)
    named = " that TF_CONFIG names" if options.cluster == "tf-config" else ""
    terminal.message(f"Waiting for all of {len(cluster.members)} workers{named}")
    cluster.wait(options.cluster_timeout)
    with _ended_after(options.cluster_timeout, cluster):
        distribution = distribute(options.strategy, cluster, options.cluster_timeout)
        same = {"--resume": options.resume is not None, "--checkpoint-every": options.checkpoint_every}
        programs = {f"the version of {name}": version for name, version in versions().items()}
        distribution.check_same(programs | same | (options.overrides if options.resume else {}))
    return distribution


@contextlib.contextmanager
def _ended_after(seconds: float, cluster: "Cluster") -> Iterator[None]:
    """End this process with an error if the block takes longer.

    TensorFlow's chief waits for ever for a worker that stops while it joins, and keeps Python's lock, so that no
    thread can help: faulthandler, which needs no lock, ends the process, and another process prints the error.
    """
    arguments = [sys.executable, "-c", GIVE_UP, cluster.model_dump_json(), f"{seconds:g}"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, start_new_session=True) as speaker:  # deaf to Ctrl-C
        assert speaker.stdin
        faulthandler.dump_traceback_later(seconds, file=speaker.stdin, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def give_up(description: str, seconds: str) -> None:
    """Print the error of a worker, described in JSON, that waited for another one to join."""
    from cnnmnist.distributed.cluster import Cluster

    cluster = Cluster.model_validate_json(description)
    lost = ", ".join(cluster.silent()) or "another worker"
    waited = f"{cluster.names[cluster.rank]}: Gave up after {seconds} seconds of joining {lost}"
    show_error(f"{waited}, which was ready before: start all workers again.")


@contextlib.contextmanager
def refusals_told(cluster: "Cluster | None") -> Iterator[None]:
    """If this worker refuses to train, tell the others, too, after the error is printed here."""
    try:
        yield
    except (CnnMnistError, click.UsageError) as error:
        if cluster:
            atexit.register(cluster.refuse, str(error))
        raise


def send_to_followers(distribution: "Distribution | None", run: "cnnmnist.Run") -> None:
    """Send the recipe and data set of a resumed run to the other workers, which may not see the chief's files."""
    if distribution and distribution.cluster:
        dataset = run.metadata.dataset
        recipe = run.metadata.recipe.model_dump(mode="json")
        distribution.broadcast({"recipe": recipe, "dataset": dataset.name, "data_dir": dataset.data_dir})


def check_same_training(
    distribution: "Distribution | None", recipe: "cnnmnist.Recipe", dataset: "cnnmnist.Dataset"
) -> None:
    """Refuse, before anything is written, what the replicas could not train together."""
    if distribution:
        from cnnmnist.recipes import flatten
        from cnnmnist.training.step import check_divisible

        check_divisible(recipe.training.batch_size, distribution.replicas)
        facts = {"the data set's digest": dataset.digest} | flatten(recipe.model_dump(mode="json"))
        distribution.check_same(facts)


def follow_chief(options: TrainOptions, cluster: "Cluster", terminal: Terminal) -> None:
    """Take part in the chief's training, and write nothing."""
    from cnnmnist.recipes import validate_recipe

    with refusals_told(cluster):
        recipe = options.load_recipe()
        dataset = (
            None
            if options.resume
            else cnnmnist.load_dataset(recipe.dataset, options.data_dir, skip_damaged=options.skip_damaged)
        )
    distribution = connect(options, cluster, terminal)
    assert distribution
    # TensorFlow catches SIGTERM, and hears neither signal while it waits; this worker has nothing to save.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if dataset is None:
        received = distribution.broadcast()
        recipe = validate_recipe(received["recipe"], "the chief's recipe")
        chiefs = received["data_dir"]
        own = Path(chiefs) if chiefs and not options.data_dir and Path(chiefs).is_dir() else options.data_dir
        dataset = cnnmnist.load_dataset(received["dataset"], own, skip_damaged=options.skip_damaged)
    check_same_training(distribution, recipe, dataset)

    from cnnmnist.training.loop import follower_events

    iteration = 0
    for progress in follower_events(recipe, dataset, distribution, checkpoint_every=options.checkpoint_every):
        iteration = progress.iteration
    terminal.result({"worker": cluster.rank, "iterations": iteration})
