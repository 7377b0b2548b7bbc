"""The processor: its name, its instructions, and how much of it this process may use."""

import contextlib
import math
import os
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

# The instructions of x86 and ARM processors that compute in bfloat16, as Linux names them.
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def count_cores(root: Path = Path("/")) -> int:
    """Count the cores that this process may use: those of its affinity, at most as many as its quota pays for.

    A part of a core counts as one. Linux has quotas in two versions:
    https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/scheduler/sched-bwc.html.

    Args:
        root: the folder that holds ``proc`` and ``sys``.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas(root))]))


def processor_name() -> str:
    """The name of the processor in words, such as ``Apple M2``."""
    from archspec import cpu

    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        return " ".join((cpu.brand_string() or f"{cpu.host().vendor} {cpu.host().name}").split())
    return platform.processor() or platform.machine() or "unknown"


def computes_in_bfloat16() -> bool:
    """Whether TensorFlow's kernels can use instructions for bfloat16: AVX512-BF16, AMX, or those of ARM.

    These kernels, oneDNN's, are in the TensorFlow of Linux and Windows only, so that the answer is no on macOS:
    https://github.com/tensorflow/tensorflow/blob/master/third_party/mkl/build_defs.bzl.
    """
    from archspec import cpu

    if platform.system() == "Darwin":
        return False
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        return not BFLOAT16.isdisjoint(cpu.detect.detected_info().features)
    return False


def _quotas(root: Path) -> Iterator[float]:
    """The cores that each control group of this process may use, and each group above."""
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            # A container may see its group as the root, although the group has another name outside.
            for mount in ("", "unified", "cpu", controllers):
                for folder in (group, *map(str, Path(group).parents)):
                    yield from _quota(root / "sys/fs/cgroup" / mount / folder.lstrip("/"))


def _quota(group: Path) -> Iterator[float]:
    for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = " ".join((group / file).read_text() for file in files).split()
            if int(quota) > 0:  # without a quota it is "max", which is no number, or -1
                yield int(quota) / int(period)


CORES = count_cores()
