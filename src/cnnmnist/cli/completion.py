"""What a shell completes: names of runs, recipes and data sets, and fields of a recipe."""

import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem


class Names(click.types.StringParamType):
    """A text for which a shell knows some values; modules that find them are imported when it asks."""

    def __init__(self, *finders: Callable[[click.Context], Iterable[str]]) -> None:
        self.finders = finders

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin with what was typed."""
        names = [name for find in self.finders for name in find(ctx)]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _runs_dir(ctx: click.Context) -> Path:
    return Path(ctx.params.get("runs_dir") or os.environ.get("CNNMNIST_RUNS_DIR") or "runs")


def _runs(ctx: click.Context) -> Iterable[str]:
    store = importlib.import_module("cnnmnist.runs.store")
    names = sorted((run.name for run in store.run_directories(_runs_dir(ctx))), reverse=True)
    return ["latest", *names, *store.SHIPPED]


def _sweeps(ctx: click.Context) -> Iterable[str]:
    return (sweep.name for sweep in importlib.import_module("cnnmnist.runs.store").list_sweeps(_runs_dir(ctx)))


def _recipes(ctx: click.Context) -> Iterable[str]:
    return list[str](importlib.import_module("cnnmnist.recipes").recipe_names())


def _settings(ctx: click.Context) -> Iterable[str]:
    return (f"{field}=" for field in importlib.import_module("cnnmnist.recipes").recipe_fields())


def _datasets(ctx: click.Context) -> Iterable[str]:
    return list[str](importlib.import_module("cnnmnist.data.registry").DATASETS)


RUN, RECIPE, SETTING, DATASET, SWEEP = map(Names, (_runs, _recipes, _settings, _datasets, _sweeps))
RUN_OR_RECIPE, RUN_OR_SWEEP = Names(_runs, _recipes), Names(_runs, _sweeps)
