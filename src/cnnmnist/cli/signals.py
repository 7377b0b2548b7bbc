"""A training as the command line runs it: shown while it goes on, and stopped by signals."""

import contextlib
import os
import shlex
import signal
from typing import TYPE_CHECKING, Any, NoReturn

from cnnmnist.cli.progress import lines, live_bar
from cnnmnist.cli.terminal import Terminal, printable
from cnnmnist.errors import ClusterError

if TYPE_CHECKING:
    from cnnmnist.data.loading import Dataset
    from cnnmnist.distributed.strategy import Distribution
    from cnnmnist.runs.store import Run


def train_and_show(
    run: "Run",
    digits: "Dataset",
    strategy: str,
    distribution: "Distribution | None",
    checkpoint_every: int,
    tensorboard: bool,
    terminal: Terminal,
) -> int:
    """Train to the end or to a signal, and return the signal's number, or 0."""
    show: Any = live_bar if terminal.err.is_terminal else lines
    with _Signals(run, terminal) as signals:
        try:
            with terminal.waiting("Starting TensorFlow"):
                from cnnmnist.distributed.strategy import distribute
                from cnnmnist.training.loop import train_run
                from cnnmnist.training.trainer import Progress
            distribution = distribution or distribute(strategy)
            _describe_distribution(run, distribution, terminal)
            training = train_run(run, digits, distribution=distribution, checkpoint_every=checkpoint_every)
            with (
                _observer(run, digits, tensorboard) as observe,
                contextlib.closing(training) as events,
                show(run.record.recipe, terminal) as update,
            ):
                for event in events:
                    if observe:
                        observe.write(event)
                    if isinstance(event, Progress):
                        signals.patient = True
                        update(event)
                    if signals.received:
                        break
        except KeyboardInterrupt:
            run.note_end("interrupted")
        except ClusterError:
            if not signals.received:  # otherwise the others were most likely told to stop, too
                raise
            run.note_end("interrupted")
    return signals.received


def _observer(run: "Run", digits: "Dataset", tensorboard: bool) -> Any:
    if not tensorboard:
        return contextlib.nullcontext()
    from cnnmnist.training.tensorboard import TensorBoardWriter

    return TensorBoardWriter(run, digits)


def _describe_distribution(run: "Run", distribution: "Distribution", terminal: Terminal) -> None:
    from cnnmnist.runtime import resolve_precision

    record, replicas = run.record, distribution.replicas
    share = record.recipe.training.batch_size // replicas
    precision = resolve_precision(record.recipe.training.precision)
    terminal.out.print(f"Strategy {distribution.kind}: {replicas} x {share} images per iteration, in {precision}")
    if record.iteration and replicas != record.replicas:
        terminal.warn(
            f"the run {run.name} was trained with {record.replicas} replicas until here: the result may differ "
            "slightly from that of a run that was not interrupted."
        )


def how_to_go_on(run: "Run") -> str:
    """How a run that was stopped is continued."""
    return f"Continue with: cnnmnist train --resume {shlex.quote(str(run.directory))}"


class _Signals:
    """Ctrl-C and SIGTERM: the first lets the current iterations end well, if there are any, the second nothing."""

    def __init__(self, run: "Run", terminal: Terminal) -> None:
        self.run = run
        self.terminal = terminal
        self.patient = False
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Signals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        if not self.received:  # otherwise the process is about to end
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:
        if self.received:
            self._exit(number)
        self.received = number
        if not self.patient:
            raise KeyboardInterrupt

    def _exit(self, number: int) -> NoReturn:
        # What is being written has a temporary name yet, so that nothing is spoilt; an exception would have to
        # find its way through TensorFlow, and rich may hold the lock that printing needs.
        self.run.note_end("interrupted")
        show_cursor = "\x1b[?25h\n" if self.terminal.err.is_terminal else ""
        os.write(2, f"{show_cursor}Stopped at once. {printable(how_to_go_on(self.run))}\n".encode())
        os._exit(128 + number)
