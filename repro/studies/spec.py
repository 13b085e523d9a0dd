"""What a study is: points of a grid, variants and seeds, and how the points are compared. No torch, no Optuna."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from repro.jobs.job import Direction, Job, JobList, Point, Pruning
from repro.runs.config import Value


@dataclasses.dataclass(frozen=True)
class StudySpec(JobList):
    """A study file that has been checked.

    `settings` hold for every run, `grid` maps a key to the values that are tried. `metrics` are alternatives: readings
    of one and the same run. With `printed` (variant -> the paper's number) points are ranked by their distance from it.
    The `best` points are run again with `best_seeds`, which no other run of the study or of the task's profiles has.
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

    @property
    def points(self) -> list[Point]:
        """Every combination of the grid's values, the last key changing fastest."""
        return [tuple(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]

    def jobs(self, points: Iterable[Point], seeds: Iterable[int]) -> list[Job]:
        """The runs of some points: first each point with the first seed, so that half a study shows the whole grid."""
        points = list(points)
        return [Job(point, variant, seed) for seed in seeds for variant in self.variants for point in points]

    @property
    def search(self) -> list[Job]:
        """The runs that find the best points."""
        return self.jobs(self.points, self.seeds)

    @property
    def size(self) -> int:
        """How many runs there are in all."""
        return len(self.search) + self.best * len(self.variants) * len(self.best_seeds)

    @property
    def all_jobs(self) -> list[Job]:
        """Every run that there may be."""
        return self.jobs(self.points, self.seeds + self.best_seeds)

    @property
    def choices(self) -> dict[str, tuple[Value, ...]]:
        """Key of `Job.params` -> the values that there may be."""
        return {**self.grid, "variant": self.variants, "seed": self.seeds + self.best_seeds}

    def prunes(self, job: Job) -> bool:
        """Whether a run may be stopped early."""
        return self.pruning is not None and job.seed in self.seeds

    def overrides(self, job: Job) -> dict[str, str]:
        """The settings of a run as `--set` would take them."""
        return {key: str(value) for key, value in {**self.settings, **dict(job.point)}.items()}

    @property
    def fingerprint(self) -> str:
        """What must not change while a study is under way; how points are ranked may."""
        fixed: dict[str, Any] = dataclasses.asdict(self)
        for key in ("name", "about", "best", "metrics", "printed"):
            del fixed[key]
        return json.dumps(fixed)
