"""A study as a list of jobs: what it trains depends on how the runs so far ended."""

import dataclasses
import math

from repro.jobs.job import Job, JobStates, Point
from repro.studies.ranking import rank
from repro.studies.spec import StudySpec


@dataclasses.dataclass(frozen=True)
class Study(StudySpec):
    """A `StudySpec` that returns which of its runs are to be made next."""

    def best_points(self, states: JobStates) -> list[Point]:
        """The points to run again with fresh seeds; none until the search has ended."""
        if not self.best or not all(job in states and states[job].is_over for job in self.search):
            return []
        good = [row.point for row in rank(self, states) if math.isfinite(row.score)]
        return list(dict.fromkeys(good))[: self.best]

    def wanted(self, states: JobStates) -> list[Job]:
        """The runs that are to be made, as far as that is known yet."""
        return self.search + self.jobs(self.best_points(states), self.best_seeds)
