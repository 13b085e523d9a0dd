"""Kills: a command is killed at a random moment, once or several times; the same command must then do the rest."""

import dataclasses
import functools
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults import commands
from tests.faults.commands import Ending, Hook, call, start
from tests.faults.mutations import accepting, facts, matches
from tests.faults.outcome import LOST, SKIPPED, TRACEBACK, UNHARMED, WRONG, Fault, Outcome, last_line, no_sentence, worst
from tests.faults.sandbox import PREPARED, TASKS, Bench, added, changed, files, run_words
from tests.faults.tripwire import count_operations, hurry, tripwire

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LEASE = 40.0  # how many times faster the clock runs for whoever waits until the lease of a dead worker is over
RUNS, DATA_RUNS, SWEEPS, REPRODUCTIONS, ACCEPTS = 22, 6, 20, 10, 24


@dataclasses.dataclass(frozen=True)
class Moment:
    """When and whom: at a share of the undisturbed command's time or of its file operations.

    `victim` is the command, "all" of its processes, or the number of a process that it starts.
    """

    signal: int
    share: float
    by_time: bool
    victim: str
    tear: float

    def __str__(self) -> str:
        """ "SIGKILL of all at 31 % of the time"."""
        what = "time" if self.by_time else "file operations"
        return f"{signal.Signals(self.signal).name} of {self.victim} at {self.share:.0%} of the {what}"


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


def faults(seed: int) -> Iterator[Fault]:
    """All kills, always the same for a seed."""
    for plan, number in plans():
        chance = random.Random(f"{seed} {plan.row} {plan.where}")
        for index in range(number):
            moments = tuple(_moment(chance, plan, index) for _ in range(chance.choice((1, 1, 1, 1, 2))))
            name = f"kills/{plan.row.removeprefix('kill of ').replace(' ', '-')}/{plan.where.replace(' ', '-')}/{index:02}"
            yield Fault(name, plan.row, plan.where, ", then ".join(map(str, moments)), functools.partial(kill, plan, moments))


def _moment(chance: random.Random, plan: Plan, index: int) -> Moment:
    victim = chance.choice(plan.victims)
    by_time = victim == "all" or (index % 5 < 2 and victim == "the command")
    return Moment(chance.choice(SIGNALS), chance.random(), by_time, victim, chance.random())


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


def kill(plan: Plan, moments: Sequence[Moment], bench: Bench) -> Outcome:
    """Kill the command at these moments, then run it again, and compare with the undisturbed one."""
    truth = _truth(bench, plan.row, plan.where)
    if truth is None:
        return Outcome(SKIPPED, detail="it does not run here: its data are missing")
    place = bench.fresh(plan.prepared)
    before = files(place.folder)
    outcomes = []
    for moment in moments:
        outcomes.append(_stopped(_killed(plan, moment, truth, bench), moment))
        outcomes.append(_others(plan, bench, before))
    gone = any(moment.signal == signal.SIGKILL and moment.victim in ("all", "the command") for moment in moments)
    words = tuple("1" if gone and word == "2" and plan.row == "kill of a sweep" else word for word in plan.words(bench))
    hook: Hook | None = functools.partial(hurry, LEASE) if gone and plan.row == "kill of a sweep" else None
    again = call(words, place, hook)
    outcomes += [_again(plan, again, truth, bench), _others(plan, bench, before)]
    return worst(outcomes)


def _killed(plan: Plan, moment: Moment, truth: Truth, bench: Bench) -> Ending:
    """Run the command until the moment has come."""
    at = 1 + int(moment.share * truth.operations)
    wire = functools.partial(tripwire, bench.place.results, at, moment.signal, moment.tear)
    if moment.victim.startswith("process"):
        which = int(moment.victim.split()[1])

        def hook() -> None:
            commands.child_hooks.append(lambda number, words: wire() if number == which else None)

        return start(plan.words(bench), bench.place, hook).wait()
    running = start(plan.words(bench), bench.place, None if moment.by_time else wire)
    if moment.by_time:
        time.sleep(moment.share * truth.seconds)
        (running.send_all if moment.victim == "all" else running.send)(moment.signal)
    ending = running.wait()
    return ending


def _stopped(ending: Ending, moment: Moment) -> Outcome:
    """How the killed command itself ended."""
    if ending.hung:
        return Outcome(TRACEBACK, str(ending), f"{moment}: it hung")
    if "Traceback (most recent call last)" in ending.err:
        return Outcome(TRACEBACK, str(ending), f"{moment}: a traceback: {last_line(ending.err)}")
    return Outcome(UNHARMED)


def _others(plan: Plan, bench: Bench, before: dict[str, str]) -> Outcome:
    """Whether all that is not the command's is as it was."""
    after = files(bench.place.folder)
    may = (*plan.may, r"^(home|tmp)/")
    if gone := [path for path in changed(before, after) if not matches(path, plan.may) or _accepted(plan, path, after)]:
        return Outcome(LOST, detail=f"gone or changed: {', '.join(gone[:3])}")
    if more := [path for path in added(before, after) if not matches(path, may)]:
        return Outcome(WRONG, detail=f"written: {', '.join(more[:3])}")
    return Outcome(UNHARMED)


def _accepted(plan: Plan, path: str, after: dict[str, str]) -> bool:
    """Whether an accepted record is gone; a record may be replaced, but not be missing."""
    return plan.where == "accept" and path not in after and not path.endswith("SHA256SUMS")


def _again(plan: Plan, ending: Ending, truth: Truth, bench: Bench) -> Outcome:
    """The same command, run again: it must have made what the undisturbed one makes."""
    if why := no_sentence(ending):
        return Outcome(TRACEBACK, str(ending), f"run again: {why}")
    if ending.status:
        return Outcome(LOST, str(ending), f"run again: {last_line(ending.err or ending.out)}")
    made = plan.made(bench)
    if made != truth.made:
        return Outcome(WRONG, str(ending), f"run again, it made something else: {_first(made, truth.made)}")
    return Outcome(UNHARMED)


def _first(made: Any, truth: Any) -> str:
    if isinstance(made, dict) and isinstance(truth, dict):
        keys = [key for key in {**made, **truth} if made.get(key) != truth.get(key)]
        return f"{keys[0]}: {made.get(keys[0])!r} in place of {truth.get(keys[0])!r}"[:300]
    if isinstance(made, list | tuple) and isinstance(truth, list | tuple) and len(made) == len(truth):
        return next(_first(one, other) for one, other in zip(made, truth, strict=True) if one != other)
    return f"{made!r} in place of {truth!r}"[:300]


@functools.cache
def _truth(bench: Bench, row: str, where: str) -> Truth | None:
    """Run the command undisturbed, twice: once to count its file operations."""
    plan = next(plan for plan, _ in plans() if (plan.row, plan.where) == (row, where))
    place = bench.fresh(plan.prepared)
    out = place.folder / "tmp" / "operations"
    counting = functools.partial(count_operations, place.results, out)
    if plan.where != "accept":
        hook: Hook = lambda: commands.child_hooks.append(lambda number, words: number or counting())  # noqa: E731
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


def _other_runs(bench: Bench) -> None:
    """A finished run and an interrupted one that are nobody's business."""
    bench.must(*run_words("pattern_generation", 5))
    bench.must(*run_words("copy_repeat", 5))


def _to_accept(bench: Bench) -> None:
    """Runs to accept: two new ones, and one whose accepted record is of an earlier training."""
    folder = bench.run_folder("pattern_generation")
    bench.must("accept", str(folder))
    accepted: Path = bench.place.results / "accepted" / folder.relative_to(bench.place.results / "runs") / "record.json"
    while (folder / "record.json").read_bytes() == accepted.read_bytes():
        for path in folder.iterdir():
            path.unlink()
        bench.must(*run_words("pattern_generation"))


PREPARED["other runs"] = ("data", _other_runs)
PREPARED["to accept"] = ("records", _to_accept)
