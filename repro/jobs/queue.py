"""The queue of a list of jobs: waiting runs, who has each running one, and what happens if that process dies.

All of it is kept in the trials of one Optuna study, so that any storage will do. A job is one run of the list; a trial
is one attempt at it. Any number of processes may take any of these steps at any time:

    adopt   add jobs that ended elsewhere, such as those in a study's table
    fill    enqueue each job that is to be made and has no live trial (one that waits, runs or has ended well), with
            what earlier attempts at it have reported: its run resumes
    take    make a waiting trial ours; if an earlier live trial has the same job, drop it, so that a job enqueued twice
            is still done once
    renew   write a new mark into the trials that are ours
    reap    fail the running trials whose mark has stood still, or whose process was of this machine and is gone: the
            next `fill` enqueues their jobs again

A mark counts as still by the clock of the process that watches it, so machines need not agree on the time. A job that
has ended may be tried again: the trials of each such round have a higher number, and only the last round counts.
"""

import os
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from repro.jobs.job import Attempt, Job, JobList, JobState, JobStates, TakenOver
from repro.jobs.storage import filling, open_study
from repro.jobs.timing import Timing
from repro.jobs.trials import JOB, WHY, distribution, ended_trial, job_of, result_of, state_of, suggest, waiting_trial
from repro.records.progress import process_exists

LIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
LEASE, ROUND = "lease", "round"
TRANSIENT = (optuna.exceptions.StorageInternalError, OSError)


class Queue:
    """One process's view of a queue. It leaves out the jobs of `broken`: they cannot be made here."""

    def __init__(self, jobs: JobList, url: str | None = None, timing: Timing | None = None) -> None:
        """Raises UserError when the storage cannot be used, or holds another study of that name."""
        self.jobs, self.url, self.timing = jobs, url, timing or Timing()
        self.optuna, self.storage = open_study(jobs, url)
        self.worker = f"{socket.gethostname()}-{os.getpid()}"
        self.broken: dict[Job, str] = {}  # why each cannot be made here
        self._jobs: dict[int, Job] = {}  # of the trials that were read
        self._seen: dict[int, tuple[object, float]] = {}  # trial -> its mark, and when we first saw it

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The queue's trials in these states."""
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def states(self) -> dict[Job, JobState]:
        """The state of each job that has a live trial in its last round."""
        return self._read()[0]

    def _read(self) -> tuple[dict[Job, JobState], dict[Job, int]]:
        """The states, and the last round of each job that was ever enqueued, in the order of their first trials."""
        states: dict[Job, JobState] = {}
        rounds: dict[Job, int] = {}
        for trial in self.trials():
            job, number = self._job(trial), _round(trial)
            if number > rounds.setdefault(job, number):
                rounds[job] = number
                states.pop(job, None)
            if number == rounds[job] and trial.state in LIVE:
                states.setdefault(job, state_of(trial))
        return {job: states[job] for job in rounds if job in states}, rounds

    def _job(self, trial: FrozenTrial) -> Job:
        if trial.number not in self._jobs:
            self._jobs[trial.number] = job_of(trial)
        return self._jobs[trial.number]

    def fill(self, again: Collection[Job] = ()) -> JobStates:
        """Enqueue what is to be made and has no live trial, and jobs that have ended `again`; the states before."""
        states, rounds = self._read()
        if not self._missing(states, rounds, again):
            return states
        with filling(self.jobs, self.url):
            states, rounds = self._read()  # another process may have filled it since
            failed = self.trials(TrialState.FAIL)
            for job in self._missing(states, rounds, again):
                number = rounds.get(job, 0) + (job in states)
                before = [trial for trial in failed if self._job(trial) == job and _round(trial) == number]
                self.optuna.add_trial(waiting_trial(job, {JOB: str(job), ROUND: number}, before))
        return states

    def adopt(self, ended: JobStates) -> int:
        """Add jobs that ended elsewhere, with their states, also in place of waiting ones; how many were added.

        Jobs that run or have ended here stay as they are. Raises UserError where one lacks a metric.
        """
        with filling(self.jobs, self.url):
            states, rounds = self._read()
            new = {job: state for job, state in ended.items() if job not in states or states[job].name == "waiting"}
            names = {job: {JOB: str(job), ROUND: rounds.get(job, 0)} for job in new}
            kinds = self._kinds()
            trials = [ended_trial(job, state, names[job], kinds, self._value(job, state)) for job, state in new.items()]
            for trial in self.trials(TrialState.WAITING):
                if self._job(trial) in new:
                    self._fail(trial.number, "it ended elsewhere")
            self.optuna.add_trials(trials)
        return len(new)

    def _value(self, job: Job, state: JobState) -> float | None:
        """What Optuna is given of a job that has ended; None for a pruned one."""
        if state.name == "finished":
            return self.jobs.value(job, state.metrics)
        return None if state.name == "pruned" else self.jobs.worst

    def _missing(self, states: JobStates, rounds: Iterable[Job], again: Collection[Job]) -> list[Job]:
        """What is wanted, or was enqueued and given up since, and is not in the queue."""
        ended = [job for job in again if job in states and states[job].is_over]
        return [job for job in self._made_here(states, rounds) if job not in states] + ended

    def _made_here(self, states: JobStates, rounds: Iterable[Job]) -> list[Job]:
        known = {**dict.fromkeys(rounds, JobState("waiting")), **states}  # a search forgets no point that was given up
        jobs = dict.fromkeys([*self.jobs.wanted(known), *rounds])
        return [job for job in jobs if job not in self.broken and self.jobs.makes(job)]

    def is_done(self) -> bool:
        """Whether every job that this process makes has ended, here or elsewhere."""
        states, rounds = self._read()
        return all(job in states and states[job].is_over for job in self._made_here(states, rounds))

    def take(self) -> Attempt | None:
        """The waiting job that was enqueued first, though it may have been given up since; None when nothing waits."""
        order = {job: place for place, job in enumerate(self._read()[1])}
        waiting = self.trials(TrialState.WAITING)
        for trial in sorted(waiting, key=lambda trial: order.get(self._job(trial), len(order))):
            job = self._job(trial)
            if job in self.broken or not self.jobs.makes(job):
                continue
            identity = self._id(trial.number)
            try:
                if not self.storage.set_trial_state_values(identity, TrialState.RUNNING):
                    continue
                self._mark(identity)
                if self._is_second(trial):
                    self._fail(trial.number, "enqueued twice")
                    continue
                return self._started(optuna.Trial(self.optuna, identity), job)
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # another process was given it too (SQLite does that), and is done with it
        return None

    def _is_second(self, trial: FrozenTrial) -> bool:
        """Whether an earlier live trial has the same job and round."""
        ours = (trial.user_attrs[JOB], _round(trial))
        earlier = (other for other in self.trials(*LIVE) if other.number < trial.number)
        return any((other.user_attrs[JOB], _round(other)) == ours for other in earlier)

    def _started(self, trial: optuna.Trial, job: Job) -> Attempt:
        """Suggest a trial's parameters, so that Optuna stores them."""
        for key, kind in self._kinds().items():
            suggest(trial, key, kind)
        return Attempt(job, trial)

    def _kinds(self) -> dict[str, BaseDistribution]:
        """The kind of each parameter: that of the trials so far, because a study has one kind of each."""
        before = next((other.distributions for other in self.trials() if other.distributions), {})
        return {key: before.get(key) or distribution(choice) for key, choice in self.jobs.choices.items()}

    def renew(self, attempts: Iterable[Attempt]) -> None:
        """Keep these jobs ours."""
        for attempt in attempts:
            try:
                self._mark(self._id(attempt.key.number))
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # taken over: `finish` raises TakenOver
            except TRANSIENT:
                return  # the next renewal may get through; if none does, another process takes over

    def _mark(self, identity: int) -> None:
        self.storage.set_trial_user_attr(identity, LEASE, {"worker": self.worker, "time": time.time()})

    def finish(self, attempt: Attempt, metrics: Mapping[str, float]) -> None:
        """The run has a result. Raises TakenOver, UserError where it lacks a metric."""
        self._end(attempt, JobState("finished", dict(metrics)))

    def lose(self, attempt: Attempt, reason: str) -> None:
        """The run ended without a result and would do so again. Raises TakenOver."""
        self._end(attempt, JobState("lost", reason=reason))

    def prune(self, attempt: Attempt) -> None:
        """The run was stopped early. Raises TakenOver."""
        self._end(attempt, JobState("pruned"))

    def _end(self, attempt: Attempt, result: JobState) -> None:
        value = self._value(attempt.job, result)
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        values = None if value is None else [value]
        try:
            for key, value_of_key in result_of(result).items():
                attempt.key.set_user_attr(key, value_of_key)
            self.storage.set_trial_state_values(self._id(attempt.key.number), state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            raise TakenOver from None

    def give_up(self, attempt: Attempt, reason: str) -> None:
        """Leave a job to the next process."""
        self._fail(attempt.key.number, reason)

    def report(self, attempt: Attempt, iteration: int, value: float) -> bool:
        """Report a training metric; whether the run should end here. A run that was taken over continues."""
        try:
            attempt.key.report(value, iteration)
            return bool(attempt.key.should_prune())
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def reap(self) -> list[int]:
        """Fail the trials whose worker has died; return their numbers."""
        now, reaped = time.monotonic(), []
        for trial in self.trials(TrialState.RUNNING):
            mark = trial.user_attrs.get(LEASE)
            before, since = self._seen.get(trial.number, (None, now))
            if trial.number not in self._seen or mark != before:
                self._seen[trial.number] = (mark, since := now)
            if (now - since > self.timing.stale or _is_gone(mark)) and self._fail(trial.number, "its worker died"):
                reaped.append(trial.number)
        return reaped

    def workers(self) -> tuple[list[str], dict[str, float]]:
        """Processes that have a run; those whose lease is stale, with its age in seconds by this machine's clock."""
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


def _is_gone(mark: Mapping[str, Any] | None) -> bool:
    """Whether a process of this machine wrote the mark and has ended."""
    host, _, pid = str(mark["worker"]).rpartition("-") if mark else ("", "", "")
    return host == socket.gethostname() and pid.isdigit() and not process_exists(int(pid))


def _round(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get(ROUND, 0))
