"""`repro runs`: the state of every run."""

import argparse
import json
import math
from typing import Any

from repro.cli.arguments import add_records
from repro.errors import UserError
from repro.records import store
from repro.records.record import LOG, RunRecord
from repro.records.status import RunStatus, status_of
from repro.runs.registry import get_task
from repro.text import duration, shown, table

HEADER = ("TASK", "VARIANT", "CONFIG", "SEED", "STATUS", "DETAILS")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_records(parser, "runs")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def execute(args: argparse.Namespace) -> int:
    """Print one line per run."""
    root, folders = store.folder(args.records), store.run_folders(args.records)
    states = [status_of(folder) for folder in folders]
    if args.json:
        print(json.dumps([as_json(status) for status in states], indent=1))
        return 0
    if not states:
        hint = "; `make fig1` or `repro reproduce fig1` trains those of figure 1" * (args.records == "runs")
        print(f"no runs in {shown(root)} yet{hint}")
        return 0
    print(table([(*status.identity, status.state, details(status)) for status in states], HEADER))
    names = [status.state for status in states]
    print("\n" + ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names))))
    before = "" if args.records in ("runs", "accepted") else f"{shown(root)}/"
    print(f"one run with all of its numbers: repro show {before}TASK/VARIANT-CONFIG/seed-SEED")
    if {"interrupted", "unfinished"} & set(names):
        print("to resume an interrupted or unfinished run, run the command that started it again")
    return 0


def details(status: RunStatus) -> str:
    """What there is to know about a run, in one line."""
    text = _known(status)
    return f"{text}; {status.problem}" if text and status.problem else text or status.problem


def _known(status: RunStatus) -> str:
    if status.state in ("running", "interrupted"):
        return _without_record(status)
    record = status.record
    if record is None or status.state == "failed":
        return record.reason if record else ""
    metrics = [f"{key} {record.metrics[key]:.3g}" for key in _headline(record)]
    return ", ".join([f"profile {record.profile}", record.reason or duration(record.wall_s), *metrics])


def _headline(record: RunRecord) -> list[str]:
    """The metric that the task's figure shows; all of them where the task or the metric is not there."""
    try:
        headline = get_task(record.task).headline
    except UserError:
        headline = ""
    return [headline] if headline in record.metrics else list(record.metrics)


def _without_record(status: RunStatus) -> str:
    event = status.last_event
    parts = [f"{event['event']} {event.get('time', '')}".strip() if event else "before its first iteration"]
    if progress := status.progress:
        done = f"iteration {progress.iteration} of {progress.iterations}"
        left = progress.seconds_left if status.state == "running" else math.nan
        parts.append(done + (f", {duration(left)} left" if math.isfinite(left) else ""))
    if status.state == "interrupted" and status.last_line:
        parts.append(f"{LOG} ends: {status.last_line}")
    return "; ".join(parts)


def as_json(status: RunStatus) -> dict[str, Any]:
    """One run as an object: numbers that are not known are null."""
    task, variant, config_hash, seed = status.identity
    record, progress = status.record, status.progress
    left = progress.seconds_left if progress and status.state == "running" else math.nan
    return {
        "task": task,
        "variant": variant,
        "config_hash": config_hash,
        "seed": int(seed) if seed.isdecimal() else None,
        "status": status.state,
        "reason": record.reason if record else status.problem,
        "profile": record.profile if record else None,
        "metrics": dict(record.metrics) if record else None,
        "iteration": progress.iteration if progress else None,
        "iterations": progress.iterations if progress else None,
        "latest": {name: value for name, value in progress.metrics.items() if math.isfinite(value)}
        if progress
        else None,
        "seconds_left": left if math.isfinite(left) else None,
        "host": progress.host if progress else None,
        "folder": str(status.folder),
    }
