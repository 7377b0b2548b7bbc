"""Networks in NumPy with initial or chosen weights."""

import numpy as np

from cnnmnist.config import ModelConfig
from cnnmnist.model import build_model
from cnnmnist.network import Network


def build_network(
    config: ModelConfig, image_shape: tuple[int, int] = (28, 28), classes: int = 10, seed: int = 0
) -> Network:
    """The initial weights that a training would begin with."""
    model = build_model(config, image_shape, classes, seed=seed)
    return Network(config, image_shape, classes, model.get_weights())


def linear_network(weights: np.ndarray, bias: float = 0.0) -> Network:
    """A network whose logits are sums of weighted pixels; weights (height, width, classes)."""
    height, width, classes = weights.shape
    config = ModelConfig(convolutions=[], dense=[])
    arrays = [weights.reshape(-1, classes), np.full(classes, bias)]
    return Network(config, (height, width), classes, [each.astype(np.float32) for each in arrays])
