"""TensorFlow and Keras: set up to be quiet, deterministic and fast.

Importing this module imports TensorFlow, which takes seconds: import it only where it is needed.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Literal

from cnnmnist.config import Precision
from cnnmnist.errors import CnnMnistError
from cnnmnist.processor import CORES, computes_in_bfloat16

# By default TensorFlow uses its oneDNN kernels on some Intel processors only. On other processors they train
# this network two to three times as fast (docs/performance.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# By default the threads of scikit-learn's t-SNE spin while they wait, which doubles its time on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Hide the messages that libraries write to file descriptor 2, unless an unexpected exception is raised."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except (CnnMnistError, OSError):
            raise
        except Exception:
            hidden.seek(0)
            os.write(saved, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def _without_keras_settings() -> Iterator[None]:
    """Hide the user's keras.json and variables, which could change the network or end the import of Keras."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=folder)
        try:
            yield
        finally:
            del os.environ["KERAS_HOME"]
            os.environ.update(hidden | {"KERAS_BACKEND": "tensorflow"})


with quiet_standard_error(), _without_keras_settings():
    import keras
    import tensorflow as tf

tf.get_logger().setLevel("ERROR")
tf.config.experimental.enable_op_determinism()
# Threads that share each operation wait for one another after it, which takes a quarter of the time of this small
# network. So each thread computes a part of the batch, a tower, from the first operation to the last
# (docs/performance.md).
TOWERS = 1 if tf.config.list_physical_devices("GPU") else min(CORES, 4)
tf.config.threading.set_inter_op_parallelism_threads(CORES)
tf.config.threading.set_intra_op_parallelism_threads(max(1, CORES // TOWERS))
# Where the user has imported Keras before.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")


def resolve_precision(precision: Literal["auto"] | Precision) -> Precision:
    """Replace ``auto`` by ``mixed_bfloat16`` where the hardware computes in bfloat16, else by ``float32``.

    GPUs compute in bfloat16 from compute capability 8.0 on.
    """
    if precision != "auto":
        return precision
    if gpus := tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpus[0])
        native = details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        native = computes_in_bfloat16()
    return "mixed_bfloat16" if native else "float32"


__all__ = ["TOWERS", "keras", "quiet_standard_error", "resolve_precision", "tf"]
