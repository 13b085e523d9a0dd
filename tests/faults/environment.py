"""Faults of the machine around a command: disk, folders, network, clock, memory, streams, variables, two at once."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults import machine
from tests.faults.commands import Ending, start
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
from tests.faults.plans import others, plans, truth_of
from tests.faults.sandbox import Bench, files

WAIT = 200.0  # seconds in which a command may wait for a network that is not there
Made = Callable[[Bench], Any]
RUN, WINDOWS, SWEEP, REPRODUCE, ACCEPT = (
    *(("kill of a run", "pattern_generation"), ("kill of a run", "copy_repeat"), ("kill of a sweep", "study")),
    *(("kill of reproduce", "theory"), ("kill of accept", "accept")),
)


class Trouble(NamedTuple):
    """What is wrong: variables, a hook in the command's process, what is done to the sandbox before and undone after.

    `must` is whether the command has to succeed all the same.
    """

    where: str
    about: str
    command: tuple[str, str]
    env: Mapping[str, str | None] = {}
    hook: Callable[[Path], None] | None = None
    before: Callable[[Bench], None] | None = None
    after: Callable[[Bench], None] | None = None
    must: bool = False


def faults(seed: int) -> Iterator[Fault]:
    """All faults of the environment; they do not depend on the seed."""
    for number, trouble in enumerate(troubles()):
        name = f"environment/{number:03}"
        about = f"{trouble.about} ({' '.join(trouble.command[1:])})"
        yield Fault(name, "environment", trouble.where, about, functools.partial(disturb, trouble))
    for number, (command, count) in enumerate(((RUN, 2), (WINDOWS, 3), (REPRODUCE, 2), (SWEEP, 2), (ACCEPT, 3))):
        for delay in (0.0, 0.3, 0.7):
            name, about = (
                f"environment/at-once/{number}-{delay}",
                f"{count} of {command[0].split()[-1]}, {delay} s between",
            )
            yield Fault(name, "environment", "at once", about, functools.partial(at_once, command, count, delay))


def troubles() -> Iterator[Trouble]:
    """The list; a fault's name is its number, so others are added at the end."""
    yield from _disk()
    yield from _folders()
    yield from _wandb()
    yield from _clock_and_memory()
    yield from _streams_and_variables()


def _disk() -> Iterator[Trouble]:
    for command in (RUN, WINDOWS, ACCEPT, SWEEP):
        for share in (0.1, 0.5, 0.9):
            hook = functools.partial(machine.no_space, share)
            yield Trouble("full disk", f"no space from {share:.0%} of the file operations on", command, hook=hook)
        small = functools.partial(machine.small_files, 8192)
        yield Trouble("full disk", "files of at most 8 KB", command, hook=small)
    for command in (RUN, WINDOWS):
        for share in (0.3, 0.7, 0.95):
            hook = functools.partial(machine.deletes, share)
            yield Trouble("folder deleted", f"its folder is deleted at {share:.0%}", command, hook=hook)


def _folders() -> Iterator[Trouble]:
    closed, opened = machine.mode("results", 0o555), machine.mode("results", 0o755)
    for command in (RUN, SWEEP, REPRODUCE, ACCEPT):
        yield Trouble(
            *("read-only results", "results may not be written", command),
            hook=machine.unprivileged, before=closed, after=opened,
        )  # fmt: skip
        yield Trouble("results is a link", "results is a link to a folder", command, before=machine.linked, must=True)
        yield Trouble("results is a file", "results is a file", command, before=machine.file, after=machine.no_file)
    for about, home in (("no HOME", None), ("HOME is not there", "/no/such/home"), ("HOME is a file", "/etc/hostname")):
        for command in (RUN, ACCEPT):
            yield Trouble("no HOME", about, command, {"HOME": home, "MPLCONFIGDIR": None}, must=True)
    yield Trouble(
        *("no HOME", "HOME may not be written", RUN), hook=machine.unprivileged,
        before=machine.mode("home", 0), after=machine.mode("home", 0o755), must=True,
    )  # fmt: skip


def _wandb() -> Iterator[Trouble]:
    key = {"WANDB_API_KEY": "0123456789" * 4, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_MODE": "online"}
    for command in (RUN, WINDOWS):
        yield Trouble("W&B", "online, and no network", command, key, must=True)
        yield Trouble("W&B", "WANDB_MODE=nonsense", command, {"WANDB_MODE": "nonsense"}, must=True)
    yield Trouble("W&B", "online with a key that is none", RUN, {**key, "WANDB_API_KEY": "x"}, must=True)
    yield Trouble("W&B", "a base URL that is none", RUN, {**key, "WANDB_BASE_URL": "nowhere"}, must=True)
    yield Trouble("W&B", "offline", RUN, {"WANDB_MODE": "offline"}, must=True)
    yield Trouble("W&B", "offline, its folder is a file", RUN, {"WANDB_MODE": "offline", "WANDB_DIR": "/etc/hostname"},
                  must=True)  # fmt: skip
    yield Trouble("W&B", "a broken .netrc", RUN, {"WANDB_MODE": None}, before=machine.netrc, must=True)


def _clock_and_memory() -> Iterator[Trouble]:
    for command in (RUN, SWEEP):
        for years in (-30, 30):
            for share in (0.0, 0.5):
                hook = functools.partial(machine.jump, years, share)
                yield Trouble(
                    "clock", f"the clock jumps by {years} years at {share:.0%}", command, hook=hook, must=True
                )
    for command in (RUN, WINDOWS, ACCEPT):
        for megabytes in (8, 40, 150):
            memory = functools.partial(machine.memory, megabytes)
            yield Trouble("low memory", f"{megabytes} MB left", command, hook=memory)


def _streams_and_variables() -> Iterator[Trouble]:
    for command in (RUN, ACCEPT, SWEEP):
        for streams in ((1,), (2,), (1, 2)):
            hook = functools.partial(machine.closed, streams)
            yield Trouble("closed streams", f"stream {streams} closed", command, hook=hook)
        yield Trouble("closed streams", "standard output is a full device", command, hook=machine.full)
        yield Trouble("closed streams", "nobody reads the output", command, hook=machine.broken)
    for about, env in (
        ("TMPDIR is not there", {"TMPDIR": "/no/such/tmp"}),
        ("LANG=C", {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}),
        ("COLUMNS=20", {"COLUMNS": "20"}),
        ("COLUMNS=nonsense", {"COLUMNS": "nonsense"}),
        ("no PATH", {"PATH": ""}),
        ("a time zone that is none", {"TZ": "Nowhere/None"}),
    ):
        for command in (RUN, SWEEP):
            yield Trouble("variables", about, command, env, must=True)
    yield Trouble("variables", "OMP_NUM_THREADS=nonsense", RUN, {"OMP_NUM_THREADS": "nonsense"})
    yield Trouble(
        *("read-only code", "the code may not be written", RUN), hook=machine.unprivileged,
        before=machine.code_mode(0o555), after=machine.code_mode(0o755), must=True,
    )  # fmt: skip
    yield Trouble(
        *("working folder gone", "the folder it was started in is deleted", RUN),
        hook=machine.no_folder, after=machine.working_folder,
    )  # fmt: skip


def disturb(trouble: Trouble, bench: Bench) -> Outcome:
    """Run the command in trouble, then once more without, and compare with the undisturbed one."""
    truth, plan = truth_of(bench, *trouble.command), _plan(trouble.command)
    if truth is None:
        return Outcome(SKIPPED, detail="it does not run here")
    place = bench.fresh(plan.prepared)
    before = files(place.folder)
    if trouble.before:
        trouble.before(bench)
    share_of = functools.partial(_share, truth.operations)
    hook: Hook | None = functools.partial(share_of, trouble.hook, place.results) if trouble.hook else None
    try:
        ending = start(plan.words(bench), place, hook, trouble.env).wait(idle=WAIT)
    finally:
        if trouble.after:
            trouble.after(bench)
    outcomes = [_ended(trouble, ending, plan.made(bench) == truth.made)]
    again = start(plan.words(bench), place).wait(idle=WAIT)
    outcomes.append(_again(again, plan.made(bench) == truth.made))
    if trouble.about != "results is a link to a folder":
        outcomes.append(others(plan, bench, before))
    return worst(outcomes)


def _plan(command: tuple[str, str]) -> Any:
    return next(plan for plan, _ in plans() if (plan.row, plan.where) == command)


def _ended(trouble: Trouble, ending: Ending, same: bool) -> Outcome:
    if trouble.where == "closed streams" and not ending.hung:
        return Outcome(UNHARMED)  # nothing can be printed: what counts is what the next command finds
    if why := no_sentence(ending):
        return Outcome(TRACEBACK, str(ending), why)
    if ending.status == 0 and not same:
        return Outcome(WRONG, str(ending), "it exits with 0, and what it made differs")
    if ending.status and trouble.must:
        return Outcome(TRACEBACK, str(ending), f"it should have gone on: {last_line(ending.err or ending.out)}")
    return Outcome(UNHARMED)


def _again(ending: Ending, same: bool) -> Outcome:
    if why := no_sentence(ending):
        return Outcome(TRACEBACK, str(ending), f"run again: {why}")
    if ending.status:
        return Outcome(LOST, str(ending), f"run again: {last_line(ending.err or ending.out)}")
    return Outcome(UNHARMED) if same else Outcome(WRONG, str(ending), "run again, it made something else")


def at_once(command: tuple[str, str], count: int, delay: float, bench: Bench) -> Outcome:
    """Several of one command at a time: one does it, the others do too or say that it is being done."""
    truth, plan = truth_of(bench, *command), _plan(command)
    if truth is None:
        return Outcome(SKIPPED, detail="it does not run here")
    place = bench.fresh(plan.prepared)
    before, running = files(place.folder), []
    for _ in range(count):
        running.append(start(plan.words(bench), place))
        time.sleep(delay)
    endings = [one.wait(idle=WAIT) for one in running]
    outcomes = [Outcome(TRACEBACK, str(ending), why) for ending in endings if (why := no_sentence(ending))]
    if all(ending.status for ending in endings):
        outcomes.append(Outcome(TRACEBACK, str(endings[0]), f"none succeeded: {last_line(endings[0].err)}"))
    again = start(plan.words(bench), place).wait(idle=WAIT)
    outcomes += [_again(again, plan.made(bench) == truth.made), others(plan, bench, before)]
    return worst(outcomes)


def _share(operations: int, hook: Callable[..., None], results: Path) -> None:
    """Run a hook; one that acts at a share of the file operations is given their number."""
    if getattr(hook, "func", None) in (machine.no_space, machine.deletes, machine.jump):
        hook(results, operations)
    else:
        hook(results)
