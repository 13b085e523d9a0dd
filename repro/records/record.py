"""The record of one run: a small JSON file, and an npz of arrays whose hash it carries."""

import dataclasses
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import UserError

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
# The files of a run; a run that is accepted keeps the first two.
RECORD, ARRAYS, JOURNAL, CHECKPOINT, LOCK, LOG = (
    *("record.json", "arrays.npz", "journal.jsonl"),
    *("last.ckpt", "lock", "log.txt"),
)


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What one run was and what came of it.

    `config` is the resolved flat config, `config_hash` its name; `metrics` are the final numbers; `arrays_sha256` is
    the hash of arrays.npz (curves per trial, snapshots); `status` is "finished",
    "failed" (for a `reason`) or "unfinished" (how far it came: "13 of 20 iterations").
    """

    task: str
    variant: str
    profile: str
    seed: int
    config: Mapping[str, Any]
    config_hash: str
    status: str
    reason: str
    metrics: Mapping[str, float]
    arrays_sha256: str
    weights_sha256: str
    git_commit: str
    git_dirty: bool
    versions: Mapping[str, str]
    device: str
    threads: int
    started: str
    wall_s: float
    schema: int = SCHEMA


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def pack_arrays(arrays: "Mapping[str, np.ndarray]") -> bytes:
    """An npz whose bytes depend on the arrays alone (numpy's own stamps the time)."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.save(entry, np.ascontiguousarray(arrays[name]))
            stamp = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            stamp.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(stamp, entry.getvalue())
    return buffer.getvalue()


def write_record(folder: Path, record: RunRecord, arrays: bytes) -> None:
    """Write arrays, then the record: a record that exists is complete."""
    write_atomically(folder / ARRAYS, arrays)
    text = json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True)
    write_atomically(folder / RECORD, (text + "\n").encode())


def read_record(folder: Path) -> RunRecord:
    """Read one run's record.

    Raises UserError when the file is truncated, of another schema, or lacks a key.
    """
    path = folder / RECORD
    try:
        data = json.loads(path.read_bytes())
        if data["schema"] != SCHEMA:
            raise UserError(f"{path} has schema {data['schema']}; this version reads schema {SCHEMA}")
        return RunRecord(**data)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a complete record; move its folder away to train that run again") from None


def read_arrays(folder: Path, record: RunRecord) -> "dict[str, np.ndarray]":
    """Read the arrays of a record.

    Raises UserError when they are missing or do not have the hash that the record carries.
    """
    import numpy as np

    path = folder / ARRAYS
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != record.arrays_sha256:
        raise UserError(f"{path} is missing or is not the file that its record was written with")
    with np.load(io.BytesIO(data)) as archive:
        return {name: archive[name] for name in archive.files}


def append_journal(folder: Path, event: str, **details: Any) -> None:
    """Add one line to a run's journal: started, resumed, finished, failed, unfinished. Never rewritten."""
    with (folder / JOURNAL).open("a") as file:
        file.write(json.dumps({"event": event, **details}, sort_keys=True) + "\n")
