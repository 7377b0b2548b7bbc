"""Measure the fastest matrix multiplication that the libraries of this environment reach.

It prints one JSON line, {library: {precision: GFLOP/s}}. throughput.py runs it in every environment.
"""

import importlib
import json
import time
from collections.abc import Callable
from typing import Any

SECONDS = 2.0  # to try each size

MULTIPLIERS: dict[str, Callable[[Any, str, int], Callable[[], Any]]] = {}


def of_library(multiplier: Callable[[Any, str, int], Callable[[], Any]]) -> None:
    """Register a function, named after its library, that multiplies square matrices of a precision and size."""
    MULTIPLIERS[multiplier.__name__] = multiplier


@of_library
def tensorflow(tf: Any, precision: str, size: int) -> Callable[[], Any]:
    matrix = tf.ones((size, size), precision)
    return lambda: tf.matmul(matrix, matrix).numpy()


@of_library
def torch(torch: Any, precision: str, size: int) -> Callable[[], Any]:
    matrix = torch.ones(size, size, dtype=getattr(torch, precision))
    return lambda: matrix @ matrix


@of_library
def jax(jax: Any, precision: str, size: int) -> Callable[[], Any]:
    matrix = jax.numpy.ones((size, size), precision)
    return lambda: (matrix @ matrix).block_until_ready()


@of_library
def numpy(np: Any, precision: str, size: int) -> Callable[[], Any]:
    matrix = np.ones((size, size), precision)
    return lambda: matrix @ matrix


def peak(multiplier: Callable[[Any, str, int], Callable[[], Any]], library: Any, precision: str) -> float:
    """GFLOP/s of the fastest product; the size grows until one product takes more than 0.2 s."""
    best = 0.0
    for size in (512, 1024, 2048):
        product = multiplier(library, precision, size)
        product()
        deadline = time.perf_counter() + SECONDS
        while time.perf_counter() < deadline:
            started = time.perf_counter()
            product()
            seconds = time.perf_counter() - started
            best = max(best, 2 * size**3 / seconds / 1e9)
        if seconds > 0.2:
            break
    return best


results: dict[str, dict[str, float]] = {}
for name, multiplier in MULTIPLIERS.items():
    try:
        library = importlib.import_module(name)
    except ImportError:
        continue
    # NumPy has no bfloat16.
    precisions = ("float32",) if name == "numpy" else ("float32", "bfloat16")
    results[name] = {each: peak(multiplier, library, each) for each in precisions}
print(json.dumps(results), flush=True)
