"""The processes of `repro sweep`: started together, watched, and stopped together."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from repro.cli.pool import LOG, last_words, sigterm_as_interrupt, stopping
from repro.cli.sweep_text import best, counts, over
from repro.sweep.queue import Queue, worker_name
from repro.sweep.storage import folder
from repro.sweep.study import Study
from repro.text import LiveLine, count, duration, shown

POLL_SECONDS = 0.5
LINES = 10  # progress lines of a whole study where there is no terminal to rewrite one on


@dataclasses.dataclass
class Member:
    """A worker process: its name in the queue, and the folder of its log."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def name(self) -> str:
        """As the worker itself signs its leases."""
        return worker_name(self.process.pid)


def run_crew(queue: Queue, path: Path, workers: int, url: str | None, screen: LiveLine) -> None:
    """Run the workers until the last one has ended; none outlives it, and no job stays theirs."""
    members: list[Member] = []
    names: list[str] = []
    try:
        with sigterm_as_interrupt(), stopping(members):
            for index in range(workers):
                members.append(_start(queue.study, path, index, url))
                names.append(members[-1].name)
            watch = _Watch(queue, screen)
            while members:
                time.sleep(POLL_SECONDS)
                for member in [member for member in members if member.process.poll() is not None]:
                    members.remove(member)
                    _ended(queue, member, screen)
                watch.look(len(members))
    finally:
        screen.clear()
        for name in names:
            queue.release(name)


def _start(study: Study, path: Path, index: int, url: str | None) -> Member:
    logs = folder(study) / "logs" / f"{worker_name(os.getpid())}-{index}"
    logs.mkdir(parents=True, exist_ok=True)
    # W&B is not told of runs that only serve to choose settings, unless the user says so.
    env = {"WANDB_MODE": "disabled", **os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, "-u", "-m", "repro", "sweep", str(path), "--worker"]
    command += ["--storage", url] if url else []
    with (logs / LOG).open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env)
    return Member(process, logs)


def _ended(queue: Queue, member: Member, screen: LiveLine) -> None:
    status = member.process.returncode
    if status == 0:
        return
    queue.release(member.name)
    why = f"killed by {signal.Signals(-status).name}" if status < 0 else last_words(member.folder) or "it said nothing"
    screen.say(f"a worker ended early: {why} (log: {shown(member.folder / LOG)})")


class _Watch:
    """Tells how far a study is: a live line on a terminal, else a line for each tenth."""

    def __init__(self, queue: Queue, screen: LiveLine) -> None:
        self.queue, self.screen = queue, screen
        self.start = time.monotonic()
        self.before = self.told = over(queue.outcomes())

    def look(self, workers: int) -> None:
        """Count, and say so where that is due."""
        study, outcomes = self.queue.study, self.queue.outcomes()
        now = over(outcomes)
        line = f"{counts(study, outcomes)}; {count(workers, 'worker')} here{self._left(study.size, now)}"
        self.screen.show(f"{line}; {best(study, outcomes, 1)}")
        if not self.screen.live and now - self.told >= max(1, study.size / LINES):
            self.told = now
            self.screen.say(line)

    def _left(self, size: int, now: int) -> str:
        if not self.before < now < size:
            return ""
        pace = (time.monotonic() - self.start) / (now - self.before)
        return f", about {duration(pace * (size - now))} left"
