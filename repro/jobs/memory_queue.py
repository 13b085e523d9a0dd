"""A queue in the memory of one process, for machines without Optuna. `repro.jobs.queue` describes the steps."""

from collections.abc import Collection, Iterable, Mapping

from repro.jobs.job import Attempt, Job, JobList, JobState, JobStates
from repro.jobs.timing import Timing


class MemoryQueue:
    """The same steps as those of `Queue`; no other process can take a job, so no lease can be lost."""

    def __init__(self, jobs: JobList, timing: Timing | None = None) -> None:
        self.jobs, self.timing = jobs, timing or Timing()
        self.broken: dict[Job, str] = {}
        self._states: dict[Job, JobState] = {}

    def states(self) -> dict[Job, JobState]:
        """The state of each job."""
        return dict(self._states)

    def fill(self, again: Collection[Job] = ()) -> JobStates:
        """Enqueue what is to be made; the states before. A new process has no jobs that have ended."""
        before = self.states()
        for job in self.jobs.wanted(before):
            self._states.setdefault(job, JobState("waiting"))
        return before

    def is_done(self) -> bool:
        """Whether every job has ended."""
        return all(state.is_over or job in self.broken for job, state in self._states.items())

    def take(self) -> Attempt | None:
        """The first waiting job, now ours; None when nothing waits."""
        waiting = (job for job, state in self._states.items() if state.name == "waiting" and job not in self.broken)
        job = next(waiting, None)
        if job is None:
            return None
        self._states[job] = JobState("running")
        return Attempt(job)

    def renew(self, attempts: Iterable[Attempt]) -> None:
        """Nothing: no other process looks."""

    def reap(self) -> list[int]:
        """None: no other process has jobs."""
        return []

    def finish(self, attempt: Attempt, metrics: Mapping[str, float]) -> None:
        """The run has a result."""
        self._states[attempt.job] = JobState("finished", metrics)

    def lose(self, attempt: Attempt, reason: str) -> None:
        """The run ended without a result and would do so again."""
        self._states[attempt.job] = JobState("lost", reason=reason)

    def prune(self, attempt: Attempt) -> None:
        """The run was stopped early."""
        self._states[attempt.job] = JobState("pruned")

    def give_up(self, attempt: Attempt, reason: str) -> None:
        """Leave a job to the next worker."""
        self._states[attempt.job] = JobState("waiting")

    def report(self, attempt: Attempt, iteration: int, value: float) -> bool:
        """Whether the run should end here: never, without Optuna."""
        return False
