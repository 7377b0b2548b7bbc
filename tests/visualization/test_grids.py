import numpy as np
import pytest

from cnnmnist.errors import SelectionError
from cnnmnist.visualization.grids import MAX_IMAGES, filter_grid, image_grid, symmetric_range
from support.pixels import FASHION, digits


def test_titles_name_the_classes(rng):
    images, _ = digits(rng, 2)
    assert image_grid(images, [7, 2]).titles == ("True: 7", "True: 2")
    grid = image_grid(images, np.array([9, 7]), np.array([7, 9]), FASHION)
    assert grid.titles == ("True: Ankle boot, Pred: Sneaker", "True: Sneaker, Pred: Ankle boot")


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (9, 3), (10, 4), (36, 6), (100, 10)])
def test_grids_are_square(rng, count, columns):
    assert image_grid(*digits(rng, count)).columns == columns
    assert filter_grid(rng.normal(size=(5, 5, 2, count))).columns == columns


def test_too_many_images_are_refused(rng):
    with pytest.raises(SelectionError, match=f"at most {MAX_IMAGES}"):
        image_grid(*digits(rng, MAX_IMAGES + 1))


def test_equal_values_are_white_in_a_symmetric_range():
    assert symmetric_range(np.zeros((2, 2))) == (-1.0, 1.0)
    assert symmetric_range(np.array([-3.0, 2.0])) == (-3.0, 3.0)
