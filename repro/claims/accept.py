"""Copy runs to the committed results: all of them, with the verdicts that follow, or none.

The files to come are staged in a hidden folder. One rename makes the stage final; then its files are moved into place.
A process that ends before the rename changes nothing; one that ends after it leaves moves that the next one finishes.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from repro.claims.verdicts import Judged, write_verdicts
from repro.errors import UserError
from repro.records.files import write_atomically
from repro.records.record import ARRAYS, RECORD, WEIGHTS, RunRecord, read_arrays, read_record, read_weights
from repro.records.store import run_folder
from repro.records.sums import READY, SUMS, read_sums, sums_of, sums_text, verify

LARGEST_WEIGHTS = 256 * 1024  # bytes: those of store-recall are 9 kB; the others, 0.4 to 16 MB, are too much for git
STAGE, LOCK = ".accept-part", ".accept-lock"


def accept(
    folders: Sequence[Path],
    into: Path,
    replace: bool = False,
    allow_dirty: bool = False,
    hash_of: Callable[[RunRecord], str] | None = None,
    judge: Callable[[Path], Iterable[Judged]] | None = None,
) -> list[Path]:
    """Copy record, arrays and small weights of every run to `into`/TASK/VARIANT-HASH/seed-N; returns those folders.

    Failed runs are kept like finished ones: leaving them out would flatter a result; unfinished ones for their curves.
    `hash_of` gives the hash of a record's config, `judge` the verdicts from a folder of records. Nothing is copied
    unless every run passes; several processes may accept at once. Raises UserError when a record, its arrays or its
    weights are damaged, when it was made by uncommitted code (unless `allow_dirty`), or when another record of the same
    run is there already (unless `replace`).
    """
    with _locked(into):
        _finish(into)
        verify(into)
        targets: dict[Path, Path] = {}
        for folder in folders:
            record = _validated(folder, allow_dirty, hash_of)
            target = run_folder(record.task, record.variant, record.config_hash, record.seed, into)
            if _differs(folder, targets.get(target, folder)):
                raise UserError(f"{folder} and {targets[target]} are different records of one run; accept one of them")
            if _differs(folder, target) and not replace:
                raise UserError(
                    f"{target} holds another record of that run; it is replaced only when asked (--replace)"
                )
            targets[target] = folder
        _stage(into, {target.relative_to(into): folder for target, folder in targets.items()}, judge)
        (into / STAGE).rename(into / READY)
        _finish(into)
    return list(targets)


@contextlib.contextmanager
def _locked(into: Path) -> Iterator[None]:
    """Wait until no other process accepts."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        file = os.open(into / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise UserError(f"cannot lock {into / LOCK} ({error.strerror}); it should be a plain file") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _validated(folder: Path, allow_dirty: bool, hash_of: Callable[[RunRecord], str] | None) -> RunRecord:
    if not (folder / RECORD).is_file():
        raise UserError(f"{folder} has no {RECORD}: it is not the folder of a run that was recorded")
    record = read_record(folder)
    read_arrays(folder, record)
    if record.weights_file_sha256 and os.path.lexists(folder / WEIGHTS):
        read_weights(folder, record)
    if hash_of and hash_of(record) != record.config_hash:
        raise UserError(f"{folder / RECORD} has a config whose hash is {hash_of(record)}, not {record.config_hash}")
    if record.git_dirty and not allow_dirty:
        raise UserError(f"{folder} was made by code that was not committed; commit, and run it again")
    return record


def _differs(folder: Path, target: Path) -> bool:
    """Whether both hold a record or arrays and they are not the same."""
    pairs = [(folder / name, target / name) for name in (RECORD, ARRAYS)]
    return target.exists() and any(not b.exists() or a.read_bytes() != b.read_bytes() for a, b in pairs)


def _stage(into: Path, runs: Mapping[Path, Path], judge: Callable[[Path], Iterable[Judged]] | None) -> None:
    """Fill the stage with the files that differ from those that are accepted, and with the list of all files to be."""
    stage = into / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    try:
        _link(into, stage)
        for target, folder in runs.items():
            _copy(folder, stage / target)
        if judge:
            write_verdicts(stage, judge(stage))
        before, after = _listed(into), sums_of(stage)
        write_atomically(stage / SUMS, sums_text(after))
        for name in [name for name, digest in after.items() if before.get(name) == digest]:
            (stage / name).unlink()
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def _link(into: Path, stage: Path) -> None:
    """The accepted files as they are, as links: verdicts are judged from all records."""
    stage.mkdir()
    for name in _listed(into):
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(into / name, stage / name)
        except OSError:  # a file system without links
            shutil.copyfile(into / name, stage / name)


def _listed(into: Path) -> dict[str, str]:
    return read_sums(into) if (into / SUMS).exists() else {}


def _copy(folder: Path, target: Path) -> None:
    if target.exists() and not _differs(folder, target):
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    small = (folder / WEIGHTS).is_file() and (folder / WEIGHTS).stat().st_size <= LARGEST_WEIGHTS
    for name in (RECORD, ARRAYS, *([WEIGHTS] if small else [])):
        shutil.copyfile(folder / name, target / name)


def _finish(into: Path) -> None:
    """Move the files of a final stage into place, and remove those that the new list lacks; can be repeated."""
    ready = into / READY
    if not ready.exists():
        return
    files = sorted((path for path in ready.rglob("*") if path.is_file()), key=lambda path: path == ready / SUMS)
    for path in files:
        target = into / path.relative_to(ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    listed = read_sums(into)
    for name in sums_of(into).keys() - listed.keys():
        (into / name).unlink()
    shutil.rmtree(ready)
