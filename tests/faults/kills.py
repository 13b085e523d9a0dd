"""Kills: a command is killed at a random moment, once or twice; the same command must then do the rest."""

import dataclasses
import functools
import random
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults import forked
from tests.faults.commands import Ending, call, start
from tests.faults.forked import Hook
from tests.faults.outcome import (
    LOST,
    SKIPPED,
    TRACEBACK,
    UNHARMED,
    WRONG,
    Fault,
    Outcome,
    last_line,
    no_sentence,
    worst,
)
from tests.faults.plans import Plan, Truth, others, plans, truth_of
from tests.faults.sandbox import PATIENCE, Bench, files
from tests.faults.tripwire import hurry, tripwire

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LEASE = 40.0  # how many times faster the clock runs for whoever waits until the lease of a dead worker is over


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


def faults(seed: int) -> Iterator[Fault]:
    """All kills, always the same for a seed."""
    for plan, number in plans():
        chance = random.Random(f"{seed} {plan.row} {plan.where}")
        for index in range(number):
            moments = tuple(_moment(chance, plan, index) for _ in range(chance.choice((1, 1, 1, 1, 2))))
            name = (
                f"kills/{plan.row.removeprefix('kill of ').replace(' ', '-')}/{plan.where.replace(' ', '-')}/{index:02}"
            )
            yield Fault(
                name, plan.row, plan.where, ", then ".join(map(str, moments)), functools.partial(kill, plan, moments)
            )


def _moment(chance: random.Random, plan: Plan, index: int) -> Moment:
    victim = chance.choice(plan.victims)
    by_time = victim == "all" or (index % 5 < 2 and victim == "the command")
    return Moment(chance.choice(SIGNALS), chance.random(), by_time, victim, chance.random())


def kill(plan: Plan, moments: Sequence[Moment], bench: Bench) -> Outcome:
    """Kill the command at these moments, then run it again, and compare with the undisturbed one."""
    truth = truth_of(bench, plan.row, plan.where)
    if truth is None:
        return Outcome(SKIPPED, detail="it does not run here: its data are missing")
    place = bench.fresh(plan.prepared)
    before = files(place.folder)
    outcomes = []
    for moment in moments:
        outcomes.append(_stopped(_killed(plan, moment, truth, bench), moment))
        outcomes.append(others(plan, bench, before))
    gone = any(moment.signal == signal.SIGKILL and moment.victim in ("all", "the command") for moment in moments)
    words = tuple("1" if gone and word == "2" and plan.row == "kill of a sweep" else word for word in plan.words(bench))
    hook: Hook | None = functools.partial(hurry, LEASE) if gone and plan.row == "kill of a sweep" else None
    again = call(words, place, hook)
    outcomes += [_again(plan, again, truth, bench), others(plan, bench, before)]
    return worst(outcomes)


def _killed(plan: Plan, moment: Moment, truth: Truth, bench: Bench) -> Ending:
    """Run the command until the moment has come."""
    at = 1 + int(moment.share * truth.operations)
    wire = functools.partial(tripwire, bench.place.results, at, moment.signal, moment.tear)
    if moment.victim.startswith("process"):
        which = int(moment.victim.split()[1])

        def hook() -> None:
            forked.child_hooks.append(lambda number, words: wire() if number == which else None)

        return start(plan.words(bench), bench.place, hook).wait(idle=PATIENCE)
    running = start(plan.words(bench), bench.place, None if moment.by_time else wire)
    if moment.by_time:
        time.sleep(moment.share * truth.seconds)
        (running.send_all if moment.victim == "all" else running.send)(moment.signal)
    return running.wait(idle=PATIENCE)


def _stopped(ending: Ending, moment: Moment) -> Outcome:
    """How the killed command itself ended."""
    if ending.hung:
        return Outcome(TRACEBACK, str(ending), f"{moment}: it hung")
    if "Traceback (most recent call last)" in ending.err:
        return Outcome(TRACEBACK, str(ending), f"{moment}: a traceback: {last_line(ending.err)}")
    return Outcome(UNHARMED)


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
