"""Every run of a study as a small CSV file, for committing: settings, result, commit and machine."""

import csv
import io

from repro.jobs.job import Job, JobState, JobStates
from repro.records import store
from repro.records.record import RunRecord, has_record, read_record
from repro.runs.config import config_hash
from repro.runs.registry import get_task
from repro.studies.ranking import AT_LEAST
from repro.studies.spec import StudySpec

COMMIT_DIGITS = 12
FROM_RECORD = ("seconds", "device", "machine", "commit", "config")


def runs_table(study: StudySpec, states: JobStates) -> bytes:
    """A line for each run that has ended: point, variant, seed, state, metrics, and where and how it was made.

    A metric that is a lower bound is written as ">=NUMBER"; a run without a result has none. A commit has a "+" where
    files had been changed since. Raises UserError for a record that cannot be read.
    """
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow([*study.keys, "variant", "seed", "state", *study.metrics, *FROM_RECORD])
    order = {point: at for at, point in enumerate(study.points_in(states))}
    ended = [job for job, state in states.items() if state.is_over]
    for job in sorted(ended, key=lambda job: (order[job.point], study.variants.index(job.variant), job.seed)):
        writer.writerow([*(value for _, value in job.point), job.variant, job.seed, *_result(study, job, states[job])])
    return page.getvalue().encode()


def _result(study: StudySpec, job: Job, state: JobState) -> list[str | float]:
    record = _record(study, job)
    metrics = [_metric(state, name) for name in study.metrics]
    if record is None:
        return [state.name, *metrics, *("" for _ in FROM_RECORD)]
    commit = record.git_commit[:COMMIT_DIGITS] + ("+" if record.git_dirty else "")
    return [state.name, *metrics, f"{record.wall_s:.1f}", record.device, record.machine, commit, record.config_hash]


def _metric(state: JobState, name: str) -> str:
    if name not in state.metrics:
        return ""
    return (">=" if state.metrics.get(name + AT_LEAST, 0) > 0 else "") + f"{state.metrics[name]:.6g}"


def _record(study: StudySpec, job: Job) -> RunRecord | None:
    """The run's record; none where it was stopped early."""
    task = get_task(study.task)
    digest = config_hash(task.resolve(job.variant, study.profile, study.overrides(job)))
    folder = store.run_folder(task.name, job.variant, digest, job.seed, store.study_folder(study.name) / "runs")
    return read_record(folder) if has_record(folder) else None
