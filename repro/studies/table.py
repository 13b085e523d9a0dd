"""Every run of a study as one line of a CSV file that is small enough to be committed: sweeps/tables/STUDY.csv.

Columns: task, variant, seed, the study's keys, status (finished, failed, unfinished or pruned), reason, the final
metrics, the commit that trained the run, the kind of machine, and `config`, the hash of all settings of the run. A task
whose data are licensed has the column `data` too: the name of the data in place of the paper's, empty for the paper's.
A study's file may change: rows of other seeds, values or settings are then no rows of the study.

The runs themselves stay in results/studies, on the machine that made them: they are not records that were accepted, and
they may be of any commit.
"""

import csv
import dataclasses
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from repro.errors import UserError
from repro.jobs.job import Job
from repro.jobs.ranges import Range
from repro.records import store
from repro.records.files import read_bytes, write_atomically
from repro.records.record import RunRecord
from repro.runs.config import Value, config_hash, from_mapping, provenance
from repro.runs.registry import get_task
from repro.studies.spec import StudySpec

FIRST, STATE, LAST = ("task", "variant", "seed"), ("status", "reason"), ("commit", "machine")
DATA, CONFIG = "data", "config"
STATUSES = ("unfinished", "pruned", "failed", "finished")
ENDED = ("failed", "finished")  # a run that was stopped early, or not yet made, may end so on another machine
COMMIT_DIGITS = 12

Row = dict[str, str]


class Written(NamedTuple):
    """A table that was written: how many of its runs are done, and how many rows of the one before it leaves out."""

    path: Path
    runs: int
    left_out: int


def path_of(study: StudySpec) -> Path:
    """Where the table of a study lies."""
    return store.HOME / "sweeps" / "tables" / f"{study.name}.csv"


def rows_of(study: StudySpec, where: Path | None = None) -> list[Row]:
    """A row for each run of the study that has a record below `where` (results/studies/STUDY/runs).

    Runs of other settings, such as those of an older version of the study's file, are left out. Raises UserError when a
    record cannot be read.
    """
    where = where or store.study_folder(study.name) / "runs"
    records = [record for _, record in store.read_all(where, study.task)] if where.is_dir() else []
    config_type = get_task(study.task).config
    configs = [from_mapping(config_type, record.config) for record in records]
    return [
        _row(job, record) | _data(study, config) | _settings(study, config)
        for config, record in zip(configs, records, strict=True)
        if (job := _job(study, config, record))
    ]


def _has_data(study: StudySpec) -> tuple[str, ...]:
    """The column of a run's data, which a task has whose data are licensed."""
    return (DATA,) if get_task(study.task).substitutes else ()


def _data(study: StudySpec, config: Any) -> Row:
    return dict.fromkeys(_has_data(study), get_task(study.task).data_of(config))


def _settings(study: StudySpec, config: Any) -> Row:
    """The column `config`. The version of the data is left out: another machine need not have it."""
    version = get_task(study.task).data_version(config)
    introduced = {key: p.introduced for key, p in provenance(type(config)).items() if key in version}
    return {CONFIG: config_hash(dataclasses.replace(config, **introduced))}


def config_of(study: StudySpec, job: Job, data: Mapping[str, Value] | None = None) -> Any:
    """The config of a job's run, on some data (None: on what this machine has)."""
    return get_task(study.task).resolve(job.variant, study.profile, study.overrides(job), data)


def _job(study: StudySpec, config: Any, record: RunRecord) -> Job | None:
    """The job of the study that a record is of, whatever its data; None if it is of none."""
    task = get_task(study.task)
    if record.variant not in study.variants or record.seed not in study.seeds + study.best_seeds:
        return None
    job = Job(tuple((key, getattr(config, key)) for key in study.keys), record.variant, record.seed)
    known = all(value in study.choices[key] for key, value in job.point)
    data = task.substitutes.get(task.data_of(config), {})
    return job if known and config == config_of(study, job, data) else None


def _row(job: Job, record: RunRecord) -> Row:
    """Numbers have seven digits: single precision has no more. A column of the study goes before a metric's."""
    return (
        {name: f"{value:.7g}" for name, value in sorted(record.metrics.items())}
        | _of_job(record.task, job)
        | {"status": record.status, "reason": record.reason}
        | {
            "commit": record.git_commit[:COMMIT_DIGITS] + "+" * record.git_dirty,
            "machine": record.machine or record.device,
        }
    )


def _of_job(task: str, job: Job) -> Row:
    return {"task": task} | {key: str(value) for key, value in job.params.items()}


def job_of(study: StudySpec, row: Row) -> Job:
    """The job that a row is of, with the values of the grid, or the numbers in the ranges, that its cells stand for."""
    point = tuple((key, _value(study.choices[key], row[key])) for key in study.keys)
    return Job(point, row["variant"], int(row["seed"]))


def _value(choice: Sequence[Value] | Range, text: str) -> Value:
    if isinstance(choice, Range):
        return int(text) if choice.is_whole else float(text)
    return next(value for value in choice if str(value) == text)


def write(study: StudySpec, path: Path | None = None, pruned: Iterable[Job] = ()) -> Written:
    """Write the table. Rows of the study's runs that are not on this machine stay, others are left out.

    `pruned` runs were stopped early and have no record, so their rows have no metrics, and the data of this machine.

    Of a run's rows the newest counts, and one that ended before one that did not. Raises UserError when a record, or
    the table that is there, cannot be read.
    """
    path = path or path_of(study)
    before = _read_all(study, path)
    kept = [row for row in before if not _foreign(study, row)]
    known = sorted([*kept, *_stopped(study, pruned), *rows_of(study)], key=_progress)
    rows = {_identity(study, row): row for row in known}
    keys, last = (*FIRST, *study.keys, *STATE), (*LAST, *_has_data(study), CONFIG)
    columns = [*keys, *sorted({name for row in rows.values() for name in row} - {*keys, *last}), *last]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[key] for key in sorted(rows, key=lambda key: (study.variants.index(key[0]), *key[1:])))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())
    done = sum(row["status"] != "unfinished" for row in rows.values())
    return Written(path, done, len(before) - len(kept))


def _progress(row: Row) -> int:
    """Rows that ended are alike; one that was stopped early counts more than one that is unfinished."""
    return STATUSES.index("finished" if row["status"] in ENDED else row["status"])


def _stopped(study: StudySpec, pruned: Iterable[Job]) -> list[Row]:
    configs = [(job, config_of(study, job)) for job in pruned]
    state = {"status": "pruned", "reason": ""}
    return [_of_job(study.task, job) | state | _data(study, c) | _settings(study, c) for job, c in configs]


def _identity(study: StudySpec, row: Mapping[str, str]) -> tuple[str, ...]:
    return (row["variant"], *(row[key] for key in study.keys), f"{int(row['seed']):010d}", row.get(DATA, ""))


def read(study: StudySpec, path: Path | None = None) -> list[Row]:
    """The rows of the table; none where there is no table.

    Raises UserError when the file is not a table of this study, or a row is of other seeds, values or settings.
    """
    path = path or path_of(study)
    rows = _read_all(study, path)
    for number, row in enumerate(rows, 2):
        if name := _foreign(study, row):
            raise UserError(
                f"{path}, line {number}: {name} = {row[name][:50]!r} is not of {study.name} as its file is now; "
                f"`repro sweep table {study.name}` leaves such rows out, `git checkout` restores what was committed"
            )
    return rows


def _read_all(study: StudySpec, path: Path) -> list[Row]:
    """All rows of the table. Raises UserError when it is none of this study."""
    if not path.exists():
        return []
    try:
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode(), newline=""), strict=True, restkey="")
        rows = list(reader)
        _check(study, reader.fieldnames or (), rows)
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is not a table of {study.name} ({error}); `git checkout` restores what was committed, "
            "or move it away where the study has new keys"
        ) from None
    return rows


def metrics_of(study: StudySpec, row: Row) -> dict[str, float]:
    """The final metrics that a row has."""
    others = {*FIRST, *study.keys, *STATE, *LAST, DATA, CONFIG}
    return {name: float(text) for name, text in row.items() if name not in others and text}


def read_paper(study: StudySpec) -> list[Row]:
    """The rows of the committed table whose runs were trained on the paper's data: what claims may be judged from.

    Raises UserError as `read` does.
    """
    return [row for row in read(study) if not row.get(DATA)]


def _check(study: StudySpec, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Raises ValueError where the columns, or the values of a line, are not those of a table of the study."""
    wanted = (*FIRST, *study.keys, *STATE, *LAST, *_has_data(study), CONFIG)
    if missing := [name for name in wanted if name not in columns]:
        raise ValueError(f"no column {missing[0]}")
    known = {"task": {study.task}, "status": set(STATUSES), DATA: {"", *get_task(study.task).substitutes}}
    for number, row in enumerate(rows, 2):
        if "" in row or None in row.values():
            raise ValueError(f"line {number} has another number of columns than the head")
        if wrong := [name for name, values in known.items() if row.get(name, "") not in values]:
            raise ValueError(f"line {number}: {wrong[0]} = {row[wrong[0]][:50]!r}")
        int(row["seed"])
        for name, span in study.ranges.items():
            int(row[name]) if span.is_whole else float(row[name])
        metrics_of(study, row)
    lines = {_identity(study, row): number for number, row in enumerate(rows, 2)}
    if twice := [number for number, row in enumerate(rows, 2) if lines[_identity(study, row)] != number]:
        raise ValueError(f"line {twice[0]} is of a run that has another line")


def _foreign(study: StudySpec, row: Row) -> str:
    """The first column whose value is not the study's; empty for a row of the study."""
    known = {"variant": study.variants, "seed": study.seeds + study.best_seeds, **study.grid}
    for name, values in known.items():
        if row[name] not in map(str, values):
            return name
    for name, span in study.ranges.items():
        if float(row[name]) not in span:
            return name
    config = config_of(study, job_of(study, row), get_task(study.task).substitutes.get(row.get(DATA, ""), {}))
    return "" if _settings(study, config) == {CONFIG: row[CONFIG]} else CONFIG
