"""What a pool prints: a line for each run that has ended; on a terminal, a live table of the runs that are trained.

In a log there is no table: after ten minutes without a line it gets one on how far all is.
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence

from repro.errors import UserError
from repro.jobs.job import Job, JobList, JobState, JobStates, counts
from repro.jobs.plan import PlannedRun, makespan
from repro.jobs.training import Training, headline
from repro.records.progress import Progress, read_progress
from repro.text import LiveLines, aligned, duration

QUIET_SECONDS = 600.0


class Display:
    """Prints how the jobs of a list proceed, here and elsewhere. `note` gives a last line, such as the best result."""

    def __init__(self, jobs: JobList, screen: LiveLines, note: Callable[[JobStates], str] | None = None) -> None:
        self.jobs, self.screen, self.note = jobs, screen, note
        self._over: set[Job] = set()
        self._runs: dict[Job, PlannedRun] = {}
        self._spent = self._expected = 0.0  # seconds of the runs that have ended here
        self._last_line = time.monotonic()

    def begin(self, states: JobStates) -> None:
        """Take note of the runs that had ended before."""
        self._over = {job for job, state in states.items() if state.is_over and self.jobs.makes(job)}

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._last_line = time.monotonic()
        self.screen.say(line)

    def clear(self) -> None:
        """Take the table away."""
        self.screen.clear()

    def ended(self, training: Training, line: str) -> None:
        """A run has ended here."""
        self._spent, self._expected = self._spent + training.elapsed, self._expected + training.run.seconds
        self._count(training.attempt.job, line)

    def _count(self, job: Job, line: str) -> None:
        self._over.add(job)
        self.say(f"[{len(self._over)}/{max(self.jobs.size, len(self._over))}] {self.jobs.title(job)}: {line}")

    def show(self, states: JobStates, trainings: Sequence[Training]) -> None:
        """Print what has ended elsewhere, and the table."""
        made = {job: state for job, state in states.items() if self.jobs.makes(job)}
        for job, state in made.items():
            if state.is_over and job not in self._over:
                self._count(job, f"{self._result(job, state)} (elsewhere)")
        if self.screen.live:
            self.screen.show(*self._lines(made, {training.attempt.job: training for training in trainings}))
        elif time.monotonic() - self._last_line > QUIET_SECONDS:
            self.say(self._summary(made, {}))

    def _result(self, job: Job, state: JobState) -> str:
        detail = headline(self._run(job), state.metrics) or state.reason
        return f"{state.name}{', ' if detail else ''}{detail}"

    def _run(self, job: Job) -> PlannedRun:
        if job not in self._runs:
            self._runs[job] = self.jobs.run_of(job)
        return self._runs[job]

    def _lines(self, states: JobStates, ours: Mapping[Job, Training]) -> list[str]:
        """A row for each run that is trained, ours first, its name last: that may be cut off; then how far all is."""
        running = [job for job, state in states.items() if state.name == "running"]
        running.sort(key=lambda job: job not in ours)
        progress = {job: self._progress(job) for job in running}
        rows = [self._row(job, progress[job], ours.get(job)) for job in running]
        left = {job: at.seconds_left for job, at in progress.items() if at and math.isfinite(at.seconds_left)}
        note = [self.note(states)] if self.note else []
        return [*aligned(rows), self._summary(states, left), *note]

    def _progress(self, job: Job) -> Progress | None:
        """How far a run is; None where no process trains it yet."""
        with contextlib.suppress(UserError):
            progress = read_progress(self._run(job).folder)
            return progress if progress and progress.is_alive() else None
        return None

    def _row(self, job: Job, progress: Progress | None, training: Training | None) -> tuple[str, ...]:
        title = self.jobs.title(job)
        if progress is None:
            waits = training is not None and training.worker is None
            return "", "elsewhere" if waits else "begins", "", title
        number = headline(self._run(job), progress.metrics) or next(
            (f"{name} {value:.3g}" for name, value in progress.metrics.items()), ""
        )
        known = math.isfinite(progress.seconds_left)
        left = f"{duration(progress.seconds_left)} left" if known else ""
        return f"{progress.iteration}/{progress.iterations}", number, left, title

    def _summary(self, states: JobStates, left: Mapping[Job, float]) -> str:
        """ "43 of 90 done, 2 running, 45 waiting; about 12 min left"; `left` are seconds of some runs."""
        pace = self._spent / self._expected if self._expected else 1.0
        running = [job for job, state in states.items() if state.name == "running"]
        waiting = [job for job, state in states.items() if state.name == "waiting"]
        seconds = [left.get(job, pace * self._run(job).seconds) for job in running]
        seconds += [pace * self._run(job).seconds for job in waiting]
        about = f"; about {duration(makespan(seconds, len(running) or 1))} left" if seconds else ""
        return f"{counts(self.jobs.size, states)}{about}"
