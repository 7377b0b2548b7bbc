"""The options of ``cnnmnist train``, as one value."""

from dataclasses import dataclass
from typing import Any

import click

import cnnmnist
from cnnmnist.cli.completion import RECIPE, RUN, SETTING
from cnnmnist.cli.options import (
    CommonOptions,
    data_options,
    json_option,
    options,
    recipe_option,
    runs_dir_option,
    skip_damaged_option,
)
from cnnmnist.errors import RecipeError


def _iterations(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    try:
        return sorted({int(part) for part in value.split(",")}) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of iterations such as 0,1,100.") from None


# An option and the field that it sets share their name.
FIELDS: dict[str, dict[str, Any]] = {
    "iterations": {"type": int, "metavar": "N"},
    "batch_size": {"type": int, "metavar": "N"},
    "learning_rate": {"type": float, "metavar": "X"},
    "seed": {"type": int, "metavar": "N"},
    "evaluate_at": {"callback": _iterations, "metavar": "N,N,..."},
    "record_at": {"callback": _iterations, "metavar": "N,N,..."},
    "precision": {"type": click.Choice(["auto", "float32", "mixed_bfloat16"])},
}
recipe_options = options(
    click.option(
        "--config",
        type=RECIPE,
        metavar="NAME|FILE",
        help="Recipe to use: a name that `cnnmnist recipes` lists, or a YAML file.  [default: tutorial]",
    ),
    click.option(
        "--set",
        "settings",
        type=SETTING,
        metavar="KEY=VALUE",
        multiple=True,
        help="Set any field of the recipe, such as training.beta_2=0.99; may be given several times.",
    ),
    *(recipe_option(f"training.{name}", **attributes) for name, attributes in FIELDS.items() if name != "seed"),
    data_options,
    skip_damaged_option,
    runs_dir_option,
)
train_options = options(
    recipe_options,
    recipe_option("training.seed", **FIELDS["seed"]),
    click.option("--name", metavar="NAME", help="Name of the run.  [default: time and recipe]"),
    click.option("--resume", type=RUN, metavar="RUN", help="Continue a run; a larger --iterations extends it."),
    click.option(
        "--checkpoint-every",
        type=click.IntRange(min=1),
        default=1_000,
        metavar="N",
        help="Iterations between checkpoints.",
    ),
    click.option(
        "--record", is_flag=True, help="Keep about 50 snapshots of the training, for `cnnmnist visualize --movie`."
    ),
    click.option(
        "--find-learning-rate",
        is_flag=True,
        help="Make no run: train 300 iterations with a rising learning rate, and say which rate to try.",
    ),
    click.option("--tensorboard", is_flag=True, help="Write events for TensorBoard into the run directory."),
    click.option(
        "--strategy",
        type=click.Choice(["auto", "single", "mirrored", "multi-worker"]),
        default="auto",
        help="Where to train. auto uses the workers of --cluster or, without them, all GPUs of this machine.",
    ),
    click.option(
        "--cluster",
        type=click.Choice(["tf-config", "slurm"]),
        default="tf-config",
        help="Where the list of workers comes from: $TF_CONFIG, or the variables of Slurm.",
    ),
    click.option(
        "--cluster-timeout",
        type=click.FloatRange(min=0.0, min_open=True),
        default=300.0,
        metavar="SECONDS",
        help="Time to wait for the other workers.",
    ),
    json_option,
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions):
    """What was asked of ``cnnmnist train``."""

    config: str | None
    overrides: dict[str, Any]
    """Values of the recipe's fields, by dotted name."""
    name: str | None = None
    resume: str | None = None
    skip_damaged: bool
    checkpoint_every: int = 1_000
    record: bool = False
    find_learning_rate: bool = False
    tensorboard: bool = False
    strategy: str = "auto"
    cluster: str = "tf-config"
    cluster_timeout: float = 300.0

    @classmethod
    def parse(cls, settings: tuple[str, ...], **given: Any) -> "TrainOptions":
        """Join --set and the options of single fields.

        Raises:
            click.UsageError: a setting has no equals sign, or two options exclude each other.
            RecipeError: a setting is not valid YAML.
        """
        overrides = dict(map(_setting, settings))
        for name in FIELDS:
            if (value := given.pop(name, None)) is not None:
                overrides[f"training.{name}"] = value
        if given["dataset"]:
            overrides["dataset"] = given["dataset"]
        if given.get("record") and "training.record_at" in overrides:
            raise click.UsageError("--record chooses the iterations itself: leave out --record-at.")
        for option in ("config", "name", "dataset"):
            if given.get("resume") and given.get(option) is not None:
                raise click.UsageError(
                    f"--{option} cannot be given with --resume: the run {given['resume']} has its own."
                )
        return cls(overrides=overrides, **given)

    def load_recipe(self) -> "cnnmnist.Recipe":
        """The recipe with its overrides, and with about 50 iterations for snapshots if --record is given.

        Raises:
            RecipeError: there is no such recipe, or a field is unknown or not valid.
        """
        try:
            recipe = cnnmnist.load_recipe(self.config or "tutorial", self.overrides)
        except RecipeError as error:
            starts = {field: (f"{field}:", f"{field}.") for field in self.overrides}
            given = [option_of(field) for field, start in starts.items() if str(error).startswith(start)]
            raise RecipeError(": ".join([*given, str(error)])) from error
        if not self.record or self.resume:
            return recipe
        from cnnmnist.runs.snapshots import snapshot_times

        times = {"training.record_at": snapshot_times(recipe.training.iterations)}
        return cnnmnist.load_recipe(self.config or "tutorial", self.overrides | times)


def option_of(field: str) -> str:
    """The option that sets a field of the recipe: its own one, or --set."""
    section, _, name = field.rpartition(".")
    own = section == "training" and name in FIELDS
    return f"--{name.replace('_', '-')}" if own else f"--set {field}"


def _setting(setting: str) -> tuple[str, Any]:
    from cnnmnist.recipes import parse_yaml

    field, equals, value = setting.partition("=")
    if not equals:
        raise click.UsageError(f"--set {setting}: write it as KEY=VALUE.")
    return field.strip(), parse_yaml(value, f"--set {field}")
