"""Trains the jobs of a queue in worker processes, a few at a time; a run that fails does not stop the rest.

This process alone talks to the queue. Its workers only train: they get orders over a link (`repro.jobs.run_process`).
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Collection, Iterator, Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from repro.errors import INTERRUPTED, UNFINISHED
from repro.jobs.job import Job, TakenOver
from repro.jobs.plan import Words
from repro.jobs.processes import as_one_interrupt, stopping, why_it_ended
from repro.jobs.run_process import Order, Report, RunProcess
from repro.jobs.training import Training
from repro.records.record import LOG
from repro.records.status import status_of
from repro.runs.bootstrap import TO_END

if TYPE_CHECKING:
    from repro.jobs.display import Display
    from repro.jobs.memory_queue import MemoryQueue
    from repro.jobs.queue import Queue

LOOK_SECONDS = 0.5
MOST_DEATHS = 3  # of the process that trains one run: then it is taken to kill its process each time


@dataclasses.dataclass
class Pool:
    """Workers that train the jobs of a queue, at most `size` at a time.

    `command` starts a worker, `words` are its orders. No run begins after the time `until` (that of time.time()). Jobs
    that cannot be made here (bad input, a full disk) are left out of the queue's view.
    """

    queue: "Queue | MemoryQueue"
    command: Sequence[str]
    words: Words
    size: int
    until: float = math.inf
    processes: list[RunProcess] = dataclasses.field(default_factory=list)
    idle: list[RunProcess] = dataclasses.field(default_factory=list)
    trainings: list[Training] = dataclasses.field(default_factory=list)
    _renewed: float = -math.inf
    _looked: float = -math.inf

    def run_all(self, display: "Display", again: Collection[Job] = ()) -> None:
        """Train until every job has ended, here or elsewhere, or the time is over; make jobs that had ended `again`.

        A KeyboardInterrupt (Ctrl-C, or a request to end) stops the workers and is raised again. Raises UserError where
        a run lacks a metric of the study.
        """
        self.queue.fill(again)
        display.begin(self.queue.states())
        with as_one_interrupt(*TO_END), self._leaving_nothing(display), stopping(self.processes):
            while True:
                self._keep()
                if time.monotonic() - self._looked >= self.queue.timing.poll:
                    self._begin()
                    display.show(self.queue.states(), self.trainings)
                    if not self.trainings and (self._time_is_over() or self.queue.is_done()):
                        return
                    self._looked = time.monotonic()
                self._wait()
                for training in [training for training in self.trainings if training.worker]:
                    self._look_at(training, display)

    @contextlib.contextmanager
    def _leaving_nothing(self, display: "Display") -> Iterator[None]:
        """At the end no job stays ours."""
        try:
            yield
        finally:
            display.clear()
            for training in self.trainings:
                self.queue.give_up(training.attempt, "interrupted")

    def _time_is_over(self) -> bool:
        return time.time() >= self.until

    def _keep(self) -> None:
        """Keep our jobs ours, and take note of processes that died elsewhere."""
        if time.monotonic() - self._renewed >= self.queue.timing.renew:
            self._renewed = time.monotonic()
            self.queue.renew([training.attempt for training in self.trainings])
            self.queue.reap()

    def _begin(self) -> None:
        """Give orders: to runs that no other process has any more, then to new ones."""
        for training in self.trainings:
            if training.worker is None and status_of(training.run.folder).state != "running":
                self._give(training)
        while len(self.trainings) < self.size and not self._time_is_over():
            self.queue.fill()
            attempt = self.queue.take()
            if attempt is None:
                return
            training = Training(attempt, self.queue.jobs.run_of(attempt.job))
            self.trainings.append(training)
            self._give(training)

    def _give(self, training: Training) -> None:
        """Give a run to an idle worker, or to a new one."""
        self.processes[:] = [worker for worker in self.processes if worker.lives()]
        self.idle = [worker for worker in self.idle if worker.lives()]
        if not self.idle:
            self.idle.append(RunProcess(self.command, training.run.folder))
            self.processes.append(self.idle[-1])
        training.worker = self.idle.pop()
        jobs, run = self.queue.jobs, training.run
        pruning = jobs.pruning if jobs.prunes(training.attempt.job) else None
        training.worker.give(Order(self.words(run), run.folder / LOG, self.until, pruning))

    def _wait(self) -> None:
        """Until a worker sends something, or for a moment."""
        links = [training.worker.link for training in self.trainings if training.worker]
        pause = min(LOOK_SECONDS, self.queue.timing.poll)
        if links:
            wait(links, pause)
        else:
            time.sleep(pause)

    def _look_at(self, training: Training, display: "Display") -> None:
        """Answer what the worker has reported, or see how its run has ended."""
        worker = training.worker
        message = worker.message() if worker else None
        if worker is None or message is None:
            return
        if isinstance(message, Report):
            worker.answer(self.queue.report(training.attempt, *message))
            return
        training.worker, self._looked = None, -math.inf
        died = message < 0 or (message in (UNFINISHED, INTERRUPTED) and not worker.lives())
        if died and training.deaths < MOST_DEATHS - 1:
            training.deaths += 1
            display.say(f"{training.run}: {why_it_ended(message, training.run.folder)}; begun again")
        elif died or message != UNFINISHED or self._time_is_over():
            self._settle(training, message, display)
        if worker.lives():
            self.idle.append(worker)

    def _settle(self, training: Training, status: int, display: "Display") -> None:
        """Enter into the queue how an attempt ended. One that another process has taken over is left to that one."""
        attempt, end = training.attempt, training.end(status)
        with contextlib.suppress(TakenOver):
            if end.state == "finished":
                self.queue.finish(attempt, end.metrics)
            elif end.state == "pruned":
                self.queue.prune(attempt)
            elif end.state == "lost":
                self.queue.lose(attempt, end.detail)
            else:
                self.queue.give_up(attempt, end.detail)
        if end.state == "broken":
            self.queue.broken[attempt.job] = end.detail
        self.trainings.remove(training)
        display.ended(training, training.line(end))
