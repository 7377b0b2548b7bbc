"""Marks of tests that need what not every system has."""

import os
import sys

import pytest

needs_unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals, pipes or terminals like Unix's")
needs_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has /proc and limits the memory of one process"
)
