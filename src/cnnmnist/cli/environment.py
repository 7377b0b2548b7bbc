"""The environment that the program is started in: its streams, and variables of other programs."""

import contextlib
import io
import logging
import os
import sys


def prepare_environment() -> None:
    """Replace closed streams, show what a stream cannot encode as escapes, and keep matplotlib to itself."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # otherwise the next file that is opened would become the stream
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError):
                stream.reconfigure(errors="backslashreplace")
    os.environ["MPLBACKEND"] = "agg"  # Jupyter sets another one, which may be missing, and figures need none
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its advice about its own cache
