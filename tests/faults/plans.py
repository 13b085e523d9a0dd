"""Commands that are killed or run in trouble: where each starts, and what it makes undisturbed."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.faults import forked
from tests.faults.commands import call
from tests.faults.forked import Hook
from tests.faults.outcome import LOST, UNHARMED, WRONG, Outcome
from tests.faults.readers import accepting, facts
from tests.faults.sandbox import TASKS, Bench, Files, added, changed, files, matches, run_words
from tests.faults.tripwire import count_operations

RUNS, DATA_RUNS, SWEEPS, REPRODUCTIONS, ACCEPTS = 22, 6, 20, 10, 24  # how often each is killed


@dataclasses.dataclass(frozen=True)
class Plan:
    """A command to kill: its row, the prepared sandbox, and what it must have made in the end.

    `made` returns that; a path that it may write matches one of `may`.
    """

    row: str
    where: str
    prepared: str
    words: Callable[[Bench], tuple[str, ...]]
    made: Callable[[Bench], Any]
    may: tuple[str, ...]
    victims: tuple[str, ...] = ("the command",)


@dataclasses.dataclass(frozen=True)
class Truth:
    """The undisturbed command: what it made, its seconds, its file operations, and all files then."""

    made: Any
    seconds: float
    operations: int


def plans() -> Iterator[tuple[Plan, int]]:
    """What is killed, and how often."""
    for task in TASKS:
        where = rf"^results/runs/{task}/.*seed-0/"
        made = functools.partial(_made_run, task)
        words = functools.partial(lambda bench, task: run_words(task), task=task)
        yield Plan("kill of a run", task, "other runs", words, made, (where,)), RUNS
        if task == "speech":
            plan = Plan("kill of a run", "speech, data being made", "empty", words, made, (where, "^results/data/"))
            yield plan, DATA_RUNS
    workers = ("the command", "all", "process 0", "process 1")
    yield Plan("kill of a sweep", "study", "study file", lambda bench: ("sweep", "a_try.toml", "--workers", "2"),
               _made_study, ("^results/studies/",), workers), SWEEPS  # fmt: skip
    yield Plan("kill of reproduce", "theory", "empty", lambda bench: (
        *("reproduce", "theory", "--profile", "smoke", "--seeds", "2", "--jobs", "2"),),
        _made_all, ("^results/(runs|figures)/",), workers), REPRODUCTIONS  # fmt: skip
    yield Plan("kill of reproduce", "fig1", "data", lambda bench: (
        *("reproduce", "fig1", "--profile", "smoke", "--panels", "1c", "--jobs", "2"),),
        _made_all, ("^results/(runs|figures)/",), workers), REPRODUCTIONS // 2  # fmt: skip
    accept = accepting(lambda bench: bench.place.results / "runs" / "pattern_generation", "--replace")
    assert accept.made
    yield Plan("kill of accept", "accept", "to accept", accept.words, accept.made, ("^results/accepted/",)), ACCEPTS


def _made_run(task: str, bench: Bench) -> Any:
    return _steady([facts(bench.run_folder(task))])


def _made_study(bench: Bench) -> Any:
    folder = bench.place.results / "studies" / "a_try"
    table = (folder / "table.md").read_text() if (folder / "table.md").exists() else ""
    numbers = [line for line in table.splitlines() if line.startswith("| 0.00")]
    return _steady([facts(path.parent) for path in sorted(folder.glob("runs/*/*/*/record.json"))]), numbers


def _made_all(bench: Bench) -> Any:
    runs = [facts(path.parent) for path in sorted(bench.place.results.glob("runs/*/*/*/record.json"))]
    return _steady(runs), sorted(path.name for path in bench.place.results.glob("figures/*"))


def _steady(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without metrics that measure the machine: bytes of memory."""
    for record in records:
        record["metrics"] = {k: v for k, v in (record.get("metrics") or {}).items() if "growth" not in k}
    return list(records)


@functools.cache
def truth_of(bench: Bench, row: str, where: str) -> Truth | None:
    """Run the command undisturbed, twice: once to count its file operations."""
    plan = next(plan for plan, _ in plans() if (plan.row, plan.where) == (row, where))
    place = bench.fresh(plan.prepared)
    out = place.folder / "tmp" / "operations"
    counting = functools.partial(count_operations, place.results, out)
    if plan.where != "accept":
        hook: Hook = lambda: forked.child_hooks.append(lambda number, words: number or counting())  # noqa: E731
    else:
        hook = counting
    ending = call(plan.words(bench), place, counting if len(plan.victims) == 1 else hook)
    if ending.status:
        return None
    operations = int(out.read_text())
    bench.fresh(plan.prepared)
    begin = time.monotonic()
    call(plan.words(bench), place)
    return Truth(plan.made(bench), time.monotonic() - begin, operations)


def others(plan: Plan, bench: Bench, before: Files) -> Outcome:
    """Whether all that is not the command's is as it was."""
    after = files(bench.place.folder)
    may = (*plan.may, r"^(home|tmp)/")
    if gone := [path for path in changed(before, after) if not matches(path, plan.may) or _accepted(plan, path, after)]:
        return Outcome(LOST, detail=f"gone or changed: {', '.join(gone[:3])}")
    if more := [path for path in added(before, after) if not matches(path, may)]:
        return Outcome(WRONG, detail=f"written: {', '.join(more[:3])}")
    return Outcome(UNHARMED)


def _accepted(plan: Plan, path: str, after: Files) -> bool:
    """Whether an accepted record is gone; a record may be replaced, but not be missing."""
    return plan.where == "accept" and path not in after and not path.endswith("SHA256SUMS")
