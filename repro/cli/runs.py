"""`repro runs`: the state of every run."""

import argparse
import contextlib
import fcntl
import json
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.jobs.processes import last_log_line
from repro.records import store
from repro.records.record import JOURNAL, LOCK, LOG, RECORD, read_record
from repro.records.store import identity
from repro.text import duration, shown, table

HEADER = ("TASK", "VARIANT", "CONFIG", "SEED", "STATUS", "DETAILS")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--records", metavar="WHERE", default="runs", help="runs (the default), accepted or a folder")


def execute(args: argparse.Namespace) -> int:
    """Print one line per run."""
    root, folders = store.folder(args.records), store.run_folders(args.records)
    if not folders:
        print(f"no runs in {shown(root)} yet; `make fig1` or `repro reproduce fig1` trains those of figure 1")
        return 0
    rows = [status(folder) for folder in folders]
    print(table(rows, HEADER))
    states = [row[4] for row in rows]
    print("\n" + ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))
    if {"interrupted", "unfinished"} & set(states):
        print("to resume an interrupted or unfinished run, run the command that started it again")
    return 0


def status(folder: Path) -> tuple[str, str, str, str, str, str]:
    """Task, variant, config hash, seed, details, and before these the status: finished, unfinished, failed, broken,
    running or interrupted."""
    run = identity(folder)
    if not (folder / RECORD).exists():
        return (*run, *_without_record(folder))
    try:
        record = read_record(folder)
    except UserError as error:
        return (*run, "broken", str(error))
    if record.status != "finished" and _is_locked(folder):
        return (*run, *_without_record(folder))
    if record.status == "failed":
        return (*run, record.status, record.reason)
    metrics = [f"{key} {value:.3g}" for key, value in record.metrics.items()]
    how_far = record.reason or duration(record.wall_s)
    return (*run, record.status, ", ".join([f"profile {record.profile}", how_far, *metrics]))


def _without_record(folder: Path) -> tuple[str, str]:
    event = last_event(folder)
    details = [f"{event['event']} {event.get('time', '')}".strip()] if "event" in event else ["before its first trial"]
    details += [f"{LOG} ends: {line}"] if (line := last_log_line(folder)) else []
    return "running" if _is_locked(folder) else "interrupted", "; ".join(details)


def last_event(folder: Path) -> dict[str, Any]:
    """The last whole line of a run's journal; empty when there is none (the very last may be cut off)."""
    journal = folder / JOURNAL
    lines = journal.read_text(errors="replace").splitlines() if journal.exists() else []
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                return event
    return {}


def _is_locked(folder: Path) -> bool:
    """Whether a process holds the run: training locks the folder while it lasts."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
