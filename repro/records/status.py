"""The state of a run, from the files in its folder alone."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.records.progress import Progress, read_progress
from repro.records.record import JOURNAL, LOCK, LOG, RunRecord, has_record, read_record
from repro.records.store import identity

STATES = ("finished", "unfinished", "failed", "broken", "running", "interrupted")


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """The state of the run in `folder`: one of STATES.

    `record` is None where there is none that can be read; `problem` is why it, or the progress, cannot be read;
    `progress` is None but for runs that have no finished record; `last_event` is the last line of the journal,
    `last_line` that of the log.
    """

    folder: Path
    state: str
    record: RunRecord | None = None
    problem: str = ""
    progress: Progress | None = None
    last_event: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    last_line: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Task, variant, config hash and seed, by the folder's name."""
        return identity(self.folder)


def status_of(folder: Path) -> RunStatus:
    """Read the state of a run. A run that ends meanwhile is finished, not interrupted."""
    status = _look(folder)
    return _look(folder) if status.state == "interrupted" else status


def _look(folder: Path) -> RunStatus:
    try:
        record = read_record(folder) if has_record(folder) else None
    except UserError as error:
        return RunStatus(folder, "broken", problem=str(error))
    if record and record.status == "finished":
        return RunStatus(folder, "finished", record)
    progress, problem = None, ""
    try:
        progress = read_progress(folder)
    except UserError as error:
        problem = str(error)
    running = is_locked(folder) or (progress is not None and progress.is_alive())
    if record and not running:
        return RunStatus(folder, record.status, record, problem, progress)
    state = "running" if running else "interrupted"
    return RunStatus(folder, state, record, problem, progress, last_event(folder), last_log_line(folder))


def is_locked(folder: Path) -> bool:
    """Whether a process of this machine holds the run: training locks the folder while it lasts."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


def journal(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's journal, oldest first; a line that was cut off is left out."""
    events = []
    for line in _lines(folder / JOURNAL):
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                events.append(event)
    return events


def last_event(folder: Path) -> dict[str, Any]:
    """The last whole line of a run's journal; empty when there is none."""
    events = journal(folder)
    return events[-1] if events else {}


def last_log_line(folder: Path) -> str:
    """The last line of the log in a folder, "" when there is none."""
    lines = [line for line in _lines(folder / LOG) if line.strip()]
    return lines[-1].removeprefix("repro: ").removeprefix("error: ").strip() if lines else ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines() if path.is_file() else []
    except OSError:
        return []
