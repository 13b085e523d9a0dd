"""A study in words, for `repro sweep`: its size and cost, how far it is, the best so far."""

from repro.cli.plan import expected_seconds
from repro.runs.registry import get_task
from repro.sweep.ranking import Outcomes, rank
from repro.sweep.report import best_line
from repro.sweep.study import Study
from repro.text import count, duration


def over(outcomes: Outcomes) -> int:
    """How many runs have ended."""
    return sum(outcome.is_over for outcome in outcomes.values())


def counts(study: Study, outcomes: Outcomes) -> str:
    """ "43 of 81 done (3 pruned), 2 running, 36 waiting"."""
    states = [outcome.state for outcome in outcomes.values()]

    def told(*names: str) -> str:
        return ", ".join(f"{states.count(name)} {name}" for name in names if name in states)

    ended, going = told("pruned", "lost"), told("running", "waiting")
    return f"{over(outcomes)} of {study.size} done" + (f" ({ended})" if ended else "") + (f", {going}" if going else "")


def best(study: Study, outcomes: Outcomes, rows: int) -> str:
    """A line for each of the best points so far."""
    found = [row for row in rank(study, outcomes) if any(cell.values for cell in row.cells.values())][:rows]
    return "\n".join(f"best: {best_line(study, row)}" for row in found) or "no result yet"


def announcement(study: Study, outcomes: Outcomes) -> str:
    """What the study is and what is left of it."""
    task = get_task(study.task)
    left = [job for job in study.search if job not in outcomes or not outcomes[job].is_over]
    seconds = sum(
        expected_seconds(task, job.variant, task.resolve(job.variant, study.profile, study.overrides(job)))
        for job in left
    )
    points, seeds = count(len(study.points), "point"), count(len(study.seeds), "seed")
    variants = f" x {count(len(study.variants), 'variant')}" if len(study.variants) > 1 else ""
    again = f", then the best {study.best} with {len(study.best_seeds)} fresh" if study.best else ""
    cost = f"; about {duration(seconds)} of one core at most for the {len(left)} left" if left else ""
    return f"{study.name}: {points}{variants} x {seeds}{again}{cost}"
