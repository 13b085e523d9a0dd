"""The processes of `repro sweep`: started together, watched, and stopped together."""

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from repro.jobs.job import JobStates, count_over, counts
from repro.jobs.processes import as_one_interrupt, repro, start, stopping, why_it_ended
from repro.jobs.queue import Queue, worker_name
from repro.records import store
from repro.records.record import LOG
from repro.text import LiveLine, count, duration, shown

POLL_SECONDS = 0.5
LINES = 10  # progress lines of a whole study where there is no terminal to rewrite one on


@dataclasses.dataclass
class WorkerProcess:
    """A worker process: its name in the queue, and the folder of its log."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def name(self) -> str:
        """As the worker itself signs its leases."""
        return worker_name(self.process.pid)


def run_workers(
    queue: Queue,
    path: Path,
    workers: int,
    options: Sequence[str],
    screen: LiveLine,
    best: Callable[[JobStates], str],
) -> None:
    """Run the workers of the study file `path` until the last one has ended; none outlives it, and no job stays theirs.

    `options` are those of their command line; `best` gives the best result so far, in words.
    """
    running: list[WorkerProcess] = []
    names: list[str] = []
    try:
        with as_one_interrupt(signal.SIGTERM), stopping(running):
            for index in range(workers):
                running.append(_start(queue, path, index, options))
                names.append(running[-1].name)
            progress = ProgressReporter(queue, screen, best)
            while running:
                time.sleep(POLL_SECONDS)
                for worker in [worker for worker in running if worker.process.poll() is not None]:
                    running.remove(worker)
                    _ended(queue, worker, screen)
                progress.report(len(running))
    finally:
        screen.clear()
        for name in names:
            queue.release(name)


def _start(queue: Queue, path: Path, index: int, options: Sequence[str]) -> WorkerProcess:
    logs = store.study_folder(queue.study.name) / "logs" / f"{worker_name(os.getpid())}-{index}"
    command = repro("sweep", str(path), "--worker", *options)
    # W&B gets no runs that only serve to choose settings, unless the user asks for it.
    quiet = "--logger" not in options
    return WorkerProcess(start(command, logs, WANDB_MODE="disabled") if quiet else start(command, logs), logs)


def _ended(queue: Queue, worker: WorkerProcess, screen: LiveLine) -> None:
    status = worker.process.returncode
    if status:
        queue.release(worker.name)
        why = why_it_ended(status, worker.folder)
        screen.say(f"a worker ended early: {why} (log: {shown(worker.folder / LOG)})")


class ProgressReporter:
    """Prints how far a study is: a live line on a terminal, else a line for each tenth."""

    def __init__(self, queue: Queue, screen: LiveLine, best: Callable[[JobStates], str]) -> None:
        self.queue, self.screen, self.best = queue, screen, best
        self.start = time.monotonic()
        self.before = self.printed = count_over(queue.states())

    def report(self, workers: int) -> None:
        """Count, and print where that is due."""
        study, states = self.queue.study, self.queue.states()
        now = count_over(states)
        line = f"{counts(study, states)}; {count(workers, 'worker')} here{self._left(study.size, now)}"
        self.screen.show(f"{line}; {self.best(states)}")
        if not self.screen.live and now - self.printed >= max(1, study.size / LINES):
            self.printed = now
            self.screen.say(line)

    def _left(self, size: int, now: int) -> str:
        if not self.before < now < size:
            return ""
        pace = (time.monotonic() - self.start) / (now - self.before)
        return f", about {duration(pace * (size - now))} left"
