"""`repro show`: one run, with its config, where each value comes from, its numbers and its history."""

import argparse
import json
from typing import Any

from repro.cli.runs import as_json, details
from repro.errors import UserError
from repro.records import store
from repro.records.record import RunRecord
from repro.records.status import RunStatus, journal, status_of
from repro.runs.config import from_mapping, provenance
from repro.runs.registry import get_task
from repro.text import duration, megabytes, shown, table


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="its folder, or TASK/VARIANT-HASH/seed-N")
    parser.add_argument("--json", action="store_true", help="print an object")


def execute(args: argparse.Namespace) -> int:
    """Print one run. Raises UserError when there is none, or its record is broken."""
    status = status_of(store.find_run(args.run))
    if args.json:
        print(json.dumps(_object(status), indent=1))
        return 0
    if status.state == "broken":
        raise UserError(status.problem)
    print("\n\n".join(part for part in _sections(status) if part))
    return 0


def _object(status: RunStatus) -> dict[str, Any]:
    record = status.record
    rows = {key: {"value": value, "source": source, "where": where} for key, value, source, where in _config(record)}
    return as_json(status) | {"config": rows, "provenance": _provenance(record), "history": journal(status.folder)}


def _sections(status: RunStatus) -> list[str]:
    task, variant, config_hash, seed = status.identity
    head = [("folder", shown(status.folder)), ("status", f"{status.state}: {details(status)}")]
    record = status.record
    rows = [*head, *((key, value) for key, value in _provenance(record).items() if value)]
    sections = [f"{task} {variant} seed {seed}, config {config_hash}", table(rows)]
    if record:
        metrics = [(name, f"{value:.6g}") for name, value in record.metrics.items()]
        sections += [_titled("metrics", metrics), _titled("config", [_row(*row) for row in _config(record)])]
    events = [
        (str(event.get("time", "")), event["event"], str(event.get("reason", ""))) for event in journal(status.folder)
    ]
    files = [(path.name, megabytes(path.stat().st_size / 1e6)) for path in sorted(status.folder.iterdir())]
    return [*sections, _titled("history", events), _titled("files", files)]


def _titled(title: str, rows: list[Any]) -> str:
    return f"{title}:\n{table([('  ' + row[0], *row[1:]) for row in rows])}" if rows else ""


def _row(key: str, value: Any, source: str, where: str) -> tuple[str, str, str]:
    return key, str(value), f"{source}: {where}" if source else ""


def _config(record: RunRecord | None) -> list[tuple[str, Any, str, str]]:
    """Key, value, source and place of each config value; of a task that is not known here, key and value alone."""
    if record is None:
        return []
    try:
        config_type = get_task(record.task).config
    except UserError:
        return [(key, value, "", "") for key, value in record.config.items()]
    config = from_mapping(config_type, record.config)
    return [(key, getattr(config, key), p.source, p.where) for key, p in provenance(config_type).items()]


def _provenance(record: RunRecord | None) -> dict[str, str]:
    """How the record was made, in words."""
    if record is None:
        return {}
    commit = record.git_commit[:12] + (" and uncommitted changes" if record.git_dirty else "")
    return {
        "made by": f"{commit or 'code outside a repository'} on {record.started}",
        "machine": f"{record.machine or 'unknown'} ({record.device}, {record.threads} threads)",
        "time": duration(record.wall_s) + (f" in {len(record.parts)} parts" if len(record.parts) > 1 else ""),
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        "weights": record.weights_sha256[:12],
        "measured": ", ".join(f"{name} {value}" for name, value in record.extras.items()),
    }
