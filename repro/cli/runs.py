"""`repro runs`: what became of every run."""

import argparse
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.cli.text import duration, shown, table
from repro.errors import UserError


def add(parser: argparse.ArgumentParser) -> None:
    """Tell argparse."""
    parser.add_argument("--records", metavar="WHERE", default="runs", help="runs (the default), accepted or a folder")


def execute(args: argparse.Namespace) -> int:
    """Print one line a run, then what is wrong with each that is not finished."""
    from repro.records import store

    root = store.folder(args.records)
    folders = sorted(path for path in root.glob("*/*/seed-*") if path.is_dir())
    if not folders:
        print(f"no runs in {shown(root)} yet; `make fig1` or `repro reproduce fig1` trains those of figure 1")
        return 0
    print(table([status(folder) for folder in folders], ("TASK", "VARIANT", "CONFIG", "SEED", "STATUS", "DETAILS")))
    return 0


def status(folder: Path) -> tuple[str, str, str, str, str, str]:
    """Task, variant, config hash, seed, status (finished, failed, broken, running, interrupted) and details."""
    from repro.records.record import RECORD, read_record

    variant, _, digest = folder.parent.name.rpartition("-")
    told = (folder.parents[1].name, variant, digest, folder.name.removeprefix("seed-"))
    if not (folder / RECORD).exists():
        return (*told, *_unfinished(last_event(folder)))
    try:
        record = read_record(folder)
    except UserError as error:
        return (*told, "broken", str(error))
    metrics = [f"{key} {value:.3g}" for key, value in record.metrics.items()]
    size = [f"profile {record.profile}", duration(record.wall_s)]
    return (*told, record.status, record.reason or ", ".join(size + metrics))


def _unfinished(event: Mapping[str, Any]) -> tuple[str, str]:
    if not event:
        return "interrupted", "before its first trial (log.txt in its folder may say why)"
    details = ", ".join(f"{key} {value}" for key, value in event.items() if key not in ("event", "pid", "host"))
    last = f"last event: {event.get('event', 'unknown')}" + (f" ({details})" if details else "")
    if event.get("event") in ("started", "resumed") and _alive(event.get("pid")):
        return "running", last
    return "interrupted", f"{last}; the same command resumes it"


def last_event(folder: Path) -> dict[str, Any]:
    """The last whole line of a run's journal; empty when there is none (the very last may be cut off)."""
    from repro.records.record import JOURNAL

    journal = folder / JOURNAL
    lines = journal.read_text(errors="replace").splitlines() if journal.exists() else []
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                return event
    return {}


def _alive(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
