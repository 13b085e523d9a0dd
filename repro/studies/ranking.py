"""From what became of each run to the points in order, the best first."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from repro.jobs.job import Job, JobState, JobStates, Point
from repro.studies.spec import Objective, StudySpec

AT_LEAST = "_at_least"  # METRIC_at_least is 1.0 in the record of a run whose METRIC is only a lower bound


@dataclasses.dataclass(frozen=True)
class Cell:
    """One metric of one point and variant over seeds: a number a seed with a result, lost runs being infinitely bad.

    `bounds` counts those that are lower bounds, `pruned` the seeds that were stopped early, `open` those to come.
    """

    values: tuple[float, ...]
    bounds: int
    pruned: int
    open: int
    objective: Objective = "mean"

    @property
    def centre(self) -> float:
        """Mean or median over seeds, as the study has it; NaN without any."""
        if not self.values:
            return math.nan
        return statistics.median(self.values) if self.objective == "median" else statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; NaN where there is none."""
        finite = len(self.values) > 1 and all(map(math.isfinite, self.values))
        return statistics.stdev(self.values) if finite else math.nan


@dataclasses.dataclass(frozen=True)
class Row:
    """A point under one metric: a cell a variant, `fresh` the same for the seeds of the best; and its score."""

    point: Point
    metric: str
    cells: Mapping[str, Cell]
    fresh: Mapping[str, Cell]
    score: float

    @property
    def lacking(self) -> int:
        """How many seeds have no result, stopped early or still to come."""
        return sum(cell.pruned + cell.open for cell in self.cells.values())


def rank(study: StudySpec, states: JobStates) -> list[Row]:
    """A row for each point and metric, by the number of seeds without a result and then by score.

    The score is the mean over variants of the mean or median over seeds; or with [printed] the sum over variants of
    |log(that / printed)|.
    """
    rows = [_row(study, states, point, metric) for point in study.points_in(states) for metric in study.metrics]
    return sorted(rows, key=lambda row: (row.lacking, _cost(study, row.score)))


def _row(study: StudySpec, states: JobStates, point: Point, metric: str) -> Row:
    def cells(seeds: Iterable[int]) -> dict[str, Cell]:
        return {v: _cell(study, [states.get(Job(point, v, s)) for s in seeds], metric) for v in study.variants}

    searched = cells(study.seeds)
    fresh = cells(study.best_seeds) if study.best_seeds else {}
    return Row(point, metric, searched, fresh, _score(study, searched))


def _cell(study: StudySpec, states: Sequence[JobState | None], metric: str) -> Cell:
    known = [state for state in states if state is not None]
    over = [state for state in known if state.name in ("finished", "lost")]
    values = [state.metrics.get(metric, math.nan) for state in over]
    return Cell(
        tuple(value if math.isfinite(value) else study.worst for value in values),
        sum(state.metrics.get(metric + AT_LEAST, 0) > 0 for state in over),
        sum(state.name == "pruned" for state in known),
        sum(not state.is_over for state in known) + len(states) - len(known),
        study.objective,
    )


def _score(study: StudySpec, cells: Mapping[str, Cell]) -> float:
    if study.printed:
        return sum(_distance(cell.centre, study.printed[variant]) for variant, cell in cells.items())
    return statistics.fmean(cell.centre for cell in cells.values())


def _distance(ours: float, printed: float) -> float:
    return abs(math.log(ours / printed)) if 0 < ours < math.inf else math.nan if math.isnan(ours) else math.inf


def _cost(study: StudySpec, score: float) -> float:
    """What to sort by: small is good, and no result is worst."""
    if math.isnan(score):
        return math.inf
    return score if study.printed or study.direction == "minimize" else -score
