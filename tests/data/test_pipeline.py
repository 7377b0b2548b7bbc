"""The order of the images and their distortion as pure functions of (seed, iteration)."""

import dataclasses

import numpy as np
import pytest

from cnnmnist.config import Recipe
from cnnmnist.data.loading import Dataset, Split, load_dataset
from cnnmnist.data.pipeline import Batches, batch_indices
from cnnmnist.errors import RecipeError
from cnnmnist.recipes import load_recipe
from cnnmnist.runtime import tf

DATASET = load_dataset("mnist5k")
STRONG = {"rotation": 12.0, "shift": 2.5, "zoom": 0.15, "shear": 0.2, "elastic": 0.6}


def recipe(**fields: object) -> Recipe:
    return load_recipe(overrides={name.replace("__", "."): value for name, value in fields.items()})


def indices(iterations: range, batch: int, size: int, seed: int = 0) -> np.ndarray:
    return np.concatenate([batch_indices(seed, i, batch, size).numpy() for i in iterations])


@pytest.mark.parametrize(("batch", "size"), [(64, 320), (64, 1_000), (7, 45), (100, 30)])
def test_an_epoch_holds_every_image_once_and_batches_straddle_epochs(batch: int, size: int) -> None:
    epochs = 3
    drawn = indices(range(-(-epochs * size // batch)), batch, size)
    for epoch in range(epochs):
        assert sorted(drawn[epoch * size : (epoch + 1) * size]) == list(range(size))
    assert not np.array_equal(drawn[:size], drawn[size : 2 * size])


def test_the_order_depends_on_the_seed_and_looks_random() -> None:
    first, other = indices(range(100), 64, 6_400), indices(range(100), 64, 6_400, seed=1)
    assert not np.array_equal(first, other)
    assert abs(np.corrcoef(first, np.arange(6_400))[0, 1]) < 0.05
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.05


@pytest.mark.parametrize("start", [0, 1, 57])
def test_the_stream_starts_at_any_iteration(start: int) -> None:
    for rotation in (0.0, 5.0):
        batches = Batches(DATASET, recipe(augmentation__rotation=rotation))
        for iteration, element in enumerate(batches.stream(start).take(102), start):
            images, labels = batches.load(*element)
            expected_images, expected_labels = batches.batch(iteration)
            np.testing.assert_array_equal(images, expected_images)
            np.testing.assert_array_equal(labels, expected_labels)


def test_pixels_are_the_images_scaled() -> None:
    images, labels = Batches(DATASET, recipe()).batch(5)
    chosen = batch_indices(0, 5, 64, 3_500).numpy()
    np.testing.assert_array_equal(images.numpy()[..., 0], DATASET.train.images[chosen] / np.float32(255.0))
    np.testing.assert_array_equal(labels, DATASET.train.labels[chosen])
    assert (images.dtype, images.shape) == (tf.float32, (64, 28, 28, 1))


@pytest.mark.parametrize("shards", [2, 4])
def test_slices_of_a_batch_make_the_whole(shards: int) -> None:
    batches = Batches(DATASET, recipe(**{f"augmentation__{name}": value for name, value in STRONG.items()}))
    whole, _ = batches.batch(3)
    parts = [batches.batch(3, shard, shards)[0] for shard in range(shards)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    workers = [batches.stream(3, shards=shards, first_shard=shard).take(1) for shard in range(shards)]
    np.testing.assert_allclose(np.concatenate([x for w in workers for x, _ in w]), whole, atol=1e-6)
    together = batches.stream(3, shards=shards, local_shards=shards).take(shards)
    np.testing.assert_allclose(np.concatenate([x for x, _ in together]), whole, atol=1e-6)


@pytest.mark.parametrize("shards", [2, 4])
def test_slices_of_indices_make_the_whole(shards: int) -> None:
    batches = Batches(DATASET, recipe())
    whole = batch_indices(0, 3, 64, 3_500)
    workers = [batches.stream(3, shards=shards, first_shard=shard).take(1) for shard in range(shards)]
    np.testing.assert_array_equal(np.concatenate([x for w in workers for (x,) in w]), whole)
    together = batches.stream(3, shards=shards, local_shards=shards).take(shards)
    np.testing.assert_array_equal(np.concatenate([x for (x,) in together]), whole)


def test_training_on_the_validation_split_is_a_choice() -> None:
    assert Batches(DATASET, recipe()).size == 3_500
    assert Batches(DATASET, recipe(training__include_validation=True)).size == 4_000


def test_drawn_images_are_mixed_in() -> None:
    chosen = recipe(drawn__digits=260, drawn__others=50, drawn__letters=50, drawn__parts=100, drawn__coarse=40)
    batches = Batches(DATASET, chosen)
    assert batches.size == 3_500 + 500
    labels = np.concatenate([batches.batch(number)[1] for number in range(4_000 // 64)])
    assert 0.03 < (labels == 10).mean() < 0.07
    assert labels.max() == 10
    images, _ = batches.batch(7)
    np.testing.assert_array_equal(images, Batches(DATASET, chosen).batch(7)[0])


@pytest.mark.parametrize("field", ["digits", "others", "letters", "parts", "coarse"])
@pytest.mark.parametrize("kind", ["classes", "size"])
def test_drawn_images_are_refused_for_other_data(field: str, kind: str) -> None:
    small = Split(DATASET.train.images[:, ::2], DATASET.train.labels)
    changed = {"train": small} if kind == "size" else {"class_names": tuple("abcdefghij")}
    message = r"set drawn\.digits, drawn\.others, drawn\.letters, drawn\.parts and drawn\.coarse to 0"
    with pytest.raises(RecipeError, match=message):
        Batches(dataclasses.replace(DATASET, **changed), recipe(**{f"drawn__{field}": 10}))


def test_the_distortion_fades_over_the_last_iterations() -> None:
    fading = {"training__iterations": 101, "augmentation__fade": 0.5}
    plain = Batches(DATASET, recipe())
    strong, faded = (Batches(DATASET, recipe(augmentation__shift=8.0, **each)) for each in ({}, fading))

    def change(batches: Batches, iteration: int) -> float:
        return float(np.abs(batches.batch(iteration)[0] - plain.batch(iteration)[0]).mean())

    assert change(faded, 50) == change(strong, 50) > 0
    assert 0.1 < change(faded, 90) / change(strong, 90) < 0.7
    assert 0 < change(faded, 100) < change(strong, 100) / 20


def test_any_image_size(tmp_path: object) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 9, 13), np.uint8)
    split = Split(images, np.arange(50, dtype=np.uint8) % 10)
    dataset = dataclasses.replace(DATASET, train=split, validation=split, test=split)
    assert isinstance(dataset, Dataset)
    batch, _ = Batches(dataset, recipe(**{f"augmentation__{n}": v for n, v in STRONG.items()})).batch(0)
    assert batch.shape == (64, 9, 13, 1)
    assert np.isfinite(batch).all()
