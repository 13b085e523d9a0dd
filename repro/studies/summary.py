"""A study in words, for `repro sweep`: its size and cost, the best points so far."""

from repro.jobs.job import JobStates
from repro.jobs.plan import expected_seconds
from repro.runs.registry import get_task
from repro.studies.checks import corners
from repro.studies.ranking import rank
from repro.studies.report import best_line, how_drawn
from repro.studies.spec import StudySpec
from repro.text import count, duration


def best(study: StudySpec, states: JobStates, rows: int) -> str:
    """A line for each of the best points so far."""
    rows_with_values = [row for row in rank(study, states) if any(cell.values for cell in row.cells.values())][:rows]
    return "\n".join(f"best: {best_line(study, row)}" for row in rows_with_values) or "no result yet"


def announcement(study: StudySpec, states: JobStates) -> str:
    """What the study is and what is left of it."""
    task = get_task(study.task)
    known = study.points_in(states)
    left = [job for job in study.jobs(known, study.seeds) if job not in states or not states[job].is_over]
    if study.sampler:  # a corner stands for each point that is not drawn yet
        left += study.jobs([next(corners(study))] * (study.most_points - len(known)), study.seeds)
    seconds = sum(
        expected_seconds(task, job.variant, task.resolve(job.variant, study.profile, study.overrides(job)))
        for job in left
    )
    points, seeds = count(study.most_points, "point"), count(len(study.seeds), "seed")
    points += f" ({how_drawn(study)})" if study.sampler else ""
    variants = f" x {count(len(study.variants), 'variant')}" if len(study.variants) > 1 else ""
    again = f", then the best {study.best} with {len(study.best_seeds)} fresh" if study.best else ""
    cost = f"; about {duration(seconds)} of one core at most for the {len(left)} left" if left else ""
    return f"{study.name}: {points}{variants} x {seeds}{again}{cost}"
