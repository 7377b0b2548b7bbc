"""Packages that only some commands need: what to install when one of them is not there."""

import importlib.util

from cnnmnist.errors import MissingExtraError


def require(extra: str, purpose: str, *modules: str) -> None:
    """Make sure that the modules of an extra can be imported, without importing them.

    Args:
        extra: its name in pyproject.toml.
        purpose: what needs it, as the start of a sentence.
        modules: top-level modules.

    Raises:
        MissingExtraError: one is not installed.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"{purpose} needs {' and '.join(missing)}, not installed here: pip install 'cnnmnist[{extra}]'"
        )
