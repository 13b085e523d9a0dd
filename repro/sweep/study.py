"""What a study is: points of a grid, variants and seeds, and how the points are compared. No torch, no Optuna."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

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
    """One run of a study."""

    point: Point
    variant: str
    seed: int

    @property
    def params(self) -> dict[str, Value]:
        """What tells it from the study's other runs."""
        return {**dict(self.point), "variant": self.variant, "seed": self.seed}

    def __str__(self) -> str:
        """ "v_th=0.5 beta=0.03 variant=e_prop_1 seed=100"."""
        return shown(self.params.items())


@dataclasses.dataclass(frozen=True)
class Study:
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

    def overrides(self, job: Job) -> dict[str, str]:
        """The settings of a run as `--set` would take them."""
        return {key: str(value) for key, value in {**self.settings, **dict(job.point)}.items()}

    @property
    def fingerprint(self) -> str:
        """What must not change while a study is under way; how points are ranked may."""
        told: dict[str, Any] = dataclasses.asdict(self)
        for key in ("name", "about", "best", "metrics", "printed"):
            del told[key]
        return json.dumps(told)


def shown(items: Iterable[tuple[str, Value]]) -> str:
    """ "v_th=0.5 beta=0.03"."""
    return " ".join(f"{key}={value}" for key, value in items)
