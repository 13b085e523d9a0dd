"""The runs that a study's table has, as states of jobs: other machines trained them."""

from repro.errors import UserError
from repro.jobs.job import Job, JobState
from repro.runs.registry import get_task
from repro.studies import table
from repro.studies.spec import StudySpec

STATES = {"finished": "finished", "failed": "lost", "pruned": "pruned"}  # status in the table -> state of the job


def known(study: StudySpec) -> dict[Job, JobState]:
    """The jobs that ended, by sweeps/tables/STUDY.csv, on the data that this machine has; none without a table.

    A text of the user's is other data: the table has no digest of it. Numbers have the table's seven digits. A search
    has its points in the table's order. Raises UserError where the table is not one of this study, or a search counts
    hours, which the table has not.
    """
    if study.sampler and study.sampler.hours:
        raise UserError(f"--from-table: {study.name} ends after sampler.hours, and a table has no times")
    rows = [row for row in table.read(study) if row["status"] in STATES and _is_here(study, row)]
    return {table.job_of(study, row): _state(study, row) for row in rows}


def _is_here(study: StudySpec, row: table.Row) -> bool:
    """Whether a run was trained on the data that this machine has."""
    task = get_task(study.task)
    config = table.config_of(study, table.job_of(study, row))
    return row.get(table.DATA, "") == task.data_of(config) and not task.data_version(config)


def _state(study: StudySpec, row: table.Row) -> JobState:
    return JobState(STATES[row["status"]], table.metrics_of(study, row), reason=row["reason"])
