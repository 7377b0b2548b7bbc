"""Signals: Ctrl-C, SIGTERM and a closed terminal end a training without losing anything."""

import contextlib
import os
import signal
from types import FrameType
from typing import Any, NoReturn

import cnnmnist
from cnnmnist.cli.command import printable
from cnnmnist.cli.terminal import Terminal

# A closed terminal sends SIGHUP, on Windows SIGBREAK, which Ctrl-Break and the end of a session also send.
NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


class Signals:
    """A context: the first signal finishes the current iterations and saves; the second exits at once."""

    def __init__(self, run: "cnnmnist.Run", terminal: Terminal) -> None:
        self.run = run
        self.terminal = terminal
        self.in_training = False
        """Whether there are iterations to finish; before, the first signal raises KeyboardInterrupt."""
        self.received = 0
        """Number of the signal, or 0."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        for number in NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        if not self.received:  # otherwise the process is about to end
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            self._exit(number)
        self.received = number
        if not self.in_training:
            raise KeyboardInterrupt

    def _exit(self, number: int) -> NoReturn:
        # Files have temporary names while they are written, so that no file is damaged. An exception would have to
        # find its way through TensorFlow, and rich may hold the lock that printing needs.
        self.run.save_status("interrupted")
        show_cursor = "\x1b[?25h\n" if self.terminal.err.is_terminal else ""
        with contextlib.suppress(OSError):  # the terminal may be closed
            command = printable(self.run.resume_command)
            os.write(2, f"{show_cursor}Stopped at once. Continue with: {command}\n".encode())
        os._exit(128 + number)
