"""Export: a trained network as ONNX and as safetensors, written without TensorFlow.

Every exported network, also those of :mod:`cnnmnist.conversion`, has one input, ``image``, float32 (n, height,
width, 1) in [0, 1], and one output, ``probabilities``, float32 (n, classes), after the division by the network's
temperature and the softmax; n is free. Files
and folders are written whole or not at all.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnmnist.files import replacing
from cnnmnist.layers import Layer, same_padding
from cnnmnist.network import Network

if TYPE_CHECKING:
    from onnx import NodeProto

INPUT, OUTPUT = "image", "probabilities"
OPSET, IR_VERSION = 17, 8  # the newest that runtimes of 2022 read


def export_onnx(network: Network, path: Path) -> None:
    """Write an ONNX file; needs onnx.

    Raises:
        WriteError: the file cannot be written.
    """
    from onnx import TensorProto, helper, numpy_helper

    height, width = network.image_shape
    shape: tuple[int, ...] = (height, width, 1)
    values = "channels_first"  # the name of the last node's output
    nodes = [helper.make_node("Transpose", [INPUT], [values], perm=[0, 3, 1, 2])]
    for layer in network.layers:
        if layer.kind == "Flatten":  # ONNX has the channels first, and the weights of fc1 have them last
            nodes.append(helper.make_node("Transpose", [values], ["channels_last"], perm=[0, 2, 3, 1]))
            values = "channels_last"
        if layer.kind != "Dropout":  # only in training
            nodes.append(_node(layer, shape, values))
            values = layer.name
        shape = layer.output_shape
    weights = _named_weights(network)
    if network.temperature != 1.0:
        weights["temperature"] = np.array(network.temperature, np.float32)
        nodes.append(helper.make_node("Div", [values, "temperature"], ["calibrated"]))
        values = "calibrated"
    nodes.append(helper.make_node("Softmax", [values], [OUTPUT], axis=1))
    graph = helper.make_graph(
        nodes,
        "cnnmnist",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", height, width, 1])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", *network.layers[-1].output_shape])],
        [
            numpy_helper.from_array(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, name)
            for name, array in weights.items()
        ],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="cnnmnist")
    write(path, model.SerializeToString())


def _node(layer: Layer, shape: tuple[int, ...], values: str) -> "NodeProto":
    """The operator of a layer for an input of this shape and name; its output has the name of the layer."""
    from onnx import helper

    options: dict[str, Any] = {}
    inputs = [values, *(f"{layer.name}.{part}" for part in ("kernel", "bias") if layer.kernel_shape)]
    match layer.kind:
        case "Conv2D" | "MaxPooling2D" | "AveragePooling2D":
            operator = {"Conv2D": "Conv", "MaxPooling2D": "MaxPool"}.get(layer.kind, "AveragePool")
            window, stride = layer.window, layer.stride
            (top, bottom), (left, right) = (same_padding(side, window, stride) for side in shape[:2])
            pads = [top, left, bottom, right]
            options = {"kernel_shape": [window, window], "strides": [stride, stride], "pads": pads}
        case "Dense":
            operator = "Gemm"
        case "Activation":
            operator = layer.function.title()
        case _:
            operator = layer.kind
    return helper.make_node(operator, inputs, [layer.name], **options)


def export_weights(network: Network, path: Path) -> dict[str, tuple[int, ...]]:
    """Write the weights as a safetensors file; needs safetensors.

    Returns:
        The shape of each array by its name, such as ``conv1.kernel``; all are float32. Kernels of convolutions
        are (height, width, input channels, filters), kernels of dense layers (inputs, units).

    Raises:
        WriteError: the file cannot be written.
    """
    from safetensors.numpy import save

    arrays = _named_weights(network)
    write(path, save(arrays))
    return {name: array.shape for name, array in arrays.items()}


def _named_weights(network: Network) -> dict[str, np.ndarray]:
    return {
        f"{layer}.{part}": array
        for layer, pair in network.weights.items()
        for part, array in zip(("kernel", "bias"), pair, strict=True)
    }


def write(path: Path, content: bytes) -> None:
    """Write a file, and its folder if there is none.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path, make_folder=True) as temporary:
        temporary.write_bytes(content)
