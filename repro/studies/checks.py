"""What must hold between the parts of a study, so that each of its runs can be made and compared."""

import itertools
import math
from collections.abc import Iterator

from repro.claims.claim import plan_of
from repro.errors import UserError
from repro.jobs.job import Point
from repro.runs.task import Task
from repro.studies.spec import StudySpec

MOST_RUNS = 100_000
MOST_RANGES = 10  # 1024 corners are checked


def check(study: StudySpec, task: Task) -> None:
    """Raises UserError for the first part of a study that is at odds with another, or with its task."""
    _check_seeds(study, task)
    _check_points(study)
    _check_configs(study, task)
    _check_ranking(study)


def _check_seeds(study: StudySpec, task: Task) -> None:
    test, plan = {seed for profile in task.profiles.values() for seed in profile.seeds}, plan_of(task.name)
    test |= set(range(plan.last + 1)) if plan else set()
    kept = f"is kept for the test of {task.name}, or was looked at before it"
    for key, seeds, others, why in (
        ("seeds", study.seeds, test, kept),
        ("best_seeds", study.best_seeds, test, kept),
        ("best_seeds", study.best_seeds, set(study.seeds), "is also a seed of `seeds`: the best have fresh ones"),
    ):
        if shared := sorted(others.intersection(seeds)):
            raise UserError(f"{key}: {shared[0]} {why}")


def _check_points(study: StudySpec) -> None:
    """There are not too many points, and enough of them."""
    if study.best_seeds and not study.best:
        raise UserError("best_seeds without best: best is the number of points that are run again")
    first = [key for key, values in study.ranges.items() if values.first]
    if first and len(first) < len(study.ranges):
        other = next(key for key in study.ranges if key not in first)
        raise UserError(f"ranges.{other}.first is missing: {first[0]} has first values, and a point wants both")
    if len(study.ranges) > MOST_RANGES:
        raise UserError(f"[ranges] has {len(study.ranges)} keys; at most {MOST_RANGES}")
    there = math.prod(map(len, study.grid.values())) * math.prod(values.count for values in study.ranges.values())
    known = math.prod(map(len, study.grid.values())) * math.prod(len(values.first) for values in study.ranges.values())
    wanted = (known if first or not study.sampler else 0) + (study.sampler.points if study.sampler else 0)
    if wanted * len(study.variants) * len(study.seeds) > MOST_RUNS:
        raise UserError(f"the {_whole(study)} has {wanted} points: more than {MOST_RUNS} runs in all")
    if study.sampler and number_of_corners(study) > MOST_RUNS:
        raise UserError(f"[grid] and [ranges] have {number_of_corners(study)} corners to check; at most {MOST_RUNS}")
    if study.sampler and wanted > there:
        raise UserError(f"sampler.points = {study.sampler.points}: there are only {there} points to draw")
    if study.best > wanted:
        raise UserError(f"best = {study.best}: the {_whole(study)} has only {wanted} points")


def _whole(study: StudySpec) -> str:
    return "search" if study.sampler else "grid"


def _check_configs(study: StudySpec, task: Task) -> None:
    """Every run's config can be made: those of the corners of ranges stand for all between them."""
    if both := sorted(set(study.keys) & set(study.settings)):
        raise UserError(f"{both[0]} is both in [{'grid' if both[0] in study.grid else 'ranges'}] and in [settings]")
    for job in study.jobs([*study.points, *(corners(study) if study.sampler else ())], study.seeds[:1]):
        config = task.resolve(job.variant, study.profile, study.overrides(job))
        if study.pruning and study.pruning.first > getattr(config, "iterations", math.inf):
            raise UserError(f"pruning.first = {study.pruning.first}: a run has only {config.iterations} iterations")


def number_of_corners(study: StudySpec) -> int:
    """How many `corners` there are."""
    return int(math.prod(map(len, study.grid.values())) * 2 ** len(study.ranges))


def corners(study: StudySpec) -> Iterator[Point]:
    """The points at the ends of ranges, with each combination of the grid's values."""
    tried = [*study.grid.values(), *((values.low, values.high) for values in study.ranges.values())]
    return (tuple(zip(study.keys, values, strict=True)) for values in itertools.product(*tried))


def _check_ranking(study: StudySpec) -> None:
    if study.printed and (unmatched := sorted(set(study.printed) ^ set(study.variants))):
        raise UserError(f"[printed] and variants name different variants: {unmatched[0]} is in one of them only")
    rule = study.pruning
    if rule and (study.printed or len(study.variants) > 1):
        raise UserError(
            "[pruning] holds runs against each other: it wants one variant, and no [printed], which needs every result"
        )
    if rule and rule.rule == "hyperband" and rule.last <= rule.first:
        raise UserError(
            f"pruning.last = {rule.last}: hyperband wants a run's last iteration, beyond first = {rule.first}"
        )
    if rule and rule.rule == "median" and rule.last:
        raise UserError("pruning.last is for the rule hyperband")
