"""Jobs of a queue: their states, attempts at them, and the list of all jobs. No torch, no Optuna."""

import abc
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from repro.errors import unknown
from repro.jobs.plan import PlannedRun
from repro.jobs.ranges import Range
from repro.runs.config import Value

Direction = Literal["minimize", "maximize"]
Point = tuple[tuple[str, Value], ...]  # (key, value) for each key of the grid


@dataclasses.dataclass(frozen=True)
class Pruning:
    """When a run is stopped early, by a `metric` of a training batch: it is compared with runs of the same seed.

    It is looked at after iteration `first` and each `every` iterations from there. "median": it is stopped if its best
    so far is worse than the median of what finished runs had reached by then, once there are `finished` of them.
    "hyperband": one run in `factor` continues after iteration `first`, after `factor` times that, and so on up to
    `last`; some points begin with a later one of these.
    """

    metric: str
    direction: Direction
    first: int
    every: int
    finished: int
    rule: Literal["median", "hyperband"] = "median"
    last: int = 0
    factor: int = 3


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of a job list."""

    point: Point
    variant: str
    seed: int

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Job":
        """The job with these `params`, whose order is that of the point's keys."""
        point = tuple((key, value) for key, value in params.items() if key not in ("variant", "seed"))
        return cls(point, params["variant"], params["seed"])

    @property
    def params(self) -> dict[str, Value]:
        """The values in which it differs from the list's other runs."""
        return {**dict(self.point), "variant": self.variant, "seed": self.seed}

    def __str__(self) -> str:
        """ "v_th=0.5 beta=0.03 variant=e_prop_1 seed=100"."""
        return settings_text(self.params.items())


@dataclasses.dataclass(frozen=True)
class JobState:
    """The state of a job: `name` is waiting, running, finished, pruned, or lost (it ended without a result, for a
    `reason`); `seconds` are those of the attempt that ended it."""

    name: str
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.name not in ("waiting", "running")


JobStates = Mapping[Job, JobState]


class TakenOver(Exception):
    """The queue has given our job to another process, because our lease had not been renewed for too long."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A job that this process holds; `key` is the queue's own mark of it."""

    job: Job
    key: Any = None


class JobList(abc.ABC):
    """What a queue asks of a list of jobs, such as a study, or the runs of a figure.

    `metrics` are what the runs must have, and `direction` is whether a small or a large first one is good.
    `keeps_lost`: whether a run that was lost is a result; else it is a failure, which a new command tries again.
    """

    name: str
    profile: str
    metrics: tuple[str, ...]
    direction: Direction
    pruning: Pruning | None
    keeps_lost: ClassVar[bool]

    @property
    @abc.abstractmethod
    def folder(self) -> Path:
        """Where the queue lies, if it is a file."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many runs there are in all."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Settings that must not change while the study runs."""

    @property
    @abc.abstractmethod
    def choices(self) -> Mapping[str, Sequence[Value] | Range]:
        """Key of `Job.params` -> the values that there may be."""

    @property
    def data(self) -> Mapping[str, Value]:
        """Config values that follow from this machine's data and that all runs must share; none by default."""
        return {}

    @property
    def worst(self) -> float:
        """The value of a run without a result."""
        return math.inf if self.direction == "minimize" else -math.inf

    @abc.abstractmethod
    def wanted(self, states: JobStates) -> list[Job]:
        """The runs that are to be made, as far as that is known yet."""

    @abc.abstractmethod
    def prunes(self, job: Job) -> bool:
        """Whether the run may be stopped early."""

    @abc.abstractmethod
    def run_of(self, job: Job) -> PlannedRun:
        """The run that a job is."""

    def title(self, job: Job) -> str:
        """The run in a few words: "v_th=0.5 e_prop_1 seed 100"."""
        return f"{settings_text(job.point)} {job.variant} seed {job.seed}"

    def makes(self, job: Job) -> bool:
        """Whether this process makes a job of the queue: another command may have put it there."""
        return True

    def value(self, job: Job, metrics: Mapping[str, float]) -> float:
        """The run's value for Optuna. Raises UserError where the run lacks a metric."""
        for name in self.metrics:
            if name not in metrics:
                raise unknown("metric", name, metrics, of=self.run_of(job).task)
        return finite_or(metrics[self.metrics[0]], self.worst)


def finite_or(value: float, other: float) -> float:
    """The value, or `other` where it is not a finite number."""
    return value if math.isfinite(value) else other


def settings_text(items: Iterable[tuple[str, Value]]) -> str:
    """ "v_th=0.5 beta=0.03"."""
    return " ".join(f"{key}={value}" for key, value in items)


def count_over(states: JobStates) -> int:
    """How many runs have ended."""
    return sum(state.is_over for state in states.values())


def counts(size: int, states: JobStates) -> str:
    """ "43 of 81 done (3 pruned), 2 running, 36 waiting"; `size` is the number of runs, 0 where it is not known."""
    names = [state.name for state in states.values()]

    def of(*kinds: str) -> str:
        return ", ".join(f"{names.count(kind)} {kind}" for kind in kinds if kind in names)

    ended, going = of("pruned", "lost"), of("running", "waiting")
    notes = (f" ({ended})" if ended else "") + (f", {going}" if going else "")
    return f"{count_over(states)} of {max(size, len(states))} done{notes}"
