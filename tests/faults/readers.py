"""Commands that read files of runs, what each of them makes, and which files it may change or add."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.sandbox import Bench, files, run_words

FACTS = ("task", "variant", "config_hash", "seed", "status", "metrics", "weights_sha256")
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
    path = folder / "record.json"
    try:
        record = json.loads(path.read_bytes()) if path.is_file() else {}  # a pipe would be waited for
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


QUEUE = (r"^results/studies/a_try/",)
SWEEP = (
    Reader(lambda bench: ("sweep", "status", "a_try.toml"), lambda bench: None, QUEUE),  # may be behind
    Reader(lambda bench: ("sweep", "a_try.toml"), sweeping, QUEUE),
)
ALL_RUNS = (plain("runs"), plain("check", "--records", "runs"), plain("regress"))
ALL_ACCEPTED = (plain("runs", "--records", "accepted"), plain("check"), plain("regress"))
