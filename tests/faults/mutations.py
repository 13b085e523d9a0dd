"""Mutations: a file in the sandbox is damaged, then every command that reads it is run."""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.faults.commands import Ending, call, start
from tests.faults.damage import Damage
from tests.faults.forked import without_privileges
from tests.faults.outcome import BAD, LOST, SKIPPED, UNHARMED, WRONG, Fault, Outcome, judge, worst
from tests.faults.readers import Reader
from tests.faults.sandbox import Bench, Files, added, changed, files, matches
from tests.faults.targets import Denied, Target, claims_file, targets

LIMIT = 20.0  # seconds of computing for a command that reads a damaged file
ANYWHERE = (r"^(home|tmp)/", r"\.part$", r"(^|/)(lock|SHA256SUMS)$")  # what commands may write at any time


def faults(seed: int) -> Iterator[Fault]:
    """All mutations, always the same for a seed."""
    for target in targets(seed):
        for number, what in enumerate(target.damages):
            name = f"mutations/{target.name}/{number:03}"
            about = f"{target.where}: {what.about}"
            yield Fault(name, "mutation", target.where, about, functools.partial(mutate, target, what))


def mutate(target: Target, what: Damage, bench: Bench) -> Outcome:
    """Damage the file and run its readers, each in a sandbox of its own; what came of it."""
    bench.fresh(target.prepared)
    path = target.path(bench)
    if not path.exists() and not target.name.startswith(("lock", "progress", "log", "folder")):
        return Outcome(SKIPPED, detail=f"there is no {path.name} in this version")
    expected, outcomes = truths(bench, target.prepared, target.readers), []
    for reader, truth in zip(target.readers, expected, strict=True):
        outcomes.append(_read(bench, target, what, reader, truth))
        if outcomes[-1].word in BAD:
            break  # one command that comes out badly is enough
    if target.sealed and worst(outcomes).word == UNHARMED and not what.about.startswith("other spaces"):
        return Outcome(WRONG, " ; ".join(str(truth[0]) for truth in expected), "nothing was noticed")
    return worst(outcomes)


def _read(bench: Bench, target: Target, what: Damage, reader: Reader, truth: tuple[Ending, Any]) -> Outcome:
    place = bench.fresh(target.prepared)
    path, claims, denied = target.path(bench), claims_file(bench), isinstance(what.do, Denied)
    kept = claims.read_bytes()
    try:
        what.do(path)
        before = files(place.folder, ANYWHERE)
        ending = start(reader.words(bench), place, without_privileges if denied else None).wait(LIMIT)
    finally:
        if denied:
            (path / what.do.name).chmod(0o755)
        if path == claims:
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            path.write_bytes(kept)
    same = None if reader.made is None else reader.made(bench) == truth[1]
    mine = () if path == claims else (f"^{re.escape(str(path.relative_to(place.folder)))}(/|$)",)
    return worst([judge(ending, truth[0], path, same), untouched(bench, before, [reader], mine)])


@functools.cache
def _truth(bench: Bench, prepared: str, readers: tuple[Reader, ...]) -> list[tuple[Ending, Any]]:
    truth = []
    for reader in readers:
        bench.fresh(prepared)
        ending = call(reader.words(bench), bench.place)
        truth.append((ending, reader.made(bench) if reader.made else None))
    return truth


def truths(bench: Bench, prepared: str, readers: tuple[Reader, ...]) -> list[tuple[Ending, Any]]:
    """What the readers print and make when nothing is damaged."""
    return _truth(bench, prepared, readers)


def untouched(bench: Bench, before: Files, readers: Iterable[Reader], mine: tuple[str, ...] = ()) -> Outcome:
    """Whether every other file is as it was, and none has appeared where none belongs."""
    may = [*mine, *(pattern for reader in readers for pattern in reader.may)]
    adds = [pattern for reader in readers for pattern in reader.adds]
    after = files(bench.place.folder, ANYWHERE)
    if gone := [path for path in changed(before, after) if not matches(path, may)]:
        return Outcome(LOST, detail=f"gone or changed: {', '.join(gone[:3])}")
    if more := [path for path in added(before, after) if not matches(path, may + adds)]:
        return Outcome(WRONG, detail=f"written: {', '.join(more[:3])}")
    return Outcome(UNHARMED)
