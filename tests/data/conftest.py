"""What the tests of pictures share beside support.pictures."""

import numpy as np
import pytest

from cnnmnist.data.preprocessing import prepare_picture
from support.pictures import digit


@pytest.fixture(scope="session")
def reference():
    """The digit of support.pictures, prepared."""
    (image,) = prepare_picture(np.asarray(digit().convert("RGB"), np.float32) / 255)
    return image
