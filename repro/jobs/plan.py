"""Which runs a figure needs, which of them are finished, and the expected time of the rest."""

import dataclasses
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.records import store
from repro.records.loggers import logger_words
from repro.runs.config import Value, config_hash
from repro.runs.task import Task

STARTUP_SECONDS = 7.0  # Python, torch and Lightning: once for each worker
RUN_SECONDS = 1.0  # network, data and Trainer of a run, and its record


Words = Callable[["PlannedRun"], list[str]]  # the command line that trains a run, without the program's name


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a plan: its settings, its folder, whether it is finished, its expected time and disk space.

    `settings` are what `--set` would take; the folder lies below `root`, or in results/runs. `data` are config values
    that follow from this machine's data.
    """

    task: str
    variant: str
    profile: str
    seed: int
    folder: Path
    finished: bool
    seconds: float
    megabytes: float
    headline: str
    settings: tuple[tuple[str, str], ...] = ()
    root: Path | None = None
    data: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        """ "pattern_generation e_prop_1 seed 0"."""
        return f"{self.task} {self.variant} seed {self.seed}"


def plan(tasks: Iterable[Task], profile: str, seeds: Sequence[int] | None = None) -> list[PlannedRun]:
    """All runs of some tasks (tasks x variants x seeds), those that take longest first.

    Without `seeds` each task's profile has them. Raises UserError for an unknown profile.
    """
    runs = [
        planned_run(task, variant, profile, seed)
        for task in tasks
        for seed in (seeds or task.profile(profile).seeds)
        for variant in task.variants_of(profile)
    ]
    return sorted(runs, key=lambda run: -run.seconds)


def planned_run(
    task: Task,
    variant: str,
    profile: str,
    seed: int,
    settings: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> PlannedRun:
    """One run, looked up on disk."""
    settings, data = settings or {}, task.data_here()
    config = task.resolve(variant, profile, settings, data)
    folder = store.run_folder(task.name, variant, config_hash(config), seed, root or "runs")
    return PlannedRun(
        *(task.name, variant, profile, seed, folder, is_finished(folder)),
        seconds=expected_seconds(task, variant, config),
        megabytes=task.megabytes * min(relative_work(task, variant, config), 1.0),
        headline=task.headline,
        settings=tuple(settings.items()),
        root=root,
        data=tuple(data.items()),
    )


def run_words(device: str, loggers: Sequence[str] | None = None) -> Words:
    """The command line of a run on a device, with these loggers (None: the default ones)."""
    return lambda run: [
        *("run", run.task, "--variant", run.variant, "--profile", run.profile),
        *("--seed", str(run.seed), "--device", device),
        *logger_words(loggers),
        *(word for key, value in run.settings for word in ("--set", f"{key}={value}")),
        *(() if run.root is None else ("--out", str(run.root))),
    ]


def expected_seconds(task: Task, variant: str, config: Any) -> float:
    """Expected time of one run of a config on one core, in a worker that is there."""
    return RUN_SECONDS + task.seconds[variant] * relative_work(task, variant, config)


def relative_work(task: Task, variant: str, config: Any) -> float:
    """The work of a config as a fraction of the variant's at the paper's size."""
    full = task.config(**task.variant(variant).settings)
    ratio = 1.0
    for key in task.work:
        size, of = (getattr(each, key) or task.whole[key] for each in (config, full))
        ratio *= size / of
    return ratio


def is_finished(folder: Path) -> bool:
    """Whether a folder holds the record of a finished run; a broken record is not one."""
    try:
        return store.is_finished(folder)
    except UserError:
        return False


def makespan(seconds: Iterable[float], workers: int) -> float:
    """How long jobs take in this order, each given to the first free worker."""
    free = [0.0] * workers
    for cost in seconds:
        heapq.heapreplace(free, free[0] + cost)
    return max(free)
