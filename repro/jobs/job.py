"""What a queue works off: jobs, their states, and a list that says which jobs there are. No torch, no Optuna."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from repro.runs.config import Value

Direction = Literal["minimize", "maximize"]
Point = tuple[tuple[str, Value], ...]  # (key, value) for each key of the grid


@dataclasses.dataclass(frozen=True)
class Pruning:
    """When a run ends early: if the best of its `metric` (of a training batch) so far is worse than the median of what
    finished runs of the same seed had reached by then.

    It is looked at after iteration `first` and each `every` iterations from there, once there are `finished` such runs.
    """

    metric: str
    direction: Direction
    first: int
    every: int
    finished: int


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of a job list."""

    point: Point
    variant: str
    seed: int

    @property
    def params(self) -> dict[str, Value]:
        """The values in which it differs from the list's other runs."""
        return {**dict(self.point), "variant": self.variant, "seed": self.seed}

    def __str__(self) -> str:
        """ "v_th=0.5 beta=0.03 variant=e_prop_1 seed=100"."""
        return settings_text(self.params.items())


@dataclasses.dataclass(frozen=True)
class JobState:
    """The state of a job: `name` is waiting, running, finished, pruned, or lost (it ended without a result)."""

    name: str
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.name not in ("waiting", "running")


JobStates = Mapping[Job, JobState]


class JobList(Protocol):
    """What a queue asks of a list of jobs, such as a study.

    `metrics` are what the runs must have, and `direction` says whether a small or a large first one is good, of which
    `worst` is the worst; `fingerprint` changes when the runs become others.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def task(self) -> str: ...  # noqa: D102
    @property
    def profile(self) -> str: ...  # noqa: D102
    @property
    def metrics(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def direction(self) -> Direction: ...  # noqa: D102
    @property
    def worst(self) -> float: ...  # noqa: D102
    @property
    def pruning(self) -> Pruning | None: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def choices(self) -> Mapping[str, Sequence[Value]]:
        """Key of `Job.params` -> the values that there may be."""

    @property
    def all_jobs(self) -> list[Job]:
        """Every run that there may be."""

    def wanted(self, states: JobStates) -> list[Job]:
        """The runs that are to be made, as far as that is known yet."""

    def prunes(self, job: Job) -> bool:
        """Whether the run may be stopped early."""

    def overrides(self, job: Job) -> dict[str, str]:
        """The settings of a run as `--set` would take them."""


def settings_text(items: Iterable[tuple[str, Value]]) -> str:
    """ "v_th=0.5 beta=0.03"."""
    return " ".join(f"{key}={value}" for key, value in items)


def count_over(states: JobStates) -> int:
    """How many runs have ended."""
    return sum(state.is_over for state in states.values())


def counts(jobs: JobList, states: JobStates) -> str:
    """ "43 of 81 done (3 pruned), 2 running, 36 waiting"."""
    names = [state.name for state in states.values()]

    def of(*kinds: str) -> str:
        return ", ".join(f"{names.count(kind)} {kind}" for kind in kinds if kind in names)

    ended, going = of("pruned", "lost"), of("running", "waiting")
    notes = (f" ({ended})" if ended else "") + (f", {going}" if going else "")
    return f"{count_over(states)} of {jobs.size} done{notes}"
