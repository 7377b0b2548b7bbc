"""A download's progress as rich shows it."""

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cnnmnist.cli.terminal import Terminal


class DownloadBar:
    """A bar on standard error that appears when something is downloaded; a download calls it as it goes on."""

    def __init__(self, terminal: Terminal) -> None:
        columns = (TextColumn("Downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=terminal.err, transient=True)
        self._task = self._bar.add_task("", total=None)

    def __call__(self, received: int, size: int | None) -> None:
        """Show how many bytes of a file have arrived, and of how many."""
        self._bar.start()
        self._bar.update(self._task, completed=received, total=size)

    def __enter__(self) -> "DownloadBar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.live.stop()  # the stop of the bar itself prints an empty line where there is no terminal
