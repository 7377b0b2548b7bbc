"""What ``cnnmnist train`` does where it is one of several workers."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnmnist.cli.terminal import Terminal, options
from cnnmnist.errors import CnnMnistError

if TYPE_CHECKING:
    from cnnmnist.config import Recipe
    from cnnmnist.data.loading import Dataset
    from cnnmnist.distributed.cluster import Cluster
    from cnnmnist.distributed.strategy import Distribution
    from cnnmnist.runs.store import Run

cluster_options = options(
    click.option(
        "--strategy",
        type=click.Choice(["auto", "single", "mirrored", "multi-worker"]),
        default="auto",
        show_default=True,
        help="Where to train; auto takes the workers of $TF_CONFIG, else all GPUs.",
    ),
    click.option(
        "--cluster",
        "manager",
        type=click.Choice(["tf-config", "slurm"]),
        default="tf-config",
        show_default=True,
        help="What names the workers.",
    ),
    click.option(
        "--cluster-timeout",
        type=click.FloatRange(min=0.0, min_open=True),
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the other workers.",
    ),
)


@dataclass(frozen=True)
class Placement:
    """Where the user wants the replicas to be."""

    strategy: str
    timeout: float
    cluster: "Cluster | None"
    checkpoint_every: int

    @property
    def follows(self) -> bool:
        """Whether another process is the chief."""
        return self.cluster is not None and not self.cluster.is_chief

    def connect(self, terminal: Terminal, resumes: bool) -> "Distribution | None":
        """Join the other workers; none where only TensorFlow can tell whether there is anything to join."""
        if self.strategy != "mirrored" and not self.cluster:
            return None
        with terminal.waiting("Starting TensorFlow"):
            from cnnmnist.distributed.strategy import distribute
        if self.cluster and not self.follows:
            terminal.err.print(f"Waiting for all of {len(self.cluster.members)} workers")
        distribution = distribute(self.strategy, self.cluster, self.timeout)
        distribution.agree_on_start({"--resume": resumes, "--checkpoint-every": self.checkpoint_every})
        return distribution

    @contextlib.contextmanager
    def naming_failures(self) -> Iterator[None]:
        """Put the name of this worker before the errors of one that is not the chief."""
        try:
            yield
        except CnnMnistError as error:
            if self.cluster and self.follows:
                error.args = (f"{self.cluster.names[self.cluster.rank]}: {error}",)
            raise


def placement(strategy: str, manager: str, timeout: float, checkpoint_every: int) -> Placement:
    """Find the cluster, if there is one.

    Raises:
        ClusterError: it is described wrongly.
        click.UsageError: the options contradict each other or what there is.
    """
    if strategy in ("single", "mirrored"):
        if manager == "slurm":
            raise click.UsageError(f"--cluster slurm cannot be given with --strategy {strategy}.")
        return Placement(strategy, timeout, None, checkpoint_every)

    from cnnmnist.distributed.cluster import cluster_from_environment, cluster_from_slurm

    cluster = cluster_from_slurm() if manager == "slurm" else cluster_from_environment()
    if strategy == "multi-worker" and cluster is None:
        raise click.UsageError(
            "--strategy multi-worker needs to know the workers: set TF_CONFIG (docs/distributed.md), or give "
            "--cluster slurm inside of a Slurm job."
        )
    if strategy == "auto" and cluster and len(cluster.members) == 1:
        cluster = None
    return Placement(strategy, timeout, cluster, checkpoint_every)


def offer(distribution: "Distribution | None", run: "Run") -> None:
    """Tell the other workers, which need not see the chief's files, what is resumed."""
    if distribution and distribution.cluster:
        dataset = run.record.dataset
        distribution.announce(
            {
                "recipe": run.record.recipe.model_dump(mode="json"),
                "dataset": dataset.name,
                "data_dir": dataset.data_dir,
            }
        )


def check_agreement(distribution: "Distribution | None", recipe: "Recipe", digits: "Dataset") -> None:
    """Refuse, before anything is written, what the replicas could not train together."""
    if distribution:
        from cnnmnist.training.trainer import check_divisible

        check_divisible(recipe.training.batch_size, distribution.replicas)
        distribution.agree_on_training(recipe, digits)


def follow_chief(
    place: Placement,
    resumes: bool,
    config: str | None,
    overrides: dict[str, Any],
    data_dir: Path | None,
    terminal: Terminal,
) -> None:
    """Take part in the chief's training, and write nothing."""
    from cnnmnist.config import load_recipe, validate_recipe
    from cnnmnist.data.loading import load_dataset

    recipe = load_recipe(config or "tutorial", overrides)
    distribution = place.connect(terminal, resumes)
    assert place.cluster
    assert distribution
    # TensorFlow catches SIGTERM, and hears neither signal while it waits; there is nothing here to be kept.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if resumes:
        offered = distribution.announce()
        recipe = _overridden(validate_recipe(offered["recipe"], "the chief's recipe"), recipe, overrides)
        recorded = Path(offered["data_dir"]) if offered["data_dir"] else None
        digits = load_dataset(
            offered["dataset"], data_dir or (recorded if recorded and recorded.is_dir() else None)
        )
    else:
        digits = load_dataset(recipe.dataset, data_dir)
    check_agreement(distribution, recipe, digits)

    from cnnmnist.training.loop import follow

    iteration = 0
    for progress in follow(recipe, digits, distribution, checkpoint_every=place.checkpoint_every):
        iteration = progress.iteration
    terminal.result({"worker": place.cluster.rank, "iterations": iteration})


def _overridden(recipe: "Recipe", given: "Recipe", overrides: dict[str, Any]) -> "Recipe":
    """The chief's recipe with the fields that were given here: if they differ, the comparison will say so."""
    from cnnmnist.config import validate_recipe

    values, own = recipe.model_dump(), given.model_dump()
    for field in overrides:
        *sections, last = field.split(".")
        target, source = values, own
        for section in sections:
            target, source = target[section], source[section]
        target[last] = source[last]
    return validate_recipe(values, "the options")
