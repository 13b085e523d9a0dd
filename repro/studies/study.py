"""A study as a list of jobs: what it trains depends on how the runs so far ended."""

import dataclasses
import math

from repro.jobs.job import Job, JobStates, Point
from repro.studies.ranking import rank
from repro.studies.spec import StudySpec


@dataclasses.dataclass(frozen=True)
class Study(StudySpec):
    """A `StudySpec` that returns which of its runs are to be made next."""

    def next_point(self, states: JobStates) -> Point | None:
        """The point that its sampler draws now; None while known ones wait, and at the end of the search."""
        if not self.sampler:
            return None
        from repro.studies.sampling import draw_point  # imports Optuna

        return draw_point(self, states)

    def best_points(self, states: JobStates) -> list[Point]:
        """The points to run again with fresh seeds; none until the search has ended."""
        jobs = self.jobs(self.points_in(states), self.seeds)
        if not self.best or not all(job in states and states[job].is_over for job in jobs) or self.next_point(states):
            return []
        good = [row.point for row in rank(self, states) if math.isfinite(row.score)]
        return list(dict.fromkeys(good))[: self.best]

    def wanted(self, states: JobStates) -> list[Job]:
        """The runs that are to be made, as far as that is known yet."""
        jobs = self.jobs(self.points_in(states), self.seeds)
        new = self.next_point(states)
        if new:
            return jobs + self.jobs([new], self.seeds)
        return jobs + self.jobs(self.best_points(states), self.best_seeds)
