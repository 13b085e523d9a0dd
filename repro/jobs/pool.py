"""Trains planned runs in worker processes, a few at a time; a run that fails does not stop the rest."""

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from repro.errors import UserError
from repro.jobs.plan import PlannedRun, makespan
from repro.jobs.processes import as_one_interrupt, stopping, why_it_ended
from repro.jobs.run_process import FAILED, GOES_ON, Order, RunProcess
from repro.records.record import LOG, RunRecord, has_record, read_record
from repro.text import LiveLine, duration, shown

POLL_SECONDS = 0.1

NOT_BEGUN = "not begun"

Words = Callable[[PlannedRun], list[str]]  # the command line that trains a run, without the program's name


class RunEnd(NamedTuple):
    """How a run of the plan ended: "finished", "unfinished", "failed" or NOT_BEGUN; its headline metric, how far it is,
    or why it failed."""

    job: PlannedRun
    state: str
    detail: str = ""


@dataclasses.dataclass
class Child:
    """A job, its worker, and its exit status once it has ended; `elapsed` is in seconds, and is fixed then."""

    job: PlannedRun
    worker: RunProcess
    started: float
    elapsed: float = 0.0
    status: int | None = None

    def has_ended(self) -> bool:
        """Poll the worker and update `elapsed`."""
        self.elapsed = time.monotonic() - self.started
        self.status = self.worker.status()
        return self.status is not None

    def end(self) -> RunEnd:
        """How it ended, by its exit status and its record."""
        record = _record(self.job)
        if self.status == 0 and record and record.status == "finished":
            value = record.metrics.get(self.job.headline)
            return RunEnd(self.job, "finished", "" if value is None else f"{self.job.headline} {value:.3g}")
        if self.status == 0 and record and record.status == "unfinished":
            return RunEnd(self.job, "unfinished", record.reason)
        if self.status == FAILED and record and record.status == "failed":
            return RunEnd(self.job, "failed", record.reason)
        return RunEnd(self.job, "failed", why_it_ended(self.status or 0, self.job.folder))

    def line(self) -> str:
        """The same in one phrase."""
        _, state, detail = self.end()
        if state == "finished":
            return f"finished in {duration(self.elapsed)}" + (f", {detail}" if detail else "")
        log = f" (log: {shown(self.job.folder / LOG)})" if state == "failed" else ""
        return f"{state} after {duration(self.elapsed)}: {detail}{log}"


def _record(job: PlannedRun) -> RunRecord | None:
    """The record of a job; None where there is none that can be read."""
    with contextlib.suppress(UserError):
        return read_record(job.folder) if has_record(job.folder) else None
    return None


@dataclasses.dataclass
class Pool:
    """Workers that train the runs of a plan, at most `size` at a time.

    `command` starts a worker; no run begins after the time `until` (that of time.time()).
    """

    command: Sequence[str]
    words: Words
    size: int
    until: float = math.inf
    processes: list[RunProcess] = dataclasses.field(default_factory=list)
    idle: list[RunProcess] = dataclasses.field(default_factory=list)

    def run_all(self, jobs: Sequence[PlannedRun], screen: LiveLine) -> list[RunEnd]:
        """Run every job in order, one line as each ends; return how each ended.

        A KeyboardInterrupt (Ctrl-C, or SIGTERM) stops the workers and is raised again.
        """
        waiting = list(jobs)
        running: list[Child] = []
        ended: list[Child] = []
        with as_one_interrupt(signal.SIGTERM), stopping(self.processes):
            while running or (waiting and time.time() < self.until):
                while waiting and len(running) < self.size and time.time() < self.until:
                    running.append(self._begin(waiting.pop(0)))
                time.sleep(POLL_SECONDS)
                for child in [child for child in running if child.has_ended()]:
                    running.remove(child)
                    ended.append(child)
                    self._take_back(child)
                    screen.say(f"[{len(ended)}/{len(jobs)}] {child.job}: {child.line()}")
                if running:
                    screen.show(_progress(ended, running, waiting, self.size))
        return [*(child.end() for child in ended), *(RunEnd(job, NOT_BEGUN) for job in waiting)]

    def _begin(self, job: PlannedRun) -> Child:
        """Give a run to an idle worker, or to a new one."""
        self.processes[:] = [worker for worker in self.processes if worker.lives()]
        self.idle = [worker for worker in self.idle if worker.lives()]
        if not self.idle:
            self.idle.append(RunProcess(self.command, job.folder))
            self.processes.append(self.idle[-1])
        worker = self.idle.pop()
        worker.give(Order(self.words(job), job.folder / LOG, self.until))
        return Child(job, worker, time.monotonic())

    def _take_back(self, child: Child) -> None:
        """Keep the worker of a run that has ended, unless it ends with it."""
        if child.status in GOES_ON and child.worker.lives():
            self.idle.append(child.worker)


def run_words(device: str, loggers: Sequence[str] | None = None) -> Words:
    """The command line of a run on a device, with these loggers (None: the default ones)."""
    chosen = () if loggers is None else ("--logger", ",".join(loggers) or "none")
    return lambda job: [
        *("run", job.task, "--variant", job.variant, "--profile", job.profile),
        *("--seed", str(job.seed), "--device", device, *chosen),
    ]


def _progress(ended: list[Child], running: list[Child], waiting: list[PlannedRun], workers: int) -> str:
    now = ", ".join(f"{child.job.variant} seed {child.job.seed} ({duration(child.elapsed)})" for child in running)
    expected, spent = sum(child.job.seconds for child in ended), sum(child.elapsed for child in ended)
    pace = max([spent / expected if ended else 1.0, *(child.elapsed / child.job.seconds for child in running)])
    left = [pace * child.job.seconds - child.elapsed for child in running] + [pace * job.seconds for job in waiting]
    total = len(ended) + len(running) + len(waiting)
    return f"{len(ended)} of {total} done, about {duration(makespan(left, workers))} left; running: {now}"
