"""Mutations: a file in the sandbox is damaged, then every command that reads it is run."""

import functools
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults import damage
from tests.faults.commands import Ending, call, start, without_privileges
from tests.faults.damage import Damage
from tests.faults.outcome import BAD, LOST, SKIPPED, UNHARMED, WRONG, Fault, Outcome, judge, worst
from tests.faults.sandbox import PATIENCE, PREPARED, TINY, Bench, Files, added, changed, files, run_words
from tests.faults.user_files import claim_edits, study_edits

LIMIT = 20.0  # seconds of computing for a command that reads a damaged file
FACTS = ("task", "variant", "config_hash", "seed", "status", "metrics", "weights_sha256")
ANYWHERE = (r"^(home|tmp)/", r"\.part$", r"(^|/)(lock|SHA256SUMS)$")  # what commands may write at any time
Words = Callable[[Bench], tuple[str, ...]]


class Reader(NamedTuple):
    """A command; what it made (None: what it prints is what counts); patterns of the files that it may change and of
    those that it may add."""

    words: Words
    made: Callable[[Bench], Any] | None = None
    may: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()


def plain(*words: str) -> Reader:
    """A command that only prints."""
    return Reader(lambda bench: words)


def facts(folder: Path) -> dict[str, Any]:
    """What must be equal in two records of one run; empty where there is none that can be read."""
    try:
        record = json.loads((folder / "record.json").read_bytes())
        return {key: record.get(key) for key in FACTS}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def training(task: str, seed: int = 0) -> Reader:
    """The command of a small run; it may write in that run's folder."""
    return Reader(
        lambda bench: run_words(task, seed),
        lambda bench: facts(bench.run_folder(task, seed)),
        (rf"^results/runs/{task}/.*/seed-{seed}/",),
    )


def accepting(folder: Callable[[Bench], Path], *more: str) -> Reader:
    """`repro accept` of a run; it adds to the accepted records and writes verdicts."""
    return Reader(
        lambda bench: ("accept", str(folder(bench)), *more),
        lambda bench: files(bench.place.results / "accepted", (r"SHA256SUMS",)),
        (r"^results/accepted/verdicts.json$",),
        (r"^results/accepted/pattern_generation/[^/]+/seed-\d+/[^/]+$",),
    )


def drawing(where: str) -> Reader:
    """`repro figures` of the panel with learning curves."""
    return Reader(
        lambda bench: ("figures", "fig1", "--panels", "1c", "--records", where),
        lambda bench: files(bench.place.results / "figures"),
        (r"^results/figures/",),
    )


def sweeping(bench: Bench) -> object:
    """The table of a study without its times, and its records."""
    folder = bench.place.results / "studies" / "a_try"
    records = sorted(folder.glob("runs/*/*/seed-*"))
    return [facts(record) for record in records]


SWEEP = (
    Reader(lambda bench: ("sweep", "status", "a_try.toml"), lambda bench: None),  # a queue that is behind is no lie
    Reader(lambda bench: ("sweep", "a_try.toml"), sweeping, (r"^results/studies/a_try/",)),
)
ALL_RUNS = (plain("runs"), plain("check", "--records", "runs"), plain("regress"))
ALL_ACCEPTED = (plain("runs", "--records", "accepted"), plain("check"), plain("regress"))


class Target(NamedTuple):
    """A file to damage: its row in the table, the prepared sandbox, its path, its readers, and the damage."""

    name: str
    where: str
    prepared: str
    path: Callable[[Bench], Path]
    readers: tuple[Reader, ...]
    damages: Iterable[Damage]
    sealed: bool = False  # any other content has to be noticed


def faults(seed: int) -> Iterator[Fault]:
    """All mutations, always the same for a seed."""
    for target in targets(seed):
        for number, what in enumerate(target.damages):
            name = f"mutations/{target.name}/{number:03}"
            about = f"{target.where}: {what.about}"
            yield Fault(name, "mutation", target.where, about, functools.partial(mutate, target, what))


def targets(seed: int) -> Iterator[Target]:
    """What is damaged, file by file."""
    new, old = (lambda bench: bench.paper_folder("e_prop_1", 3)), ("e_prop_1", 1, "accepted")
    small = training("pattern_generation")
    mine = accepting(lambda bench: bench.run_folder("pattern_generation"))
    other = accepting(lambda bench: bench.paper_folder("no_recurrence", 3))
    for name, where, path, readers in (
        ("record", "record of a run", new, (accepting(new), *ALL_RUNS)),
        ("small-record", "record of a run", lambda b: b.run_folder("pattern_generation"), (mine, ALL_RUNS[0], small)),
        ("accepted-record", "accepted record", lambda b: b.paper_folder(*old), ALL_ACCEPTED),
    ):
        damages = [*damage.record_edits(few=name != "record"), *damage.whole_file(f"{seed} {name}")]
        yield Target(name, where, "records", _file(path, "record.json"), readers, damages, name == "accepted-record")
    for name, path, readers in (
        ("arrays", new, (accepting(new), drawing("runs"))),
        ("accepted-arrays", lambda b: b.paper_folder(*old), (drawing("accepted"), *ALL_ACCEPTED[1:2])),
    ):
        damages = [*damage.array_edits(), *damage.whole_file(f"{seed} {name}", flips=5)]
        yield Target(name, f"arrays.npz, {name}", "records", _file(path, "arrays.npz"), readers, damages)
    weights = [*damage.whole_file(f"{seed} weights", flips=5)]
    yield Target("weights", "weights.npz", "records", _file(mine_folder, "weights.npz"), (mine, ALL_RUNS[0]), weights)
    yield from _checkpoints(seed)
    yield from _lists(seed, other)
    yield from _moved()


def mine_folder(bench: Bench) -> Path:
    """The folder of the small run."""
    return bench.run_folder("pattern_generation")


def _file(folder: Callable[[Bench], Path], name: str) -> Callable[[Bench], Path]:
    return lambda bench: folder(bench) / name


def _checkpoints(seed: int) -> Iterator[Target]:
    for task in TINY:
        if task == "theory":
            continue  # a measurement has no checkpoint

        def others(path: Path) -> None:
            shutil.copyfile(path.parents[1] / "seed-1" / path.name, path)

        def part(path: Path) -> None:
            path.with_name(path.name + ".part").write_bytes(path.read_bytes()[:999])

        def only_part(path: Path) -> None:
            path.rename(path.with_name(path.name + ".part"))

        damages = [
            *damage.whole_file(f"{seed} checkpoint {task}"),
            Damage("that of another seed", others),
            Damage("a torn .part beside it", part),
            Damage("only a .part", only_part),
        ]
        folder = functools.partial(Bench.run_folder, task=task)
        yield Target(
            f"checkpoint-{task}", f"checkpoint, {task}", f"interrupted {task}", _file(folder, "last.ckpt"),
            (training(task),), damages,
        )  # fmt: skip


def _lists(seed: int, accept: Reader) -> Iterator[Target]:
    folder = functools.partial(Bench.run_folder, task="pattern_generation")
    readers = (plain("runs"), training("pattern_generation"))
    running = "interrupted pattern_generation"
    yield Target("journal", "journal.jsonl", running, _file(folder, "journal.jsonl"), readers,
                 damage.line_edits(f"{seed} journal"))  # fmt: skip
    yield Target("log", "log.txt", running, _file(folder, "log.txt"), readers,
                 [Damage("random bytes", lambda path: path.write_bytes(bytes(range(256)) * 40) and None),
                  Damage("a line of 5 MB", lambda path: path.write_text("x" * 5_000_000) and None),
                  *damage.other_things()])  # fmt: skip
    yield Target("progress", "progress.json", running, _file(folder, "progress.json"), readers,
                 [*(Damage(f"contains {damage.shown(text)}", functools.partial(_write, text=text)) for text in
                    ("", "{", "[1]", '{"iteration": NaN}', '{"iteration": "x"}', '{"iteration": -1}', damage.DEEP)),
                  *damage.other_things()])  # fmt: skip
    yield Target("lock", "lock", running, _file(folder, "lock"), readers,
                 [*damage.other_things(),
                  Damage("a link to another run's checkpoint", lambda path: _link(path, "../seed-1/last.ckpt")),
                  Damage("a link to a file outside", lambda path: _link(path, _outside(path)))])  # fmt: skip
    verdicts = [*damage.whole_file(f"{seed} verdicts", flips=4), *(
        Damage(f"{text}", functools.partial(_verdict, value=value)) for text, value in (
            ("a better verdict", "reproduced"), ("a worse verdict", "not reproduced"), ("an unknown verdict", "perfect"),
            ("a number as verdict", 3), ("no verdict", None), ("a list as verdict", ["reproduced"])))]  # fmt: skip
    yield Target("verdicts", "verdicts.json", "records", lambda b: b.place.results / "accepted" / "verdicts.json",
                 (plain("check"), accept), verdicts)  # fmt: skip
    yield Target("sums", "SHA256SUMS", "records", lambda b: b.place.results / "accepted" / "SHA256SUMS",
                 (plain("check"), accept), damage.line_edits(f"{seed} sums"))  # fmt: skip
    yield Target("queue", "queue of a study", "half a study",
                 lambda b: b.place.results / "studies" / "a_try" / "journal.log", SWEEP,
                 damage.line_edits(f"{seed} queue"))  # fmt: skip
    yield Target("study-file", "study file", "half a study", lambda b: b.place.folder / "work" / "a_try.toml", SWEEP,
                 study_edits(seed), sealed=True)  # fmt: skip
    yield Target("claims", "claims.toml", "records", claims_file,
                 (plain("check"), plain("list", "claims"), plain("reproduce", "fig1", "--dry-run")),
                 claim_edits(seed), sealed=True)  # fmt: skip


def claims_file(bench: Bench) -> Path:
    """The claims are a part of the code, so this is the only file of the code that is damaged."""
    return bench.code / "paper_figures" / "claims.toml"


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _outside(path: Path) -> str:
    outside = path.parents[5] / "work" / "outside.txt"
    outside.write_text("a file of the user\n")
    return str(outside)


def _verdict(path: Path, value: object) -> None:
    data = json.loads(path.read_bytes())
    data["1d-eprop1"] = value
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def _moved() -> Iterator[Target]:
    """Whole runs where they do not belong, and files that may not be read."""
    def paper(seed: int, root: str = "runs") -> Callable[[Bench], Path]:
        return lambda bench: bench.paper_folder("e_prop_1", seed, root)

    def of_seed(seed: int) -> Callable[[Path], None]:
        return lambda path: damage.copy_over(path.with_name(f"seed-{seed}"), path)

    def of_variant(path: Path) -> None:
        other = next(p for p in sorted(path.parents[1].glob("no_recurrence-*/seed-0")))
        damage.copy_over(other, path)

    copies = [Damage(f"that of seed {seed}", of_seed(seed)) for seed in (0, 1, 2)] + [
        Damage("that of another variant", of_variant)
    ]
    for root, readers in (("runs", (accepting(paper(7)), *ALL_RUNS)), ("accepted", ALL_ACCEPTED)):
        yield Target(f"folder-{root}", f"folder of a run ({root})", "records", paper(7, root=root), readers, copies)
        yield Target(f"folder-over-{root}", f"folder of a run ({root})", "records", paper(2, root=root), readers,
                     copies[:2] + copies[3:])  # fmt: skip
    yield Target("folder-small", "folder of a run (runs)", "records",
                 lambda b: b.run_folder("pattern_generation").with_name("seed-7"),
                 (training("pattern_generation", 7),), copies[:2])  # fmt: skip
    unreadable = [Damage("may not be read", _Denied(path)) for path in ("record.json", "arrays.npz", ".")]
    yield Target("denied", "permission", "records", paper(3), (accepting(paper(3)), *ALL_RUNS), unreadable)


class _Denied:
    """Takes all permissions away; a command that runs as root is run as nobody."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, path: Path) -> None:
        (path / self.name).chmod(0)


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
    path, claims, denied = target.path(bench), claims_file(bench), isinstance(what.do, _Denied)
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


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path contains one of some patterns."""
    return any(re.search(pattern, path) for pattern in patterns)


def _interrupted(task: str, bench: Bench) -> None:
    """Seed 0 of a small run, killed when its third checkpoint was in place; seed 1 too; in other folders none."""
    for seed in (0, 1):
        start(run_words(task, seed), bench.place, functools.partial(die_after, 3)).wait(idle=PATIENCE)
        if not (bench.run_folder(task, seed) / "last.ckpt").is_file():
            raise RuntimeError(f"{task} left no checkpoint")


def die_after(number: int) -> None:
    """Kill this process once so many checkpoints have been put in place."""
    count = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "os.rename" and str(args[1]).endswith("last.ckpt"):
            count += 1
        elif count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _half(bench: Bench) -> None:
    """A study of which two runs are done."""
    running = start(("sweep", "a_try.toml"), bench.place)
    done = bench.place.results / "studies" / "a_try" / "runs"
    while len(list(done.glob("*/*/*/record.json"))) < 2:
        time.sleep(0.02)
    running.send(signal.SIGINT)
    running.wait()


PREPARED.update({f"interrupted {task}": ("data", functools.partial(_interrupted, task)) for task in TINY if task != "theory"})
PREPARED["half a study"] = ("study file", _half)
