"""Processes that run the command line with one thread each: started, stopped together, and their logs."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol

from repro.errors import Terminated
from repro.records.record import LOG
from repro.records.status import last_log_line
from repro.runs.bootstrap import ONE_THREAD, cores
from repro.text import count

GRACE_SECONDS = 20.0  # between asking a child to stop and stopping it: Slurm's own grace is half a minute


class HasProcess(Protocol):
    """Anything with a process."""

    process: subprocess.Popen[bytes]


def start(command: Sequence[str], folder: Path, stdin: int) -> subprocess.Popen[bytes]:
    """Start a command with one thread, its output appended to the log in a folder, which is made if need be.

    `stdin` is a file descriptor.
    """
    folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | ONE_THREAD | {"PYTHONUNBUFFERED": "1"}
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(command, stdin=stdin, stdout=log, stderr=subprocess.STDOUT, env=env)


def thread_notes(option: str, processes: int) -> list[str]:
    """Lines on a setting of threads that is not used, and on more processes than cores (`option` has set how many)."""
    notes, wanted = [], os.environ.get("OMP_NUM_THREADS", "1")
    if wanted != "1":
        notes.append(f"note: OMP_NUM_THREADS={wanted} is not used: each of several processes has one thread")
    if processes > cores():
        notes.append(f"warning: {option} {processes}: {processes} processes share {count(cores(), 'core')}")
    return notes


def repro(*words: str) -> list[str]:
    """The command line `repro WORDS`, in this Python."""
    return [sys.executable, "-m", "repro", *words]


def why_it_ended(status: int, folder: Path) -> str:
    """Why a process failed: the signal that killed it, or its last line of output."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return last_log_line(folder) or "no error message was printed"


@contextlib.contextmanager
def stopping(running: Sequence[HasProcess]) -> Iterator[None]:
    """Stop every child at the end of the block, also after an exception."""
    try:
        yield
    finally:
        for child in running:
            child.process.terminate()
        for child in running:
            try:
                child.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


@contextlib.contextmanager
def as_one_interrupt(*signals: int, message: str = "") -> Iterator[Callable[[], bool]]:
    """The first of these signals is a KeyboardInterrupt with that message; those that follow are ignored.

    It is `Terminated` where the signal is not Ctrl-C's. Yields a function that returns whether one came. The handler
    remembers it: Lightning puts handlers back that it has replaced, also after the first.
    """
    came = False

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            raise (KeyboardInterrupt if signum == signal.SIGINT else Terminated)(message)

    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield lambda: came
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
