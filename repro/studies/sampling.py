"""The next point of a search, by Optuna's samplers.

It is a function of the study and of the states of its runs: the points are given to the sampler as the trials of an
Optuna study in memory, and its random numbers depend on the sampler's seed and the number of points so far. So a search
needs no state of its own, any worker may draw the next point, and one worker draws the same points every time.
"""

import math
import random
from collections.abc import Iterable, Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from repro.jobs.job import JobStates, Point
from repro.jobs.ranges import Range
from repro.jobs.trials import distribution
from repro.runs.config import Value
from repro.studies.ranking import Row, rank
from repro.studies.spec import Sampler, StudySpec
from repro.studies.trials import Choice, as_trials, in_order

TRIES = 200  # to draw a point that is new; the second half at random
RANDOM_POINTS = 4  # for each key, before TPE has enough to go by; at most ten in all, Optuna's default

Space = Mapping[str, Choice]


def draw_point(study: StudySpec, states: JobStates) -> Point | None:
    """The next point; None while a run of the known ones waits, when the budget is spent, and if there is no other."""
    known, sampler = study.points_in(states), study.sampler
    runs = [states.get(job) for job in study.jobs(known, study.seeds)]
    if not sampler or any(run is None or run.name == "waiting" for run in runs):
        return None
    if len(known) >= study.most_points or _hours(states) >= (sampler.hours or math.inf):
        return None
    if not all(job in states and states[job].is_over for job in study.search):
        return None  # where to continue depends on all of the first points
    return _new(study, sampler, states, known)


def _hours(states: JobStates) -> float:
    """What the runs that have ended took together."""
    return sum(state.seconds for state in states.values()) / 3600


def _new(study: StudySpec, sampler: Sampler, states: JobStates, known: list[Point]) -> Point | None:
    """A point that is not known yet."""
    choices = space(study, rank(study, states))
    kinds = {key: _kind(choice) for key, choice in choices.items()}
    inside = [row for row in in_order(study, states) if _is_inside(row.point, choices)]
    trials = as_trials(study, inside, kinds)
    for attempt in range(TRIES):
        seed = random.Random(f"{sampler.seed} {len(known)} {attempt}").randrange(2**32)
        trials.sampler = optuna.samplers.RandomSampler(seed)
        if sampler.name == "tpe" and attempt < TRIES // 2:
            trials.sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=min(10, RANDOM_POINTS * len(study.keys))
            )
        trial = trials.ask(fixed_distributions=kinds)
        point = tuple((key, _rounded(choices[key], trial.params[key])) for key in study.keys)
        if point not in known:
            return point
        trials.tell(trial, state=TrialState.FAIL)
    return None


def space(study: StudySpec, rows: Iterable[Row]) -> Space:
    """What is drawn from: the whole grid and ranges; or, after first values, what lies between the neighbours of the
    best first point, where each key of the grid keeps its value."""
    first = set(study.points)
    best = next((row.point for row in rows if row.point in first and math.isfinite(row.score)), None)
    if best is None:
        return {**study.grid, **study.ranges}
    values = dict(best)
    fixed = {key: (values[key],) for key in study.grid}
    return {**fixed, **{key: choice.around(values[key]) for key, choice in study.ranges.items()}}  # type: ignore[arg-type]


def _kind(choice: Choice) -> BaseDistribution:
    """As the sampler draws it: from a list only what is in it."""
    return distribution(choice) if isinstance(choice, Range) else CategoricalDistribution(choice)


def _is_inside(point: Point, choices: Space) -> bool:
    return all(value in choices[key] for key, value in point)


def _rounded(choice: Choice, value: Value) -> Value:
    return choice.rounded(value) if isinstance(choice, Range) else value  # type: ignore[arg-type]
