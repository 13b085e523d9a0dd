"""Kills a process at one of its file operations, or slows nothing and only counts them. Runs in the child."""

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


def tripwire(root: Path, at: int, number: int, tear: float) -> None:
    """Send this process a signal at its `at`-th file operation below `root`, before the operation is done.

    A file that is being written (.part) is cut off to a share `tear` of its bytes, as a crash may leave it.
    """

    def trip(count: int, path: str) -> None:
        if count == at:
            if number == signal.SIGKILL and path.endswith(".part") and os.path.isfile(path):
                os.truncate(path, int(tear * os.path.getsize(path)))
            os.kill(os.getpid(), number)

    watch(root, trip)


def count_operations(root: Path, out: Path) -> None:
    """Write the number of this process's file operations below `root` to a file when it ends."""
    last = [0]
    watch(root, lambda count, path: last.__setitem__(0, count))
    atexit.register(lambda: out.write_text(str(last[0])))


def watch(root: Path, step: Callable[[int, str], object]) -> None:
    count, busy, start = 0, False, str(root)

    def operation(path: Any) -> None:
        nonlocal count, busy
        if busy or not isinstance(path, str | Path) or not str(path).startswith(start):
            return
        busy, count = True, count + 1
        try:
            step(count, str(path))
        finally:
            busy = False

    real = os.fsync

    def fsync(file: Any) -> None:
        operation(os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"))
        real(file)

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(lambda event, args: operation(args[0]) if event in WATCHED else None)


def hurry(times: float) -> None:
    """Let the clocks of this process run faster, so that a lease of a dead worker need not be waited for."""
    for name in ("monotonic", "time"):
        real = getattr(time, name)
        start = real()
        setattr(time, name, lambda real=real, start=start: start + times * (real() - start))
