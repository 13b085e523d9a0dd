"""Processes that train one run after the other, and the link to them: an order, then the exit status of its run.

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
from typing import NamedTuple

from repro.jobs.processes import start

FINISHED, FAILED = 0, 1
# A worker continues after a run that ended so. After any other end (no memory, an unexpected exception, a signal)
# the state of the process is in doubt: it exits, and the next run has a new one.
GOES_ON = (FINISHED, FAILED)


class Order(NamedTuple):
    """Train one run by the command line `repro WORDS`, its output in `log`, until a time (that of time.time())."""

    words: list[str]
    log: Path
    until: float = math.inf


class RunProcess:
    """A worker process, for the process that gives the orders."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start it. Until it takes its first order its output is appended to the log in `folder`."""
        self.link, theirs = Pipe()
        with theirs:
            self.process = start(command, folder, stdin=theirs.fileno())

    def give(self, order: Order) -> None:
        """Give an order to a worker that has none. A worker that has just died does not raise: see `status`."""
        order.log.parent.mkdir(parents=True, exist_ok=True)
        order.log.touch()
        with contextlib.suppress(OSError):
            self.link.send(order)

    def status(self) -> int | None:
        """The exit status of the run, or that of the process if it has ended instead; None before that."""
        with contextlib.suppress(EOFError, OSError):
            if self.link.poll():
                return int(self.link.recv())
        return self.process.poll()

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
        self._waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._waiting.put(self._link.recv())
        os.kill(os.getpid(), signal.SIGTERM)

    def take(self) -> Order:
        """Wait for the next order."""
        return self._waiting.get()

    def report(self, status: int) -> None:
        """The run of the order has ended."""
        with contextlib.suppress(OSError):
            self._link.send(status)
