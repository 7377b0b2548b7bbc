"""``cnnmnist train --find-learning-rate``: a short test that says which learning rate to try."""

from pathlib import Path

import click

import cnnmnist
from cnnmnist.cli.terminal import Terminal
from cnnmnist.cli.train_options import TrainOptions


def find_rate(options: TrainOptions, terminal: Terminal) -> None:
    """Test rates, draw the losses in the current folder, and say in one sentence what to try; make no run."""
    refused = {
        "--resume": options.resume,
        "--name": options.name,
        "--record": options.record,
        "--tensorboard": options.tensorboard,
        "--strategy": options.strategy not in ("auto", "single"),
        "--learning-rate": "training.learning_rate" in options.overrides,
        "--iterations": "training.iterations" in options.overrides,
    }
    for option, given in refused.items():
        if given:
            raise click.UsageError(f"{option} cannot be given with --find-learning-rate, which makes no run.")

    from cnnmnist.cli.train import load_training_data

    recipe = options.load_recipe()
    dataset = load_training_data(recipe, options, terminal)
    with terminal.waiting("Testing learning rates"):
        from cnnmnist.training.learning_rate import HIGHEST, find_learning_rate
        from cnnmnist.visualization.charts import draw_rate_test

        test = find_learning_rate(recipe, dataset)
    path = Path(f"learning-rate-{recipe.name}.png")
    marks = {"steepest": test.steepest, "try": test.suggestion, "least": test.least, "diverged": test.diverged}
    cnnmnist.save_figure(
        draw_rate_test(
            test.rates, test.losses, test.smoothed, {name: rate for name, rate in marks.items() if rate}
        ),
        path,
    )
    end = f"it diverged at {test.diverged:.2g}" if test.diverged else f"it did not diverge up to {HIGHEST:g}"
    if test.suggestion is None:
        advice = "The loss did not fall at any rate in so few iterations, so this test has no advice"
    else:
        advice = f"Try --learning-rate {test.suggestion:.1e}, a tenth of the rate of the least loss"
    terminal.out.print(
        f"{advice}: the loss fell fastest at {test.steepest:.2g}, was least at {test.least:.2g}, and {end}; the "
        f"recipe {recipe.name} has {recipe.training.learning_rate:g}."
    )
    terminal.out.print(f"Figure: {path}")
    terminal.result(
        {
            "recipe": recipe.name,
            "dataset": dataset.name,
            "suggestion": test.suggestion,
            "steepest": test.steepest,
            "least": test.least,
            "diverged": test.diverged,
            "rates": test.rates.tolist(),
            "losses": test.losses.tolist(),
            "figures": [str(path)],
        }
    )
