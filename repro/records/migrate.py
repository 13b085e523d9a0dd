"""Records of schema 1 become records of schema 2: their hash, and one part with what is known of how they were made."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from repro.errors import UserError
from repro.records.files import read_json, write_atomically
from repro.records.record import (
    RECORD,
    Part,
    RunRecord,
    read_arrays,
    read_record,
    record_hash,
    record_text,
    run_path,
)

NOTE = "schema 1: commit, device and time of the last process alone"


def migrate(folders: list[Path], dry_run: bool = False) -> list[Path]:
    """Rewrite the records of schema 1 among `folders`; return the folders of these. All are checked before one is
    written.

    Raises UserError when a record is damaged, lies in another run's folder, or has other arrays than it states.
    """
    fresh = {folder: record for folder in folders if (record := _migrated(folder))}
    for folder, record in {} if dry_run else fresh.items():
        write_atomically(folder / RECORD, record_text(record))
    return list(fresh)


def _migrated(folder: Path) -> RunRecord | None:
    """The record in a folder in today's schema; None if it has that."""
    path = folder / RECORD
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != 1:
        read_record(folder)
        return None
    try:
        record = RunRecord(
            **{key: value for key, value in data.items() if key != "schema"}, extras={"provenance": NOTE}
        )
        if Path(folder.absolute()).parts[-3:] != run_path(*_identity(data)).parts:
            raise UserError(f"{path} is the record of another run, {run_path(*_identity(data))}; move it back there")
        record = dataclasses.replace(record, parts=(_part(record, _iterations(folder, record)),))
    except (TypeError, pydantic.ValidationError):
        raise UserError(f"{path} is not a complete record of schema 1; restore it, or move its folder away") from None
    return dataclasses.replace(record, record_sha256=record_hash(dataclasses.asdict(record)))


def _identity(data: Mapping[str, Any]) -> tuple[str, str, str, int]:
    return data["task"], data["variant"], data["config_hash"], data["seed"]


def _iterations(folder: Path, record: RunRecord) -> int:
    """Each iteration has a loss; measurements have none."""
    return len(read_arrays(folder, record).get("loss", ()))


def _part(record: RunRecord, iterations: int) -> Part:
    return Part(
        started=record.started,
        wall_s=record.wall_s,
        iterations=iterations,
        device=record.device,
        machine=record.machine,
        threads=record.threads,
        git_commit=record.git_commit,
        git_dirty=record.git_dirty,
    )
