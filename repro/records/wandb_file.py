"""Reads the file in which W&B keeps a run on disk, `run-ID.wandb`, without network or account.

The file is a log in LevelDB's format (blocks of 32 KiB; records with checksum, length and type) behind a header of
7 bytes; each record is a message of `wandb.proto`. A process that was killed may leave a torn record at its end.
"""

import dataclasses
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from repro.errors import UserError

BLOCK, HEADER, MAGIC = 32768, 7, b":W&B\xe1\xbe\x00"
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
STEP = "_step"


class SentArtifact(NamedTuple):
    """An artifact of a run, and the names of its files."""

    name: str
    files: tuple[str, ...]


@dataclasses.dataclass
class WandbFile:
    """One part of a W&B run: what one process sent.

    `history` has a dict a call of `run.log`, with its step under "_step"; `exit_code` is None where the process was
    killed before `run.finish`; `size` is the number of bytes up to the last whole record, 0 without any.
    """

    run_id: str = ""
    entity: str = ""
    project: str = ""
    group: str = ""
    job_type: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    summary: dict[str, Any] = dataclasses.field(default_factory=dict)
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    artifacts: list[SentArtifact] = dataclasses.field(default_factory=list)
    exit_code: int | None = None
    size: int = 0

    @property
    def last_step(self) -> int:
        """The last step of the history; 0 without one."""
        return max((row[STEP] for row in self.history), default=0)


def read_wandb_file(path: Path) -> WandbFile:
    """Decode one file, up to a torn end if it has one.

    Raises UserError when it is no W&B file or is damaged, and when wandb is not installed.
    """
    try:
        from google.protobuf.message import DecodeError
        from wandb.proto import wandb_internal_pb2 as messages
    except ImportError:
        raise UserError(f"reading {path} needs wandb, which is not installed; `pip install wandb` sets it up") from None
    part = WandbFile()
    try:
        message: Any = messages  # made when it is imported: unknown to type checkers
        for data, part.size in _records(path.read_bytes()):
            _add(part, message.Record.FromString(data))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (DecodeError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged or not a file of W&B ({type(error).__name__}: {error})") from None
    return part


def _records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The records of a log, each with the place of its end; a torn one ends the log.

    Raises ValueError for a wrong header or checksum.
    """
    if data[:HEADER] != MAGIC:
        raise ValueError("wrong header")
    position, pieces = HEADER, b""
    while True:
        left = BLOCK - position % BLOCK
        if left < HEADER:  # too short for a record: zeros up to the next block
            position += left
            continue
        header = data[position : position + HEADER]
        if len(header) < HEADER:
            return
        checksum, length, kind = struct.unpack("<IHB", header)
        piece = data[position + HEADER : position + HEADER + length]
        if len(piece) < length or not (kind or length or checksum):
            return
        if zlib.crc32(piece, zlib.crc32(bytes([kind]))) != checksum:
            raise ValueError(f"wrong checksum at byte {position}")
        position += HEADER + length
        pieces = piece if kind in (FULL, FIRST) else pieces + piece
        if kind in (FULL, LAST):
            yield pieces, position


def _add(part: WandbFile, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    message: Any = getattr(record, kind) if kind else None
    if kind == "run":
        part.run_id, part.entity, part.project = message.run_id, message.entity, message.project
        part.group = message.run_group
        part.job_type, part.name, part.tags = message.job_type, message.display_name, tuple(message.tags)
        _update(part.config, message.config.update)
    elif kind == "config":
        _update(part.config, message.update)
    elif kind == "summary":
        _update(part.summary, message.update)
    elif kind == "history":
        row: dict[str, Any] = {}
        _update(row, message.item)
        part.history.append(row | {STEP: int(message.step.num)})
    elif kind == "artifact":
        part.artifacts.append(SentArtifact(message.name, tuple(file.path for file in message.manifest.contents)))
    elif kind == "exit":
        part.exit_code = message.exit_code


def _update(known: dict[str, Any], items: Any) -> None:
    for item in items:
        *outer, last = item.nested_key or [item.key]
        inner = known
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
