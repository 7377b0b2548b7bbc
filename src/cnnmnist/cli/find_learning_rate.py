"""``cnnmnist train --find-learning-rate``: a short test that says which learning rate to try."""

import math
from pathlib import Path

import click

import cnnmnist
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train_options import TrainOptions


def find_rate(options: TrainOptions, dataset: "cnnmnist.Dataset", terminal: Terminal) -> None:
    """Test rates, draw the losses in the current folder, and say in one sentence what to try; make no run."""
    if options.resume or options.name or options.record or options.tensorboard:
        raise click.UsageError("--find-learning-rate makes no run: leave out the options for a run.")
    recipe = options.load_recipe()
    with terminal.waiting("Testing learning rates"):
        from cnnmnist.training.learning_rate import find_learning_rate
        from cnnmnist.visualization.charts import draw_rate_test

        test = find_learning_rate(recipe, dataset)
    path = Path(f"learning-rate-{recipe.name}.png")
    cnnmnist.save_figure(draw_rate_test(test.rates, test.losses, test.smoothed, test.marks), path)
    marks = test.marks
    advice = "The loss hardly fell, so this test cannot advise a rate"
    if "try" in marks:
        advice = f"Try --learning-rate {marks['try']:.1e}, a tenth of the rate of the least loss"
    end = f"diverged at {marks['diverged']:.1e}" if "diverged" in marks else "did not diverge"
    terminal.out.print(
        f"{advice}: the loss was steepest at {marks['steepest']:.1e}, least at {marks['least']:.1e}, and {end}. "
        f"The recipe {recipe.name} has {recipe.training.learning_rate:.1e}.\nFigure: {path}"
    )
    points = zip(test.rates.tolist(), test.losses.tolist(), strict=True)
    curve = [{"rate": rate, "loss": loss} for rate, loss in points if math.isfinite(loss)]  # JSON has no NaN
    document = {"recipe": recipe.name, "dataset": dataset.name, **marks}
    terminal.result(document | {"curve": curve, "figures": [str(path)]})
