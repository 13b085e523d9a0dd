"""The runs behind a figure as a list of jobs. They lie in results/runs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from repro.jobs.job import Direction, Job, JobList, JobStates, finite_or
from repro.jobs.plan import PlannedRun, planned_run
from repro.jobs.ranges import Range
from repro.records import store
from repro.runs.config import Value
from repro.runs.registry import get_task


def job_of_run(run: PlannedRun) -> Job:
    """The job that a run is: its point is its task, and which data it is trained on where machines may have others."""
    return Job((("task", run.task), *run.data), run.variant, run.seed)


class FigureRuns(JobList):
    """Runs of a figure in a profile. All commands for this figure and profile share the queue."""

    direction: Direction = "minimize"
    metrics = ()
    pruning = None
    keeps_lost = False

    def __init__(self, figure: str, profile: str, runs: Sequence[PlannedRun] | None = None) -> None:
        """`runs` are those that this process makes; None: all that others have put into the queue."""
        self.figure, self.profile, self.name = figure, profile, f"{figure}-{profile}"
        self._runs = None if runs is None else {job_of_run(run): run for run in runs}

    @property
    def folder(self) -> Path:
        """Where the queue lies, if it is a file."""
        return store.queue_folder(self.name)

    @property
    def size(self) -> int:
        """How many runs there are; 0 where that is not known."""
        return len(self._runs or ())

    @property
    def fingerprint(self) -> str:
        """Runs of any seeds may share the queue."""
        return self.name

    @property
    def choices(self) -> Mapping[str, Sequence[Value] | Range]:
        """None: a later command may want other runs, and Optuna keeps to the first values."""
        return {}

    def wanted(self, states: JobStates) -> list[Job]:
        """The runs that this process makes."""
        return list(self._runs or ())

    def title(self, job: Job) -> str:
        """ "pattern_generation e_prop_1 seed 0"."""
        return str(self.run_of(job))

    def makes(self, job: Job) -> bool:
        """Whether the run is one of these, or without these one on the data that this machine has.

        Older queues do not name the data: such a run is made on those that are here. Raises UserError for a task that
        is not there.
        """
        if self._runs is not None:
            return job in self._runs
        task = get_task(str(dict(job.point)["task"]))
        return set(job.point) <= {("task", task.name), *task.data_here().items()}

    def prunes(self, job: Job) -> bool:
        """A figure needs whole runs."""
        return False

    def run_of(self, job: Job) -> PlannedRun:
        """The run that a job is. Raises UserError for a task or variant that is not there."""
        if self._runs and job in self._runs:
            return self._runs[job]
        return planned_run(get_task(str(dict(job.point)["task"])), job.variant, self.profile, job.seed)

    def value(self, job: Job, metrics: Mapping[str, float]) -> float:
        """The headline metric of the task."""
        return finite_or(metrics.get(self.run_of(job).headline, math.nan), self.worst)
