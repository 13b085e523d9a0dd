"""Runs planned runs in processes, a few at a time; a failed one does not stop the rest."""

import contextlib
import dataclasses
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from repro.errors import UserError
from repro.jobs.plan import PlannedRun, is_finished, makespan
from repro.jobs.processes import as_one_interrupt, repro, start, stopping, why_it_ended
from repro.records.record import LOG, has_record, read_record
from repro.text import LiveLine, duration, shown

POLL_SECONDS = 0.1

Command = Callable[[PlannedRun], list[str]]


@dataclasses.dataclass
class Child:
    """A job and its process; `elapsed` is in seconds, and is fixed once the process has ended."""

    job: PlannedRun
    process: subprocess.Popen[bytes]
    started: float
    elapsed: float = 0.0

    def has_ended(self) -> bool:
        """Poll the process and update `elapsed`."""
        self.elapsed = time.monotonic() - self.started
        return self.process.poll() is not None

    @property
    def succeeded(self) -> bool:
        """Whether it exited with 0 and wrote the record of a finished run."""
        return self.process.returncode == 0 and is_finished(self.job.folder)


def run_command(device: str, loggers: Sequence[str] | None = None) -> Command:
    """The command that trains a run: our command line, in this Python."""
    chosen = () if loggers is None else ("--logger", ",".join(loggers) or "none")
    return lambda job: repro(
        *("run", job.task, "--variant", job.variant, "--profile", job.profile),
        *("--seed", str(job.seed), "--device", device, *chosen),
    )


def run_all(jobs: Sequence[PlannedRun], workers: int, command: Command, screen: LiveLine) -> list[PlannedRun]:
    """Run every job, `workers` at a time and in order, one line as each ends; return those that failed.

    A KeyboardInterrupt (Ctrl-C, or SIGTERM) stops the children and is raised again.
    """
    waiting = list(jobs)
    running: list[Child] = []
    ended: list[Child] = []
    with as_one_interrupt(signal.SIGTERM), stopping(running):
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(0), command))
            time.sleep(POLL_SECONDS)
            for child in [child for child in running if child.has_ended()]:
                running.remove(child)
                ended.append(child)
                screen.say(f"[{len(ended)}/{len(jobs)}] {child.job}: {result_line(child)}")
            if running:
                screen.show(_progress(ended, running, waiting, workers))
    return [child.job for child in ended if not child.succeeded]


def result_line(child: Child) -> str:
    """How a run ended, in one phrase."""
    job = child.job
    if not child.succeeded:
        return f"failed after {duration(child.elapsed)}: {_reason(child)} (log: {shown(job.folder / LOG)})"
    result = read_record(job.folder).metrics.get(job.headline)
    return f"finished in {duration(child.elapsed)}" + ("" if result is None else f", {job.headline} {result:.3g}")


def _reason(child: Child) -> str:
    status, folder = child.process.returncode, child.job.folder
    with contextlib.suppress(UserError):
        if status == 1 and has_record(folder) and (record := read_record(folder)).status == "failed":
            return record.reason
    return why_it_ended(status, folder)


def _start(job: PlannedRun, command: Command) -> Child:
    return Child(job, start(command(job), job.folder), time.monotonic())


def _progress(ended: list[Child], running: list[Child], waiting: list[PlannedRun], workers: int) -> str:
    now = ", ".join(f"{child.job.variant} seed {child.job.seed} ({duration(child.elapsed)})" for child in running)
    expected, spent = sum(child.job.seconds for child in ended), sum(child.elapsed for child in ended)
    pace = max([spent / expected if ended else 1.0, *(child.elapsed / child.job.seconds for child in running)])
    left = [pace * child.job.seconds - child.elapsed for child in running] + [pace * job.seconds for job in waiting]
    total = len(ended) + len(running) + len(waiting)
    return f"{len(ended)} of {total} done, about {duration(makespan(left, workers))} left; running: {now}"
