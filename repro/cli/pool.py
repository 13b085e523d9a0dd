"""Runs jobs as processes of their own, a few at a time; a failed one does not stop the rest."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol

from repro.cli.plan import Job, is_finished, makespan
from repro.errors import UserError
from repro.text import LiveLine, duration, shown

LOG = "log.txt"
POLL_SECONDS = 0.1
GRACE_SECONDS = 10.0  # between asking a child to stop and stopping it

Command = Callable[[Job], list[str]]


class HasProcess(Protocol):
    """Whatever runs as a process of its own."""

    process: subprocess.Popen[bytes]


@dataclasses.dataclass
class Child:
    """A job and its process; `elapsed` is in seconds, and stands still once the process has been seen to end."""

    job: Job
    process: subprocess.Popen[bytes]
    started: float
    elapsed: float = 0.0

    def has_ended(self) -> bool:
        """Look at the process, and at the clock."""
        self.elapsed = time.monotonic() - self.started
        return self.process.poll() is not None

    @property
    def succeeded(self) -> bool:
        """Whether it ended well and left the record of a finished run."""
        return self.process.returncode == 0 and is_finished(self.job.folder)


def run_command(device: str) -> Command:
    """The command that trains a job: our own front door, in this Python."""
    return lambda job: [
        *(sys.executable, "-m", "repro", "run", job.task, "--variant", job.variant),
        *("--profile", job.profile, "--seed", str(job.seed), "--device", device),
    ]


def run_all(jobs: Sequence[Job], workers: int, command: Command, screen: LiveLine) -> list[Job]:
    """Run every job, `workers` at a time and in order, one line as each ends; return those that failed.

    A KeyboardInterrupt (Ctrl-C, or SIGTERM) stops the children and goes on to the caller.
    """
    waiting = list(jobs)
    running: list[Child] = []
    ended: list[Child] = []
    with sigterm_as_interrupt(), stopping(running):
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(0), command))
            time.sleep(POLL_SECONDS)
            for child in [child for child in running if child.has_ended()]:
                running.remove(child)
                ended.append(child)
                screen.say(f"[{len(ended)}/{len(jobs)}] {child.job}: {outcome(child)}")
            if running:
                screen.show(_progress(ended, running, waiting, workers))
    return [child.job for child in ended if not child.succeeded]


def outcome(child: Child) -> str:
    """What became of a job, in one phrase."""
    from repro.records.record import read_record

    job = child.job
    if not child.succeeded:
        return f"failed after {duration(child.elapsed)}: {_reason(child)} (log: {shown(job.folder / LOG)})"
    result = read_record(job.folder).metrics.get(job.headline)
    return f"finished in {duration(child.elapsed)}" + ("" if result is None else f", {job.headline} {result:.3g}")


def _reason(child: Child) -> str:
    from repro.records.record import RECORD, read_record

    status, folder = child.process.returncode, child.job.folder
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    with contextlib.suppress(UserError):
        if status == 1 and (folder / RECORD).exists() and (record := read_record(folder)).status == "failed":
            return record.reason
    return last_words(folder) or "it said nothing"


def last_words(folder: Path) -> str:
    """The last line of a run's log, "" when there is none."""
    log = folder / LOG
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].removeprefix("repro: ").removeprefix("error: ").strip() if lines else ""


def _start(job: Job, command: Command) -> Child:
    job.folder.mkdir(parents=True, exist_ok=True)
    single = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with (job.folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command(job), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=os.environ | single
        )
    return Child(job, process, time.monotonic())


def _progress(ended: list[Child], running: list[Child], waiting: list[Job], workers: int) -> str:
    now = ", ".join(f"{child.job.variant} seed {child.job.seed} ({duration(child.elapsed)})" for child in running)
    expected, spent = sum(child.job.seconds for child in ended), sum(child.elapsed for child in ended)
    pace = max([spent / expected if ended else 1.0, *(child.elapsed / child.job.seconds for child in running)])
    left = [pace * child.job.seconds - child.elapsed for child in running] + [pace * job.seconds for job in waiting]
    total = len(ended) + len(running) + len(waiting)
    return f"{len(ended)} of {total} done, about {duration(makespan(left, workers))} left; running: {now}"


@contextlib.contextmanager
def stopping(running: Sequence[HasProcess]) -> Iterator[None]:
    """Whatever happens inside, no child outlives it."""
    try:
        yield
    finally:
        for child in running:
            child.process.terminate()
        for child in running:
            try:
                child.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """A request to end is taken as Ctrl-C is."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
