"""Where the time of a forward pass goes."""

import pytest

from cnnmnist import summary
from cnnmnist.config import ModelConfig
from cnnmnist.layers import list_layers
from cnnmnist.summary import time_layers


def test_the_time_goes_where_the_work_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "LEAST_SECONDS", 0.5)
    timing = time_layers(ModelConfig())
    shares = dict(zip([layer.name for layer in list_layers(ModelConfig())], timing.shares, strict=True))
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=lambda name: shares[name]) == "conv2"
    assert shares["conv2"] > 0.4 > 0.1 > shares["flatten"] + shares["fc1_activation"] + shares["logits"]
    assert (timing.images, timing.passes >= 3) == (128, True)
