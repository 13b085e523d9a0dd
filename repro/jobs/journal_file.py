"""Optuna's journal file, kept readable when a process is killed while writing it."""

import contextlib
import json
import os
import time
from pathlib import Path

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from repro.errors import UserError

DANGLING_SECONDS = 1.0  # no program holds a lock as long as this


def open_journal(path: Path) -> JournalFileBackend:
    """The journal at a path, made if need be, its damaged lines repaired.

    Raises UserError where the path is not a file, or has a line that is beyond repair.
    """
    path = path.absolute()  # workers may be started in other folders
    lock = MendingLock(path)
    if os.path.lexists(path):
        if not path.is_file():
            raise UserError(f"{path} should be a file, and is something else; move it away")
        lock.acquire()
        try:
            repair(path)
        finally:
            lock.release()
    return JournalFileBackend(str(path), lock)


class MendingLock(JournalFileOpenLock):
    """The lock of a journal, which ends a line that was torn by the holder before.

    A lock whose holder died is freed after 30 s. A holder that only seemed dead finds its lock gone, and continues.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def acquire(self) -> bool:
        """Wait until the lock is ours, and end the last line."""
        self._remove_dangling()
        super().acquire()
        try:
            mend(self.path)
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Release it, unless it was taken from us."""
        with contextlib.suppress(RuntimeError):
            super().release()

    def _remove_dangling(self) -> None:
        """Optuna's other lock is a link to the journal's path as it was given. If its holder was killed, and the path
        was relative or the folder has moved since, Optuna would wait for ever."""
        lock = Path(self._lock_file)
        with contextlib.suppress(FileNotFoundError):
            before = lock.lstat().st_mtime_ns
            if lock.is_symlink() and not lock.exists():
                time.sleep(DANGLING_SECONDS)
                if lock.lstat().st_mtime_ns == before:
                    lock.unlink()


def mend(path: Path) -> None:
    """End the last line of a journal, or remove it if it is not whole: Optuna would append to it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        if file.read() in (b"", b"\n"):
            return
        file.seek(0)
        data = file.read()
        start = data.rfind(b"\n") + 1
        if _is_json(data[start:]):
            file.write(b"\n")
        else:
            file.truncate(start)


def repair(path: Path) -> None:
    """Blank the torn line that another program has appended a whole one to. The length of each line stays.

    The torn line was never acted upon: its writer died first. Raises UserError where no whole line is left.
    """
    with path.open("rb+") as file:
        position = 0
        for number, line in enumerate(file.read().splitlines(keepends=True), start=1):
            if not _is_json(line):
                start = next((i for i in range(1, len(line)) if line[i : i + 1] == b"{" and _is_json(line[i:])), None)
                if start is None:
                    raise UserError(
                        f"line {number} of {path} is damaged; move the file away and run the same command again "
                        "(runs that are finished are read, not trained again)"
                    )
                file.seek(position)
                file.write(b" " * start)
            position += len(line)


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
