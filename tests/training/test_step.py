"""The step and the iterations, on the embedded digits."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnmnist.config import Recipe
from cnnmnist.data.loading import load_dataset
from cnnmnist.data.pipeline import batch_indices
from cnnmnist.data.strokes import draw_others
from cnnmnist.errors import RecipeError, TrainingError
from cnnmnist.prediction import probabilities
from cnnmnist.recipes import load_recipe
from cnnmnist.runtime import keras, tf
from cnnmnist.training.evaluation import training_logits
from cnnmnist.training.step import Progress, Trainer

DATASET = load_dataset("mnist5k")
SMALL = {"model.convolutions": [{"filters": 4}], "model.dense": [16], "training.batch_size": 16}


def recipe(iterations: int, **fields: object) -> Recipe:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return load_recipe(overrides={"training.iterations": iterations} | named)


def trained(chosen: Recipe, stops: tuple[int, ...] = ()) -> tuple[Trainer, list[Progress]]:
    trainer = Trainer(chosen, DATASET)
    return trainer, list(trainer.iterate(stops))


def bits(trainer: Trainer) -> bytes:
    return b"".join(array.tobytes() for array in trainer.state().values())


def test_a_few_iterations_of_the_tutorial_are_those_of_stock_keras() -> None:
    """The same weights, batches and settings through ``Model.fit`` lead to the same losses and weights."""
    trainer, progress = trained(recipe(5))
    losses = np.concatenate([each.losses for each in progress])
    model = Trainer(recipe(5), DATASET).model
    model.compile(
        keras.optimizers.Adam(1e-4, epsilon=1e-8),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    order = np.concatenate([batch_indices(0, number, 64, 3_500) for number in range(5)])
    images = DATASET.train.images[order, ..., None] / np.float32(255)
    expected = [
        model.train_on_batch(images[i : i + 64], DATASET.train.labels[order[i : i + 64]])
        for i in range(0, 320, 64)
    ]
    np.testing.assert_allclose(np.mean(expected), np.mean(losses), rtol=0.02)
    for ours, theirs in zip(trainer.variables, model.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"training__precision": "mixed_bfloat16", "training__batch_size": 8},
        {
            "training__batch_size": 16,
            "training__schedule": "one-cycle",
            "training__ema_decay": 0.99,
            "training__label_smoothing": 0.05,
            "training__weight_decay": 0.1,
            "model__dropout": 0.3,
            "augmentation__rotation": 10.0,
            "augmentation__elastic": 0.5,
            "drawn__digits": 300,
            "drawn__others": 300,
        },
    ],
)
def test_bits_depend_on_the_seed_alone(fields: dict[str, object]) -> None:
    """Not on how the iterations are cut into calls, nor on going on from a saved state."""
    chosen = recipe(13, **fields)
    whole, _ = trained(chosen)
    cut, _ = trained(chosen, stops=(2, 3, 9))
    assert bits(whole) == bits(cut)
    part = Trainer(chosen, DATASET)
    for progress in part.iterate((6,)):
        if progress.iteration == 6:
            break
    resumed = Trainer(chosen, DATASET)
    resumed.restore(part.state())
    list(resumed.iterate())
    assert bits(resumed) == bits(whole)
    other, _ = trained(recipe(13, **fields, training__seed=1))
    assert bits(other) != bits(whole)


def test_progress_covers_each_iteration_once_and_reports_the_tutorials() -> None:
    _, progress = trained(recipe(205, **{k.replace(".", "__"): v for k, v in SMALL.items()}), stops=(50, 100))
    assert sum(len(each.losses) for each in progress) == 205
    assert [each.iteration for each in progress] == sorted({each.iteration for each in progress})
    assert {50, 100, 205} <= {each.iteration for each in progress}
    assert [each.iteration for each in progress if each.batch_accuracy is not None] == [1, 101, 201]
    assert all(each.seconds > 0 for each in progress)


def test_it_learns() -> None:
    _, progress = trained(recipe(120, training__learning_rate=1e-3))
    losses = np.concatenate([each.losses for each in progress])
    accuracies = np.concatenate([each.accuracies for each in progress])
    assert losses[:5].mean() > 2.0
    assert losses[-20:].mean() < 0.7
    assert accuracies[-20:].mean() > 0.8


def test_averaged_weights_are_what_is_kept() -> None:
    trainer, _ = trained(recipe(30, training__ema_decay=0.9, training__learning_rate=1e-2))
    for kept, average, weight in zip(
        trainer.trained_model().trainable_variables, trainer.averages, trainer.variables, strict=True
    ):
        np.testing.assert_array_equal(kept, average)
        assert not np.array_equal(average, weight)


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    small = {k.replace(".", "__"): v for k, v in SMALL.items()}
    trainer = Trainer(recipe(200, **small), DATASET)
    trainer.variables[-1].assign(tf.fill(trainer.variables[-1].shape, np.float32(np.nan)))
    with pytest.raises(TrainingError, match="at iteration 1: the learning rate may be too high"):
        list(trainer.iterate())


@pytest.mark.parametrize("towers", [3, 40])
def test_the_towers_of_a_batch_do_not_change_the_training(towers: int) -> None:
    """However the batch is cut: dropout and augmentation too are drawn for the whole batch."""
    chosen = recipe(5, model__dropout=0.5, augmentation__rotation=10)
    whole, cut = Trainer(chosen, DATASET), Trainer(chosen, DATASET)
    whole.towers, cut.towers = 1, towers
    expected, actual = (np.concatenate([each.losses for each in trainer.iterate()]) for trainer in (whole, cut))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_autograph_translates_no_part_of_the_training() -> None:
    """That takes most of the time to the first iteration."""
    trained(recipe(3, model__dropout=0.5, training__ema_decay=0.9, augmentation__rotation=10))
    files = [Path(module.__file__ or "") for name, module in sys.modules.items() if "autograph_generated" in name]
    translated = {name for file in files for name in re.findall(r"def tf__(\w+)", file.read_text())}
    assert not translated & {"_many_steps", "_step", "_gradients", "element", "batch", "another"}


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(RecipeError, match="the nearest batch size that fits is 63"):
        Trainer(recipe(1), DATASET, Three())


def test_the_network_learns_to_be_undecided_about_what_is_no_digit() -> None:
    fast = {"training__learning_rate": 3e-3, "model__convolutions": [{"filters": 8}], "model__dense": [32]}
    others = draw_others(300, np.random.default_rng(9))
    shares = []
    for count in (0, 1_000):
        trainer, progress = trained(recipe(250, drawn__others=count, **fast))
        sure = probabilities(training_logits(trainer.model, others)).max(1)
        shares.append((sure > 0.8).mean())
        assert np.concatenate([each.accuracies for each in progress])[-50:].mean() > 0.9, "of the digits alone"
    assert shares[1] < shares[0] / 3
