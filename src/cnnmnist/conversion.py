"""Conversion: a trained network as SavedModel and as TFLite (LiteRT), which TensorFlow writes.

Input and output are those of :mod:`cnnmnist.export`.
"""

import tempfile
from pathlib import Path

import numpy as np

from cnnmnist.export import INPUT, OUTPUT, write
from cnnmnist.files import replacing
from cnnmnist.network import scale
from cnnmnist.runtime import keras, quiet_standard_error, tf

CALIBRATION_IMAGES = 500
BATCH_SIZE = 256  # images that TFLite computes at once


def export_saved_model(model: keras.Model, folder: Path, temperature: float = 1.0) -> None:
    """Write a TensorFlow SavedModel, with the signature ``serving_default`` and the function ``serve``.

    Args:
        model: from images to logits, as :func:`cnnmnist.model.build_model` returns it.
        folder: the new folder; it replaces a folder of that name.
        temperature: what divides the logits, as :attr:`cnnmnist.network.Network.temperature`.

    Raises:
        WriteError: the folder cannot be written.
    """
    with replacing(folder, folder=True, make_folder=True) as temporary:
        _write_saved_model(model, temporary, temperature)


def export_tflite(
    model: keras.Model, path: Path, calibration: np.ndarray | None = None, temperature: float = 1.0
) -> None:
    """Write a TFLite (LiteRT) file.

    Args:
        model: from images to logits.
        path: the new file; it replaces a file of that name.
        calibration: training images, uint8 (n, height, width). With them, the network computes in int8, and the
            outputs of its layers for these images give the ranges of the integers; without them, it computes in
            float32. Its input and output are float32 in both.
        temperature: as for :func:`export_saved_model`.

    Raises:
        WriteError: the file cannot be written.
    """
    with quiet_standard_error(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # From a concrete function, the converter would lose the variables of Keras 3.
        _write_saved_model(model, Path(folder) / "model", temperature)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "model"))
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([scale(image[None])] for image in calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        content = converter.convert()
    write(path, content)


def tflite_probabilities(path: Path, images: np.ndarray) -> np.ndarray:
    """Compute probabilities with a TFLite file; needs ai-edge-litert.

    Args:
        path: the file.
        images: uint8 (n, height, width).

    Returns:
        float32 (n, classes).
    """
    with quiet_standard_error():
        from ai_edge_litert.interpreter import Interpreter

        run = Interpreter(str(path)).get_signature_runner()
        parts = [images[first : first + BATCH_SIZE] for first in range(0, len(images), BATCH_SIZE)]
        return np.concatenate([run(**{INPUT: scale(part)})[OUTPUT] for part in parts])


def _write_saved_model(model: keras.Model, folder: Path, temperature: float) -> None:
    module = tf.Module()  # Keras' own ExportArchive writes every weight twice
    module.weights = [each.value for each in model.trainable_variables]
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name=INPUT)

    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(image, training=False)
        return {OUTPUT: tf.nn.softmax(logits if temperature == 1.0 else logits / temperature)}

    module.serve = tf.function(serve, input_signature=[signature])
    try:
        with quiet_standard_error():
            tf.saved_model.save(module, str(folder), signatures=module.serve)
    except tf.errors.OpError as error:  # such as a full disk or a missing permission
        raise OSError(error.message) from error
