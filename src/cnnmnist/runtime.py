"""TensorFlow and Keras set up for this program: quiet, deterministic, with their fastest CPU kernels.

Importing this module imports TensorFlow, which takes seconds: import it only where it is about to be used.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cnnmnist.config import Precision
from cnnmnist.errors import CnnMnistError

# TensorFlow switches its oneDNN kernels on by itself only for some Intel processors; elsewhere they make
# this network two to three times faster (docs/performance.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
# The threads of scikit-learn's t-SNE would spin while they wait for each other, which on a busy machine doubles
# the time that it takes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Hide what libraries write to file descriptor 2, unless they fail for a reason of their own."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except (CnnMnistError, OSError):
            raise
        except Exception:
            chatter.seek(0)
            os.write(saved, chatter.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


with quiet_standard_error():
    import keras
    import tensorflow as tf

tf.get_logger().setLevel("ERROR")
tf.config.experimental.enable_op_determinism()
# Threads that share every operation wait for one another after each of them, which takes a quarter of a step of
# this small network. So a batch is cut into towers, each computed by a thread of its own (docs/performance.md).
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TOWERS = 1 if tf.config.list_physical_devices("GPU") else min(CORES, 4)
tf.config.threading.set_inter_op_parallelism_threads(CORES)
tf.config.threading.set_intra_op_parallelism_threads(max(1, CORES // TOWERS))
# A user's keras.json must not change the network.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")


def runs_bfloat16_natively() -> bool:
    """Whether the accelerator or the processor computes in bfloat16 itself instead of emulating it.

    GPUs do from compute capability 8.0 on, x86 processors with AVX512-BF16 or AMX, ARM ones with BF16.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return bool(capability >= (8, 0))
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def resolve_precision(precision: Literal["auto"] | Precision) -> Precision:
    """The precision to compute in: ``auto`` takes ``mixed_bfloat16`` where this machine runs it natively."""
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if runs_bfloat16_natively() else "float32"


__all__ = [
    "CORES",
    "TOWERS",
    "keras",
    "quiet_standard_error",
    "resolve_precision",
    "runs_bfloat16_natively",
    "tf",
]
