"""Runs in one file, to move them between machines: a zip of their files, with the SHA-256 of each in MANIFEST.json."""

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.records.record import ARRAYS, CHECKPOINT, JOURNAL, LOG, RECORD, WEIGHTS, has_record, read_arrays, read_record
from repro.records.status import is_locked

MANIFEST, SCHEMA = "MANIFEST.json", 1
WANDB_ID = "wandb-id"  # where the run resumes, it stays one run of W&B
FILES = (RECORD, ARRAYS, WEIGHTS, JOURNAL, LOG, WANDB_ID, CHECKPOINT)
NAME = re.compile(rf"([a-z0-9_]+/[a-z0-9_]+-[0-9a-f]{{8}}/seed-[0-9]{{1,10}})/({'|'.join(map(re.escape, FILES))})")
CHUNK = 1 << 20
STAMP = (1980, 1, 1, 0, 0, 0)  # no time: equal runs give equal files


def pack(folders: Sequence[Path], file: Path, checkpoints: bool = True) -> list[str]:
    """Write runs into one file, whole or not at all; return their names (TASK/VARIANT-HASH/seed-N).

    Raises UserError when a run is being trained, its record or arrays are broken, it has neither a record nor a
    checkpoint that is packed, two runs have one name, or the file is there already.
    """
    if file.exists() or file.is_symlink():
        raise UserError(f"{file} exists; -o names a new file")
    if not file.parent.is_dir():
        raise UserError(f"cannot write {file}: there is no folder {file.parent}")
    members: dict[str, Path] = {}
    for folder in folders:
        _check(folder, checkpoints)
        for name in FILES if checkpoints else FILES[:-1]:
            if (folder / name).is_file():
                members[_member(folder, name, members)] = folder / name
    part = file.with_name(file.name + ".part")
    try:
        _write(part, members)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return sorted({_run(name) for name in members})


def _check(folder: Path, checkpoints: bool) -> None:
    """Raises UserError for a run that cannot be packed."""
    if is_locked(folder):
        raise UserError(f"{folder} is being trained; pack it when that has ended or was stopped")
    if has_record(folder):
        read_arrays(folder, read_record(folder))
    elif not (folder / CHECKPOINT).is_file():
        raise UserError(f"{folder} has neither a record nor a checkpoint: nothing to pack")
    elif not checkpoints:
        raise UserError(f"{folder} has no record: without its checkpoint there is nothing to pack")


def _member(folder: Path, file: str, others: Mapping[str, Path]) -> str:
    name = "/".join((*folder.parts[-3:], file))
    if not NAME.fullmatch(name):
        raise UserError(f"{folder} is not the folder of a run: those are named TASK/VARIANT-HASH/seed-N")
    if name in others:
        raise UserError(f"{folder} and {others[name].parent} are the same run; pack one of them")
    return name


def _run(member: str) -> str:
    return member.rpartition("/")[0]


def _write(part: Path, members: Mapping[str, Path]) -> None:
    hashes = {}
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, strict_timestamps=True) as archive:
        for name, path in sorted(members.items()):
            digest = hashlib.sha256()
            entry = zipfile.ZipInfo(name, date_time=STAMP)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in (".npz", ".ckpt") else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
            hashes[name] = digest.hexdigest()
        text = json.dumps({"schema": SCHEMA, "sha256": hashes}, indent=1, sort_keys=True)
        archive.writestr(zipfile.ZipInfo(MANIFEST, date_time=STAMP), text)


def unpack(file: Path, into: Path) -> list[Path]:
    """Add the runs of a packed file to the runs in `into`, all or none; return the folders of those that are new.

    A run that is there already with equal files is left as it is. Raises UserError when the file is damaged, a hash
    differs, a record is broken or of another run, or another state of a run is there.
    """
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".import-") as stage:
        with _opened(file) as archive:
            names = _extract(file, archive, Path(stage))
        runs = sorted({_run(name) for name in names})
        new = [run for run in runs if not _is_there(file, Path(stage, run), into / run)]
        _move(Path(stage), into, new)
    return [into / run for run in new]


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """Raises UserError for what zipfile raises."""
    if not file.is_file():
        raise UserError(f"no file {file}; FILE is one that `repro pack` wrote")
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except UserError:
        raise
    except Exception as error:  # zipfile and zlib raise many kinds
        raise UserError(f"{file} is damaged, or not a file that `repro pack` wrote ({error}); copy it again") from None


def _extract(file: Path, archive: zipfile.ZipFile, stage: Path) -> list[str]:
    """Copy the members into the stage, each with the hash that the manifest states; return their names."""
    hashes = _manifest(file, archive)
    members = [entry.filename for entry in archive.infolist() if entry.filename != MANIFEST]
    if sorted(members) != sorted(hashes):
        raise UserError(f"{file} does not contain the files that its {MANIFEST} lists; copy it again")
    for name, expected in hashes.items():
        digest, path = hashlib.sha256(), stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, path.open("wb") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != expected:
            raise UserError(f"{name} in {file} differs from the hash in its {MANIFEST}; copy the file again")
    for run in {_run(name) for name in hashes}:
        if has_record(stage / run):
            read_arrays(stage / run, read_record(stage / run))
    return list(hashes)


def _manifest(file: Path, archive: zipfile.ZipFile) -> dict[str, str]:
    """Member -> hash. Raises UserError when it is not one that `pack` writes, or names a file elsewhere."""
    with archive.open(MANIFEST) as source:
        text = source.read(100_000_001)
    data: Any = json.loads(text) if len(text) <= 100_000_000 else None
    hashes = data.get("sha256") if isinstance(data, dict) and data.get("schema") == SCHEMA else None
    if not isinstance(hashes, dict) or not hashes:
        raise UserError(f"{file} has a {MANIFEST} that `repro pack` did not write")
    for name, digest in hashes.items():
        if not NAME.fullmatch(name):
            raise UserError(f"{file} contains {name[:200]!r}, which is not a file of a run; nothing was imported")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise UserError(f"{file} has a {MANIFEST} without the SHA-256 of {name}")
    return hashes


def _is_there(file: Path, fresh: Path, target: Path) -> bool:
    """Whether the run is there with equal record, or equal checkpoint where it has no record."""
    if not target.exists():
        return False
    key = RECORD if has_record(fresh) else CHECKPOINT
    if (target / key).is_file() and (target / key).read_bytes() == (fresh / key).read_bytes():
        return True
    raise UserError(f"{target} is another state of a run in {file}; move it away to import that one")


def _move(stage: Path, into: Path, runs: Sequence[str]) -> None:
    done: list[Path] = []
    try:
        for run in runs:
            (into / run).parent.mkdir(parents=True, exist_ok=True)
            (stage / run).rename(into / run)
            done.append(into / run)
    except BaseException:
        for folder in done:
            shutil.rmtree(folder)
        raise
