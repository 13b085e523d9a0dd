"""The queue of a study: waiting runs, the worker of each running one, and what happens if a worker dies.

All of it is kept in the trials of one Optuna study, so that any storage will do. A job is one run of the study; a trial
is one attempt at it. Any number of workers may take any of these steps at any time:

    fill    enqueue each wanted job that has no live trial (one that waits, runs or has ended well)
    take    make a waiting trial ours; if an earlier live trial has the same job, drop it, so that a job enqueued twice
            is still done once
    lease   write a new mark into our trial again and again, from a thread
    reap    fail the running trials whose mark has stood still: the next `fill` enqueues their jobs again

A mark counts as still by the clock of the worker that watches it, so machines need not agree on the time.
"""

import contextlib
import dataclasses
import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping

import optuna
from optuna.trial import FrozenTrial, TrialState

from repro.jobs.job import Job, JobList, JobState, JobStates
from repro.jobs.storage import filling, open_study
from repro.jobs.trials import JOB, distribution, job_of, suggest

LIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
LEASE, METRICS, WHY = "lease", "metrics", "why"
STATES = {TrialState.WAITING: "waiting", TrialState.RUNNING: "running", TrialState.PRUNED: "pruned"}
TRANSIENT = (optuna.exceptions.StorageInternalError, OSError)


class TakenOver(Exception):
    """Our trial was given to another worker, because our lease had not been renewed for too long."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds: a lease is renewed each `renew`, is stale after `stale` without; an idle worker looks each `poll`."""

    renew: float = 10.0
    stale: float = 60.0
    poll: float = 1.0


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A job that this worker holds."""

    job: Job
    trial: optuna.Trial


def worker_name(pid: int) -> str:
    """The name with which a worker process of this machine signs its leases."""
    return f"{socket.gethostname()}-{pid}"


class Queue:
    """One worker's (or watcher's) view of a study's queue."""

    def __init__(self, study: JobList, url: str | None = None, timing: Timing | None = None) -> None:
        """Raises UserError when the storage cannot be used, or holds another study of that name."""
        self.study, self.url, self.timing = study, url, timing or Timing()
        self.optuna, self.storage = open_study(study, url)
        self.worker = worker_name(os.getpid())
        self._seen: dict[int, tuple[object, float]] = {}  # trial -> its mark, and when we first saw it

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The study's trials in these states."""
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def states(self) -> dict[Job, JobState]:
        """The state of each job that has a live trial."""
        states: dict[Job, JobState] = {}
        for trial in self.trials(*LIVE):
            states.setdefault(job_of(trial), _state_of(trial))
        return states

    def fill(self) -> JobStates:
        """Enqueue what is wanted and has no live trial; return the states of the rest."""
        states = self.states()
        if all(job in states for job in self.study.wanted(states)):
            return states
        with filling(self.study, self.url):
            states = self.states()  # another process may have filled it since
            for job in self.study.wanted(states):
                if job not in states:
                    self.optuna.enqueue_trial(job.params, user_attrs={JOB: str(job)})
        return states

    def is_done(self) -> bool:
        """Whether every wanted job has ended and nothing waits or runs."""
        states = self.states()
        return not self.trials(TrialState.WAITING, TrialState.RUNNING) and all(
            job in states for job in self.study.wanted(states)
        )

    def take(self) -> Attempt | None:
        """The first waiting job, now ours; None when nothing waits."""
        for trial in self.trials(TrialState.WAITING):
            identity = self._id(trial.number)
            try:
                if not self.storage.set_trial_state_values(identity, TrialState.RUNNING):
                    continue
                self._mark(identity)
                key = trial.user_attrs[JOB]
                if any(t.number < trial.number and t.user_attrs[JOB] == key for t in self.trials(*LIVE)):
                    self._fail(trial.number, "enqueued twice")
                    continue
                return self._started(optuna.Trial(self.optuna, identity), job_of(trial))
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # another worker was given it too (SQLite does that), and is done with it
        return None

    def _started(self, trial: optuna.Trial, job: Job) -> Attempt:
        """Suggest a trial's parameters, so that Optuna stores them."""
        before = next((other.distributions for other in self.trials() if other.distributions), {})
        for key, choice in self.study.choices.items():
            suggest(trial, key, before.get(key) or distribution(choice))  # a study has one kind of each
        return Attempt(job, trial)

    @contextlib.contextmanager
    def lease(self, attempt: Attempt) -> Iterator[None]:
        """Hold a job as long as this lasts."""
        over = threading.Event()
        thread = threading.Thread(target=self._renew, args=(self._id(attempt.trial.number), over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _renew(self, identity: int, over: threading.Event) -> None:
        while not over.wait(self.timing.renew):
            try:
                self._mark(identity)
            except optuna.exceptions.UpdateFinishedTrialError:
                return
            except TRANSIENT:
                continue  # the next renewal may get through; if none does, another worker takes over

    def _mark(self, identity: int) -> None:
        self.storage.set_trial_user_attr(identity, LEASE, {"worker": self.worker, "time": time.time()})

    def finish(self, attempt: Attempt, metrics: Mapping[str, float]) -> None:
        """The run has a result. Raises TakenOver."""
        value = metrics[self.study.metrics[0]]
        self._end(attempt, {METRICS: dict(metrics)}, value if math.isfinite(value) else self.study.worst)

    def lose(self, attempt: Attempt, reason: str) -> None:
        """The run ended without a result and would do so again. Raises TakenOver."""
        self._end(attempt, {WHY: reason}, self.study.worst)

    def prune(self, attempt: Attempt) -> None:
        """The run was stopped early. Raises TakenOver."""
        self._end(attempt, {}, None)

    def _end(self, attempt: Attempt, attributes: Mapping[str, object], value: float | None) -> None:
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        values = None if value is None else [value]
        try:
            for key, value_of_key in attributes.items():
                attempt.trial.set_user_attr(key, value_of_key)
            self.storage.set_trial_state_values(self._id(attempt.trial.number), state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            raise TakenOver from None

    def give_up(self, attempt: Attempt, reason: str) -> None:
        """Leave a job to the next worker."""
        self._fail(attempt.trial.number, reason)

    def report(self, attempt: Attempt, step: int, value: float) -> bool:
        """Report a training metric; whether the run should end here. Raises TakenOver."""
        try:
            attempt.trial.report(value, step)
        except optuna.exceptions.UpdateFinishedTrialError:
            raise TakenOver from None
        return attempt.trial.should_prune()

    def reap(self) -> list[int]:
        """Fail the trials whose lease has stood still; return their numbers."""
        now, reaped = time.monotonic(), []
        for trial in self.trials(TrialState.RUNNING):
            mark = trial.user_attrs.get(LEASE)
            before, since = self._seen.get(trial.number, (None, now))
            if trial.number not in self._seen or mark != before:
                self._seen[trial.number] = (mark, now)
            elif now - since > self.timing.stale and self._fail(trial.number, "its worker died"):
                reaped.append(trial.number)
        return reaped

    def release(self, worker: str) -> None:
        """Fail the trials of a worker that is known to be dead."""
        for trial in self.trials(TrialState.RUNNING):
            if trial.user_attrs.get(LEASE, {}).get("worker") == worker:
                self._fail(trial.number, "its worker died")

    def workers(self) -> tuple[list[str], dict[str, float]]:
        """Workers that are at a run; those whose lease is stale, with its age in seconds by this machine's clock."""
        marks = [trial.user_attrs.get(LEASE) for trial in self.trials(TrialState.RUNNING)]
        ages = {mark["worker"]: time.time() - mark["time"] for mark in marks if mark}
        stale = {worker: age for worker, age in ages.items() if age > self.timing.stale}
        return sorted(set(ages) - set(stale)), stale

    def _fail(self, number: int, why: str) -> bool:
        try:
            self.storage.set_trial_user_attr(self._id(number), WHY, why)
            return self.storage.set_trial_state_values(self._id(number), TrialState.FAIL)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.optuna._study_id, number)


def _state_of(trial: FrozenTrial) -> JobState:
    metrics = trial.user_attrs.get(METRICS)
    ended = "lost" if metrics is None else "finished"
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return JobState(STATES.get(trial.state, ended), metrics or {}, seconds)
