"""Threads that share work evenly, as many as the process may use cores."""

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from cnnmnist.processor import CORES

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_threads(function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Call a function with each part, on all cores, and return the results in order.

    Meanwhile, NumPy's matrix products use one thread each: threads that shared them would wait for one another.
    """
    with _controller().limit(limits=1, user_api="blas"), ThreadPoolExecutor(CORES) as threads:
        return list(threads.map(function, parts))


_controller = functools.cache(ThreadpoolController)
