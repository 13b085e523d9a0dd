"""How Optuna's trials keep jobs: numbers as numbers, so that its plots have numeric axes."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from repro.errors import UserError
from repro.jobs.job import Job, JobState
from repro.jobs.ranges import Range
from repro.runs.config import Value

JOB, METRICS, WHY = "job", "metrics", "why"  # attributes of a trial: its job in words, what it gave, why it ended
STATES = {TrialState.WAITING: "waiting", TrialState.RUNNING: "running", TrialState.PRUNED: "pruned"}
DECADE = 10  # positive numbers that span this factor are drawn on a log axis


def job_of(trial: FrozenTrial) -> Job:
    """The job that a trial was enqueued for. Raises UserError where its parameters are not those of its words."""
    words = trial.user_attrs.get(JOB)
    try:
        job = Job.of(trial.system_attrs["fixed_params"])
    except (KeyError, AttributeError):
        job = None
    if job is None or str(job) != words:
        raise UserError(f"the queue is damaged: trial {trial.number} has not the settings of its run ({words})")
    return job


def waiting_trial(job: Job, attributes: Mapping[str, Any], before: Sequence[FrozenTrial]) -> FrozenTrial:
    """A trial to enqueue. It has what the attempts `before` it reported to the pruner, because its run resumes."""
    values: dict[int, float] = {}
    rungs: dict[str, Any] = {}  # of hyperband
    for trial in before:
        values |= trial.intermediate_values
        rungs |= trial.system_attrs
    return create_trial(
        state=TrialState.WAITING,
        user_attrs=dict(attributes),
        system_attrs={**rungs, "fixed_params": job.params},
        intermediate_values=values,
    )


def state_of(trial: FrozenTrial) -> JobState:
    """The state of a live trial's job."""
    metrics = trial.user_attrs.get(METRICS)
    ended = "lost" if metrics is None else "finished"
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return JobState(STATES.get(trial.state, ended), metrics or {}, seconds, trial.user_attrs.get(WHY, ""))


def result_of(state: JobState) -> dict[str, object]:
    """What a trial keeps of a job that has ended; `state_of` reads it."""
    if state.name == "finished":
        return {METRICS: dict(state.metrics)}
    return {WHY: state.reason} if state.reason else {}


def ended_trial(
    job: Job,
    state: JobState,
    attributes: Mapping[str, Any],
    kinds: Mapping[str, BaseDistribution],
    value: float | None,
) -> FrozenTrial:
    """A trial of a job that ended elsewhere, with parameters of these `kinds`; None is the value of a pruned one."""
    return create_trial(
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        value=value,
        params=job.params,
        distributions=dict(kinds),
        user_attrs={**attributes, **result_of(state)},
        system_attrs={"fixed_params": job.params},
    )


def distribution(choice: Sequence[Value] | Range) -> BaseDistribution:
    """The kind of parameter that a value of a list or a range is."""
    if isinstance(choice, Range):
        return _of_numbers(choice.low, choice.high, choice.log)
    numbers = [value for value in choice if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(choice):
        return CategoricalDistribution(tuple(choice))
    low, high = min(numbers), max(numbers)
    return _of_numbers(low, high, log=low > 0 and high >= DECADE * low)


def _of_numbers(low: float, high: float, log: bool) -> BaseDistribution:
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log and low >= 1)
    return FloatDistribution(low, high, log=log and low > 0)


def suggest(trial: optuna.Trial, key: str, kind: BaseDistribution) -> None:
    """Ask a trial for a parameter that was enqueued, so that Optuna stores it."""
    if isinstance(kind, FloatDistribution):
        trial.suggest_float(key, kind.low, kind.high, log=kind.log)
    elif isinstance(kind, IntDistribution):
        trial.suggest_int(key, kind.low, kind.high, log=kind.log)
    elif isinstance(kind, CategoricalDistribution):
        trial.suggest_categorical(key, kind.choices)
