"""Copy runs to the committed results, all of them or none."""

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from repro.errors import UserError
from repro.records.record import ARRAYS, RECORD, RunRecord, read_arrays, read_record
from repro.records.store import run_folder


@dataclasses.dataclass(frozen=True)
class _Move:
    """A step that can be undone: what was moved, and where to."""

    source: Path
    target: Path

    def make(self) -> None:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.source.rename(self.target)

    def undo(self) -> None:
        self.target.rename(self.source)


def accept(folders: Sequence[Path], into: Path, replace: bool = False, allow_dirty: bool = False) -> list[Path]:
    """Copy record and arrays of every run folder to `into`/TASK/VARIANT-HASH/seed-N; returns those folders.

    Failed runs are kept like finished ones: leaving them out would flatter a result; unfinished ones for their curves.
    Nothing is copied unless every run passes. Raises UserError when a record cannot be read, was made by uncommitted
    code (unless `allow_dirty`), when its arrays are not the ones it was written with, or when another record of the
    same run is there already (unless `replace`).
    """
    targets: dict[Path, Path] = {}
    for folder in folders:
        record = _validated(folder, allow_dirty)
        target = run_folder(record.task, record.variant, record.config_hash, record.seed, into)
        if _differs(folder, targets.get(target, folder)):
            raise UserError(f"{folder} and {targets[target]} are different records of one run; accept one of them")
        if _differs(folder, target) and not replace:
            raise UserError(f"{target} holds another record of that run; it is replaced only when asked (--replace)")
        targets[target] = folder
    into.mkdir(parents=True, exist_ok=True)
    _install({target: folder for target, folder in targets.items() if not _same(folder, target)}, into)
    return list(targets)


def _validated(folder: Path, allow_dirty: bool) -> RunRecord:
    if not (folder / RECORD).is_file():
        raise UserError(f"{folder} has no {RECORD}: it is not the folder of a run that was recorded")
    record = read_record(folder)
    if record.status not in ("finished", "failed", "unfinished"):
        raise UserError(f"{folder} is {record.status!r}; runs are finished, failed or unfinished")
    read_arrays(folder, record)
    if record.git_dirty and not allow_dirty:
        raise UserError(f"{folder} was made by code that was not committed; commit, and run it again")
    return record


def _same(folder: Path, target: Path) -> bool:
    return (target / RECORD).exists() and not _differs(folder, target)


def _differs(folder: Path, target: Path) -> bool:
    """Whether both hold a record or arrays and they are not the same."""
    pairs = [(folder / name, target / name) for name in (RECORD, ARRAYS)]
    return target.exists() and any(not b.exists() or a.read_bytes() != b.read_bytes() for a, b in pairs)


def _install(runs: Mapping[Path, Path], into: Path) -> None:
    """Stage every copy next to its destination, then rename; a failed step undoes those before it."""
    with tempfile.TemporaryDirectory(dir=into, prefix=".accept-") as stage:
        moves = []
        for number, (target, folder) in enumerate(runs.items()):
            fresh = Path(stage, "new", str(number))
            fresh.mkdir(parents=True)
            for name in (RECORD, ARRAYS):
                shutil.copyfile(folder / name, fresh / name)
            if target.exists():
                moves.append(_Move(target, Path(stage, "old", str(number))))
            moves.append(_Move(fresh, target))
        done: list[_Move] = []
        try:
            for move in moves:
                move.make()
                done.append(move)
        except BaseException:
            for move in reversed(done):
                move.undo()
            raise
