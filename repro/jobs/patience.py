"""Storages that are away for a while: a restarted server, a network that is down, a full disk."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import optuna

from repro.errors import StorageAway, UserError

PATIENCE = 600.0  # seconds in mid-sweep
LAST_PATIENCE = 5.0  # seconds once the user has pressed Ctrl-C
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds between attempts
PERMANENT = (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
Answer = TypeVar("Answer")


class PatientStorage:
    """An Optuna storage each of whose calls is repeated until it gets through, or `patience` seconds are over.

    A call that got through, and whose answer was lost, is made twice. The queue permits that: of a job that is enqueued
    twice one is dropped, an end that is reported twice is TakenOver, a trial that was taken without a lease is reaped.
    """

    def __init__(self, storage: Any, where: str, patience: float = PATIENCE) -> None:
        self._storage, self._where, self._patience = storage, where, patience

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._storage, name)
        return self._repeated(value) if callable(value) else value

    def _repeated(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def repeat(*args: Any, **options: Any) -> Any:
            try:
                return patiently(lambda: call(*args, **options), self._where, lambda: self._patience, is_away)
            except KeyboardInterrupt:
                self._patience = min(self._patience, LAST_PATIENCE)
                raise

        return repeat


def patiently(
    call: Callable[[], Answer], where: str, patience: Callable[[], float], waits: Callable[[Exception], bool]
) -> Answer:
    """What a call returns, repeated after each exception that `waits` is true for.

    Raises StorageAway after `patience()` seconds of exceptions.
    """
    began, pause = None, FIRST_PAUSE
    while True:
        try:
            return call()
        except json.JSONDecodeError:
            raise UserError(f"{where} has a damaged line; run the same command again, which repairs it") from None
        except Exception as error:
            if not waits(error):
                raise
            now = time.monotonic()
            if began is None:
                began = now
                print(f"cannot reach the storage {where} ({reason(error)}); trying again", file=sys.stderr, flush=True)
            if now - began >= patience():
                raise StorageAway(
                    f"the storage {where} could not be reached for {now - began:.0f} s ({reason(error)}); "
                    "run the same command again to resume"
                ) from None
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def is_away(error: Exception) -> bool:
    """Whether an exception of a storage that was there before may pass by itself."""
    import sqlalchemy

    transient = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.DBAPIError, OSError)
    return isinstance(error, transient) and not isinstance(error, PERMANENT)


def reason(error: BaseException) -> str:
    """The first line of what went wrong, without Optuna's and SQLAlchemy's introduction."""
    while error.__cause__ is not None:
        error = error.__cause__
    words = str(error).strip() or type(error).__name__
    return words.splitlines()[0]
