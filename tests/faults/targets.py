"""The files that are damaged, how, and the commands that read each of them."""

import functools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults import damage, run_files
from tests.faults.damage import Damage
from tests.faults.readers import ALL_ACCEPTED, ALL_RUNS, SWEEP, Reader, accepting, drawing, plain, training
from tests.faults.sandbox import TINY, Bench
from tests.faults.user_files import claim_edits, study_edits


class Target(NamedTuple):
    """A file to damage: its row in the table, the prepared sandbox, its path, its readers, and the damage."""

    name: str
    where: str
    prepared: str
    path: Callable[[Bench], Path]
    readers: tuple[Reader, ...]
    damages: Iterable[Damage]
    sealed: bool = False  # any other content has to be noticed


def targets(seed: int) -> Iterator[Target]:
    """What is damaged, file by file."""
    yield from _records(seed)
    yield from _checkpoints(seed)
    yield from _lists(seed, accepting(lambda bench: bench.paper_folder("no_recurrence", 3)))
    yield from _moved()


def _records(seed: int) -> Iterator[Target]:
    new, old, mine = _paper(3), _paper(1, "accepted"), accepting(mine_folder)
    records: dict[str, tuple[str, Callable[[Bench], Path], tuple[Reader, ...]]] = {
        "record": ("record of a run", new, (accepting(new), *ALL_RUNS)),
        "small-record": ("record of a run", mine_folder, (mine, ALL_RUNS[0], training("pattern_generation"))),
        "accepted-record": ("accepted record", old, ALL_ACCEPTED),
    }
    for name, (where, folder, readers) in records.items():
        damages = [*run_files.record_edits(few=name != "record"), *damage.whole_file(f"{seed} {name}")]
        path, sealed = _file(folder, "record.json"), name == "accepted-record"
        yield Target(name, where, "records", path, readers, damages, sealed)
    arrays: dict[str, tuple[Callable[[Bench], Path], tuple[Reader, ...]]] = {
        "arrays": (new, (accepting(new), drawing("runs"))),
        "accepted-arrays": (old, (drawing("accepted"), plain("check"))),
    }
    for name, (folder, readers) in arrays.items():
        damages = [*run_files.array_edits(), *damage.whole_file(f"{seed} {name}", flips=5)]
        where = f"arrays.npz, {'accepted' if folder is old else 'of a run'}"
        path = _file(folder, "arrays.npz")
        yield Target(name, where, "records", path, readers, damages, sealed=folder is old)
    weights = damage.whole_file(f"{seed} weights", flips=5)
    yield Target("weights", "weights.npz", "records", _file(mine_folder, "weights.npz"), (mine, ALL_RUNS[0]), weights)


def mine_folder(bench: Bench) -> Path:
    """The folder of the small run."""
    return bench.run_folder("pattern_generation")


def _file(folder: Callable[[Bench], Path], name: str) -> Callable[[Bench], Path]:
    return lambda bench: folder(bench) / name


def _checkpoints(seed: int) -> Iterator[Target]:
    for task in (task for task in TINY if task != "theory"):  # a measurement has no checkpoint
        damages = [
            *damage.whole_file(f"{seed} checkpoint {task}"),
            Damage("that of another seed", lambda path: _copy(path.parents[1] / "seed-1" / path.name, path)),
            Damage("a torn .part beside it", _part),
            Damage("only a .part", lambda path: _rename(path, path.with_name(path.name + ".part"))),
        ]
        path = _file(functools.partial(Bench.run_folder, task=task), "last.ckpt")
        yield Target(
            f"checkpoint-{task}", f"checkpoint, {task}", f"interrupted {task}", path, (training(task),), damages
        )


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _part(path: Path) -> None:
    path.with_name(path.name + ".part").write_bytes(path.read_bytes()[:999])


def _lists(seed: int, accept: Reader) -> Iterator[Target]:
    yield from _run_folder(seed)
    accepted = ("records", _accepted("verdicts.json"), (plain("check"), accept))
    yield Target(
        "verdicts", "verdicts.json", *accepted, [*damage.whole_file(f"{seed} verdicts", flips=4), *_verdicts()]
    )
    accepted = ("records", _accepted("SHA256SUMS"), (plain("check"), accept))
    yield Target("sums", "SHA256SUMS", *accepted, damage.line_edits(f"{seed} sums"))
    queue = damage.line_edits(f"{seed} queue")
    yield Target("queue", "queue of a study", "half a study", _queue, SWEEP, queue)
    yield Target("study-file", "study file", "half a study", _study_file, SWEEP, study_edits(seed), sealed=True)
    readers = (plain("check"), plain("list", "claims"), plain("reproduce", "fig1", "--dry-run"))
    yield Target("claims", "claims.toml", "records", claims_file, readers, claim_edits(seed), sealed=True)


def _run_folder(seed: int) -> Iterator[Target]:
    """Files of an interrupted run beside its checkpoint."""
    texts = ("", "{", "[1]", '{"iteration": NaN}', '{"iteration": "x"}', '{"iteration": -1}', damage.DEEP)
    damages: dict[str, Iterable[Damage]] = {
        "journal.jsonl": damage.line_edits(f"{seed} journal"),
        "log.txt": [
            Damage("random bytes", _writing(bytes(range(256)) * 40)),
            Damage("a line of 5 MB", _writing(b"x" * 5_000_000)),
            *damage.other_things(),
        ],
        "progress.json": [
            *(Damage(f"contains {damage.shown(text)}", _writing(text.encode())) for text in texts),
            *damage.other_things(),
        ],
        "lock": [
            *damage.other_things(),
            Damage("a link to another run's checkpoint", lambda path: _link(path, "../seed-1/last.ckpt")),
            Damage("a link to a file outside", lambda path: _link(path, _outside(path))),
        ],
    }
    folder = functools.partial(Bench.run_folder, task="pattern_generation")
    listing = Reader(lambda bench: ("runs",), lambda bench: None)  # nothing relies on these texts
    readers = (listing, training("pattern_generation"))
    for name, ways in damages.items():
        short = name.partition(".")[0]
        yield Target(short, name, "interrupted pattern_generation", _file(folder, name), readers, ways)


def _verdicts() -> Iterator[Damage]:
    for about, value in (
        ("a better verdict", "reproduced"),
        ("a worse verdict", "not reproduced"),
        ("an unknown verdict", "perfect"),
        ("a number as verdict", 3),
        ("no verdict", None),
        ("a list as verdict", ["reproduced"]),
    ):
        yield Damage(about, functools.partial(_verdict, value=value))


def _accepted(name: str) -> Callable[[Bench], Path]:
    return lambda bench: bench.place.results / "accepted" / name


def _queue(bench: Bench) -> Path:
    return bench.place.results / "studies" / "a_try" / "journal.log"


def _study_file(bench: Bench) -> Path:
    return bench.place.folder / "work" / "a_try.toml"


def claims_file(bench: Bench) -> Path:
    """The claims are a part of the code, so this is the only file of the code that is damaged."""
    return bench.code / "paper_figures" / "claims.toml"


def _writing(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


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
    copies = [Damage(f"that of seed {seed}", _of_seed(seed)) for seed in (0, 1, 2)]
    other = Damage("that of another variant", _of_variant)
    for root, readers in (("runs", (accepting(_paper(7)), *ALL_RUNS)), ("accepted", ALL_ACCEPTED)):
        where = f"folder of a run ({root})"
        yield Target(f"folder-{root}", where, "records", _paper(7, root), readers, [*copies, other])
        yield Target(f"folder-over-{root}", where, "records", _paper(2, root), readers, [*copies[:2], other])
    again = (training("pattern_generation", 7),)
    yield Target("folder-small", "folder of a run (runs)", "records", _beside(7), again, copies[:2])
    unreadable = [Damage("may not be read", Denied(name)) for name in ("record.json", "arrays.npz", ".")]
    yield Target("denied", "permission", "records", _paper(3), (accepting(_paper(3)), *ALL_RUNS), unreadable)


def _paper(seed: int, root: str = "runs") -> Callable[[Bench], Path]:
    return lambda bench: bench.paper_folder("e_prop_1", seed, root)


def _beside(seed: int) -> Callable[[Bench], Path]:
    return lambda bench: bench.run_folder("pattern_generation").with_name(f"seed-{seed}")


def _of_seed(seed: int) -> Callable[[Path], None]:
    return lambda path: damage.copy_over(path.with_name(f"seed-{seed}"), path)


def _of_variant(path: Path) -> None:
    damage.copy_over(next(path.parents[1].glob("no_recurrence-*/seed-0")), path)


class Denied:
    """Takes all permissions away; a command that runs as root is run without root's right to read any file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, path: Path) -> None:
        (path / self.name).chmod(0)
