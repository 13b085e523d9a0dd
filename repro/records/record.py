"""The record of one run: a small JSON file that carries its own hash, and those of the arrays and weights beside it."""

import dataclasses
import datetime
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, Field, StringConstraints

from repro.errors import UserError
from repro.records.arrays import unpack_arrays
from repro.records.files import read_bytes, read_json, write_part

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 2
WEIGHTS_VERSION = 1  # of how weights_sha256 is made (repro/runs/weights.py)
# The files of a run; a run that is accepted keeps the first three, or two where the weights are large.
RECORD, ARRAYS, WEIGHTS, JOURNAL, CHECKPOINT, LOCK, LOG = (
    *("record.json", "arrays.npz", "weights.npz", "journal.jsonl"),
    *("last.ckpt", "lock", "log.txt"),
)


def _time(text: str) -> str:
    datetime.datetime.fromisoformat(text)
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")]  # of tasks and variants: safe in a path
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Text = Annotated[str, StringConstraints(max_length=10_000)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
DigestOrNone = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
ConfigHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Seconds = Annotated[float, Field(ge=0)]
Time = Annotated[str, StringConstraints(max_length=100), AfterValidator(_time)]
Device = Literal["cpu", "cuda"]
Status = Literal["finished", "failed", "unfinished"]
if TYPE_CHECKING:
    Config = Mapping[str, Any]  # the task's config has the types of its values
else:
    Config = Mapping[Key, bool | int | float | Text]
STRICT = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT, kw_only=True)
class Part:
    """One process's share of a run: when it started, the seconds until its last checkpoint or its end, the iterations
    done by then, and what it ran on."""

    started: Time
    wall_s: Seconds
    iterations: Annotated[int, Field(ge=0)]
    device: Device
    machine: Text
    threads: Annotated[int, Field(ge=1)]
    git_commit: Commit
    git_dirty: bool


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT, kw_only=True)
class RunRecord:
    """What one run was and what came of it.

    `config` is the resolved flat config, `config_hash` its name; `metrics` are the final numbers, all finite;
    `arrays_sha256` is the hash of arrays.npz (curves per trial, snapshots); `weights_sha256` that of the final
    parameters ("" for measurements and unfinished runs), `weights_file_sha256` that of weights.npz ("" where it was not
    kept); `status` is "finished", "failed" (for a `reason`) or "unfinished" (how far it came: "13 of 20 iterations").
    `machine` is the model of the processor or GPU ("" where unknown). The commit, machine, device and threads are those
    of the last of the `parts`, `started` is that of the first, `git_dirty` holds where it holds for one, and `wall_s`
    [s] is the sum over them. `extras` are further measurements, by name; `record_sha256` is the hash of all the rest.
    """

    task: Name
    variant: Name
    profile: Key
    seed: Seed
    config: Config
    config_hash: ConfigHash
    status: Status
    reason: Text
    metrics: Mapping[Key, float]
    arrays_sha256: Digest
    weights_sha256: DigestOrNone
    weights_version: Literal[1] = 1
    weights_file_sha256: DigestOrNone = ""
    git_commit: Commit
    git_dirty: bool
    versions: Mapping[Key, Text]
    device: Device
    machine: Text = ""
    threads: Annotated[int, Field(ge=1)]
    started: Time
    wall_s: Seconds
    parts: tuple[Part, ...] = ()
    extras: Mapping[Key, float | Text] = dataclasses.field(default_factory=dict)
    schema: Literal[2] = 2
    record_sha256: DigestOrNone = ""


_READER = pydantic.TypeAdapter(RunRecord)
_IDENTITY: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(tuple[Name, Name, ConfigHash, Seed])


def run_path(task: str, variant: str, config_hash: str, seed: int) -> Path:
    """TASK/VARIANT-HASH/seed-N, the place of a run below a folder of runs.

    Raises UserError for names of other characters, which could lead elsewhere.
    """
    try:
        _IDENTITY.validate_python((task, variant, config_hash, seed), strict=True)
    except pydantic.ValidationError:
        name = f"{task!s:.50} {variant!s:.50} {config_hash!s:.50} seed {seed!s:.50}"
        raise UserError(
            f"{name!r} names no run: tasks and variants consist of a-z, 0-9 and _, a config's hash of 8 hex digits, "
            f"seeds lie between 0 and {2**31 - 1}"
        ) from None
    return Path(task, f"{variant}-{config_hash}", f"seed-{seed}")


def record_hash(data: Mapping[str, Any]) -> str:
    """The hash of a record's fields, as JSON in canonical form: keys sorted, no blanks, without `record_sha256`."""
    fields = {key: value for key, value in data.items() if key != "record_sha256"}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def checked_record(**fields: Any) -> RunRecord:
    """A record of these fields. Raises UserError, naming it, when one has a wrong type or is out of range."""
    try:
        return RunRecord(**fields)
    except pydantic.ValidationError as error:
        raise UserError(f"this run cannot be recorded: {_first(error)}") from None


def write_record(folder: Path, record: RunRecord, arrays: bytes, weights: bytes = b"") -> RunRecord:
    """Write arrays and weights, then the record with its hash; return it.

    A record that exists is complete: an earlier one of the run is removed before files that it does not fit appear.
    """
    record = dataclasses.replace(record, record_sha256=record_hash(dataclasses.asdict(record)))
    contents = {ARRAYS: arrays, WEIGHTS: weights, RECORD: record_text(record)}
    parts = {folder / name: write_part(folder / name, data) for name, data in contents.items() if data}
    for name in (RECORD, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    for path, part in parts.items():
        part.replace(path)
    return record


def record_text(record: RunRecord) -> bytes:
    """The content of a record's file."""
    return (json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def has_record(folder: Path) -> bool:
    """Whether something has the name of a record: also a link that leads nowhere, which is refused when it is read.

    Raises UserError when the folder may not be read.
    """
    try:
        os.lstat(folder / RECORD)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from None
    return True


def read_record(folder: Path) -> RunRecord:
    """Read and check one run's record.

    Raises UserError when the file is damaged, of another schema, has another hash than it carries, a value of the wrong
    type or out of range, or when it is the record of another run than the folder's name states.
    """
    path = folder / RECORD
    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a record; move its folder away to train that run again")
    if data.get("schema") == 1 and data.get("schema") is not True:
        raise UserError(
            f"{path} is of schema 1, this version reads schema {SCHEMA}; "
            f"`repro migrate --records {Path(os.path.abspath(folder)).parents[2]}` turns it into that"
        )
    if data.get("schema") != SCHEMA:
        raise UserError(f"{path} has schema {str(data.get('schema'))[:20]}; this version reads schema {SCHEMA}")
    try:
        record = _READER.validate_json(json.dumps(data))
    except (pydantic.ValidationError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a record of ours: {_first(error)}; {_REMEDY}") from None
    if record.record_sha256 != record_hash(data):
        raise UserError(f"{path} was changed after it was written: its hash differs; {_REMEDY}")
    expected = run_path(record.task, record.variant, record.config_hash, record.seed)
    if Path(os.path.abspath(folder)).parts[-3:] != expected.parts:
        raise UserError(f"{path} is the record of another run, {expected}; move it back there")
    return record


_REMEDY = "restore it, or move its folder away to train that run again"


def _first(error: Exception) -> str:
    """The first fault that pydantic names, in one line."""
    if not isinstance(error, pydantic.ValidationError):
        return str(error)[:100]
    fault = error.errors(include_url=False, include_input=False)[0]
    return re.sub(r"\s+", " ", f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")[:200]


def read_arrays(folder: Path, record: RunRecord) -> "dict[str, np.ndarray[Any, Any]]":
    """Read the arrays of a record. Raises UserError when they are missing, damaged, or have another hash."""
    return unpack_arrays(_verified(folder / ARRAYS, record.arrays_sha256), folder / ARRAYS)


def read_weights(folder: Path, record: RunRecord) -> "dict[str, np.ndarray[Any, Any]]":
    """Read the final parameters, name -> array. Raises UserError when they were not kept, or have another hash."""
    path = folder / WEIGHTS
    if not record.weights_file_sha256 or not os.path.lexists(path):
        raise UserError(
            f"{folder} has no weights: they were not kept; `repro run` with the record's settings trains them"
        )
    return unpack_arrays(_verified(path, record.weights_file_sha256), path)


def _verified(path: Path, digest: str) -> bytes:
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise UserError(f"{path} is not the file that its record was written with; {_REMEDY}")
    return data


def append_journal(folder: Path, event: str, **details: Any) -> None:
    """Add one line to a run's journal: started, resumed, finished, failed, unfinished. Never rewritten.

    Raises UserError when it is not a file.
    """
    try:
        journal = os.open(
            folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
    except OSError as error:
        raise UserError(f"cannot write {folder / JOURNAL} ({error.strerror}); it should be a plain file") from None
    with os.fdopen(journal, "a") as file:
        file.write(json.dumps({"event": event, **details}, sort_keys=True) + "\n")
