"""What a network's layers are, hold and cost; the expected numbers are worked out by hand."""

from cnnmnist.config import ConvLayer, ModelConfig
from cnnmnist.layers import list_layers


def test_the_tutorials_network() -> None:
    layers = list_layers(ModelConfig())
    rows = [(each.name, each.kind, each.output_shape, each.parameters, each.multiplications) for each in layers]
    assert rows == [
        ("conv1", "Conv2D", (28, 28, 16), 416, 313_600),
        ("conv1_pooling", "MaxPooling2D", (14, 14, 16), 0, 0),
        ("conv1_activation", "Activation", (14, 14, 16), 0, 0),
        ("conv2", "Conv2D", (14, 14, 36), 14_436, 2_822_400),
        ("conv2_pooling", "MaxPooling2D", (7, 7, 36), 0, 0),
        ("conv2_activation", "Activation", (7, 7, 36), 0, 0),
        ("flatten", "Flatten", (1764,), 0, 0),
        ("fc1", "Dense", (128,), 225_920, 225_792),
        ("fc1_activation", "Activation", (128,), 0, 0),
        ("logits", "Dense", (10,), 1_290, 1_280),
    ]
    assert sum(each.parameters for each in layers) == 242_062
    assert sum(each.multiplications for each in layers) == 3_363_072


def test_strides_odd_sides_averages_and_dropout() -> None:
    convolutions = [
        ConvLayer(filters=3, stride=2, pooling="average", pooling_first=False, activation="tanh"),
        ConvLayer(filters=4, filter_size=2, stride=3, pooling="none", activation="none"),
    ]
    config = ModelConfig(convolutions=convolutions, dense=[7], dropout=0.5, output_activation="sigmoid")
    layers = list_layers(config, (17, 30), 47)
    assert [(each.name, each.output_shape, each.multiplications) for each in layers] == [
        ("conv1", (9, 15, 3), 9 * 15 * 3 * 25),
        ("conv1_activation", (9, 15, 3), 0),
        ("conv1_pooling", (5, 8, 3), 0),
        ("conv2", (2, 3, 4), 2 * 3 * 4 * 2 * 2 * 3),
        ("flatten", (24,), 0),
        ("fc1", (7,), 24 * 7),
        ("fc1_activation", (7,), 0),
        ("fc1_dropout", (7,), 0),
        ("logits", (47,), 7 * 47),
        ("logits_activation", (47,), 0),
    ]
