"""The runs that a study's table has, as states of jobs: other machines trained them."""

from repro.jobs.job import Job, JobState
from repro.jobs.ranges import Range
from repro.runs.config import Value
from repro.runs.registry import get_task
from repro.studies import table
from repro.studies.spec import StudySpec

STATES = {"finished": "finished", "failed": "lost", "pruned": "pruned"}  # status in the table -> state of the job


def known(study: StudySpec) -> dict[Job, JobState]:
    """The jobs that ended, by sweeps/tables/STUDY.csv, on the data that this machine has; none without a table.

    Numbers have the table's seven digits. Raises UserError where the table is not one of this study.
    """
    rows = [(_job(study, row), row) for row in table.read(study) if row["status"] in STATES]
    return {job: _state(study, row) for job, row in rows if row.get(table.DATA, "") == _data_here(study, job)}


def _job(study: StudySpec, row: table.Row) -> Job:
    point = tuple((key, _value(study, key, row[key])) for key in study.keys)
    return Job(point, row["variant"], int(row["seed"]))


def _value(study: StudySpec, key: str, text: str) -> Value:
    """The value that a cell stands for: the grid's, or a number in the range."""
    choice = study.choices[key]
    if isinstance(choice, Range):
        return int(text) if choice.is_whole else float(text)
    return next(value for value in choice if str(value) == text)


def _state(study: StudySpec, row: table.Row) -> JobState:
    return JobState(STATES[row["status"]], table.metrics_of(study, row), reason=row["reason"])


def _data_here(study: StudySpec, job: Job) -> str:
    task = get_task(study.task)
    return task.data_of(task.resolve(job.variant, study.profile, study.overrides(job)))
