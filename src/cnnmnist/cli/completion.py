"""What a shell completes: names of runs, recipes and data sets, and fields of a recipe."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem


class Names(click.types.StringParamType):
    """A text for which a shell knows some values; modules that find them are imported when it asks."""

    def __init__(self, find: Callable[[click.Context], Iterable[str]]) -> None:
        self.find = find

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin with what was typed."""
        return [CompletionItem(name) for name in self.find(ctx) if name.startswith(incomplete)]


def _runs(ctx: click.Context) -> Iterable[str]:
    from cnnmnist.runs.store import SHIPPED

    folder = ctx.params.get("runs_dir") or os.environ.get("CNNMNIST_RUNS_DIR") or "runs"
    own = sorted((path.parent.name for path in Path(folder).glob("[!.]*/run.json")), reverse=True)
    return ["latest", *own, *SHIPPED]


def _recipes(ctx: click.Context) -> Iterable[str]:
    from cnnmnist.recipes import recipe_names

    return recipe_names()


def _settings(ctx: click.Context) -> Iterable[str]:
    from cnnmnist.recipes import recipe_fields

    return [f"{field}=" for field in recipe_fields()]


def _datasets(ctx: click.Context) -> Iterable[str]:
    from cnnmnist.data.registry import DATASETS

    return DATASETS


RUN, RECIPE, SETTING, DATASET = map(Names, (_runs, _recipes, _settings, _datasets))
RUN_OR_RECIPE = Names(lambda ctx: [*_runs(ctx), *_recipes(ctx)])
