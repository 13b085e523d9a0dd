"""What a study is: points, variants and seeds, and how the points are compared. No torch, no Optuna."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from repro.jobs.job import Direction, Job, JobList, JobStates, Point, Pruning
from repro.jobs.plan import PlannedRun, planned_run
from repro.jobs.ranges import Range
from repro.records import store
from repro.runs.config import Value
from repro.runs.registry import get_task

Objective = Literal["mean", "median"]
NO_PART_OF_RUNS = ("name", "about", "best", "metrics", "printed", "objective", "sampler")
LATER = {
    "rule": "median",
    "last": 0,
    "factor": 3,
}  # keys of [pruning] that are newer than some queues, as those mean them


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How a search draws points: at most so many, none after runs have taken so many `hours` together."""

    name: Literal["random", "tpe"]
    points: int
    hours: float | None
    seed: int


@dataclasses.dataclass(frozen=True)
class StudySpec(JobList):
    """A study file that has been checked.

    `settings` hold for every run, `grid` and `ranges` map a key to what is tried. Without a `sampler` each combination
    of the grid's values is a point; with one, points are drawn. `metrics` are alternatives: readings of one and the
    same run. With `printed` (variant -> the paper's number) points are ranked by their distance from it, else by the
    `objective` over seeds. The `best` points are run again with `best_seeds`, which no other run of the study or of the
    task's profiles has.
    """

    name: str
    about: str
    task: str
    variants: tuple[str, ...]
    profile: str
    settings: Mapping[str, Value]
    grid: Mapping[str, tuple[Value, ...]]
    seeds: tuple[int, ...]
    best: int
    best_seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    direction: Direction
    pruning: Pruning | None
    printed: Mapping[str, float]
    objective: Objective = "mean"
    keeps_lost: ClassVar[bool] = True
    ranges: Mapping[str, Range] = dataclasses.field(default_factory=dict)
    sampler: Sampler | None = None

    @property
    def keys(self) -> list[str]:
        """The settings in which points differ."""
        return [*self.grid, *self.ranges]

    @property
    def points(self) -> list[Point]:
        """The points known beforehand, the last key changing fastest: the grid's, with first values of any ranges."""
        tried = {**self.grid, **{key: values.first for key, values in self.ranges.items()}}
        if self.sampler and not any(values.first for values in self.ranges.values()):
            return []
        return [tuple(zip(tried, values, strict=True)) for values in itertools.product(*tried.values())]

    def points_in(self, states: JobStates) -> list[Point]:
        """All points so far: those known beforehand, and those that have been drawn, in this order."""
        return list(dict.fromkeys([*self.points, *(job.point for job in states)]))

    def jobs(self, points: Iterable[Point], seeds: Iterable[int]) -> list[Job]:
        """The runs of some points: first each point with the first seed, so that half a study shows the whole grid."""
        points = list(points)
        return [Job(point, variant, seed) for seed in seeds for variant in self.variants for point in points]

    @property
    def search(self) -> list[Job]:
        """The runs of the points that are known beforehand."""
        return self.jobs(self.points, self.seeds)

    @property
    def most_points(self) -> int:
        """How many points there are at most."""
        return len(self.points) + (self.sampler.points if self.sampler else 0)

    @property
    def size(self) -> int:
        """How many runs there are in all, at most."""
        return (self.most_points * len(self.seeds) + self.best * len(self.best_seeds)) * len(self.variants)

    @property
    def choices(self) -> dict[str, tuple[Value, ...] | Range]:
        """Key of `Job.params` -> the values that there may be."""
        return {**self.grid, **self.ranges, "variant": self.variants, "seed": self.seeds + self.best_seeds}

    def prunes(self, job: Job) -> bool:
        """Whether a run may be stopped early."""
        return self.pruning is not None and job.seed in self.seeds

    @property
    def folder(self) -> Path:
        """Where queue, runs, table and picture lie."""
        return store.study_folder(self.name)

    def run_of(self, job: Job) -> PlannedRun:
        """The run that a job is, below the study's folder."""
        overrides, root = self.overrides(job), self.folder / "runs"
        return planned_run(get_task(self.task), job.variant, self.profile, job.seed, overrides, root)

    def overrides(self, job: Job) -> dict[str, str]:
        """The settings of a run as `--set` would take them."""
        return {key: str(value) for key, value in {**self.settings, **dict(job.point)}.items()}

    @property
    def data(self) -> dict[str, Value]:
        """Config values that follow from this machine's data, where the study does not set them."""
        chosen = {*self.settings, *self.keys}
        return {key: value for key, value in get_task(self.task).data_here().items() if key not in chosen}

    @property
    def fingerprint(self) -> str:
        """What must not change while a study is under way; how points are drawn and ranked may."""
        fixed: dict[str, Any] = dataclasses.asdict(self)
        for key in NO_PART_OF_RUNS:
            del fixed[key]
        if not self.ranges:
            del fixed["ranges"]
        if self.pruning:
            for key, before in LATER.items():
                if fixed["pruning"][key] == before:
                    del fixed["pruning"][key]
        return json.dumps(fixed)
