"""A download's progress as rich shows it, in the form that pooch asks for."""

from typing import Any

from cnnmnist.cli.terminal import Terminal


class DownloadBar:
    """A bar on standard error that appears when something is downloaded."""

    def __init__(self, terminal: Terminal) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("Downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar: Any = Progress(*columns, console=terminal.err, transient=True)
        self._task: Any = None
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes of the file being downloaded."""
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        self._bar.start()
        self._task = self._bar.add_task("", total=size)

    def update(self, size: int) -> None:
        """So many bytes more have arrived."""
        self._bar.advance(self._task, size)

    def reset(self) -> None:
        """Begin again at nothing."""
        self._bar.reset(self._task)

    def close(self) -> None:
        """The file is complete."""

    def __enter__(self) -> "DownloadBar":
        return self

    def __exit__(self, *error: object) -> None:
        if self._task is not None:  # otherwise rich would print an empty line
            self._bar.stop()
