"""Processes that train one run after the other, and the link to them: an order, then the exit status of its run.

A study that stops runs early gets reports in between, and answers each.

The link is the worker's standard input. It closes when either side ends, however it ends: so no worker outlives the
process that started it, and a worker that dies takes no other run with it.
"""

import contextlib
import math
import os
import queue
import signal
import threading
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from repro.errors import FAILED, FINISHED, PRUNED, UNFINISHED
from repro.jobs.job import Pruning
from repro.jobs.processes import GRACE_SECONDS, start

# A worker continues after a run that ended so. After any other end (no memory, an unexpected exception, a signal)
# the state of the process is in doubt: it exits, and the next run has a new one.
GOES_ON = (FINISHED, FAILED, PRUNED, UNFINISHED)


class Order(NamedTuple):
    """Train one run by the command line `repro WORDS`, its output in `log`, until a time (that of time.time()).

    With `pruning` the worker reports the metric, and ends the run where the answer is True.
    """

    words: list[str]
    log: Path
    until: float = math.inf
    pruning: Pruning | None = None


class Report(NamedTuple):
    """A training metric after an iteration."""

    iteration: int
    value: float


class RunProcess:
    """A worker process, for the process that gives the orders."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start it. Until it takes its first order its output is appended to the log in `folder`."""
        self.link, theirs = Pipe()
        with theirs:
            self.process = start(command, folder, stdin=theirs.fileno())

    def give(self, order: Order) -> None:
        """Give an order to a worker that has none. A worker that has just died does not raise: see `message`."""
        order.log.parent.mkdir(parents=True, exist_ok=True)
        order.log.touch()
        self._send(order)

    def answer(self, stop: bool) -> None:
        """Answer a report: whether the run should end here."""
        self._send(stop)

    def _send(self, message: Order | bool) -> None:
        with contextlib.suppress(OSError):
            self.link.send(message)

    def message(self) -> Report | int | None:
        """A report; the exit status of the run, or that of the process if it has ended instead; None before that."""
        try:
            return self.link.recv() if self.link.poll() else self.process.poll()
        except (EOFError, OSError):
            return self.process.wait(GRACE_SECONDS)

    def lives(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None


class Orders:
    """The link, for the worker. SIGTERM is sent to this process when the other side has ended."""

    def __init__(self) -> None:
        self._link = Connection(os.dup(0))
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)  # processes that a run starts inherit standard input, and would keep the link open
        os.close(empty)
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._received.put(self._link.recv())
        os.kill(os.getpid(), signal.SIGTERM)
        self._received.put(False)  # training only notes the signal: a run that waits for an answer has to continue

    def take(self) -> Order:
        """Wait for the next order."""
        return self._received.get()

    def ask(self, iteration: int, value: float) -> bool:
        """Report a training metric, and wait for the answer: whether the run should end here."""
        self._send(Report(iteration, value))
        return self._received.get()

    def ended(self, status: int) -> None:
        """The run of the order has ended."""
        self._send(status)

    def _send(self, message: Report | int) -> None:
        with contextlib.suppress(OSError):
            self._link.send(message)
