"""What the records cost, and what they were made with."""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from repro.records.record import RunRecord

DEVICES = {"cpu": "CPU", "cuda": "GPU"}


@dataclasses.dataclass(frozen=True)
class Cost:
    """The runs of one task: how many of each status, and hours by device: core-hours of a CPU, hours of a GPU."""

    task: str
    runs: int
    finished: int
    unfinished: int
    lost: int
    core_hours: float
    gpu_hours: float


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the records come from: first and last day, commits, machines and versions with their numbers of runs."""

    runs: int
    first_day: str
    last_day: str
    commits: Sequence[tuple[str, int]]
    machines: Sequence[tuple[str, int]]
    versions: Sequence[tuple[str, int]]


def costs(records: Sequence[tuple[Path, RunRecord]]) -> list[Cost]:
    """One row a task, and the sum of all as the last."""
    tasks = dict.fromkeys(record.task for _, record in records)
    of_task = [_cost(task, [record for _, record in records if record.task == task]) for task in tasks]
    return [*of_task, _cost("all", [record for _, record in records])]


def _cost(task: str, records: Sequence[RunRecord]) -> Cost:
    status = collections.Counter(record.status for record in records)
    spent = {device: sum(_hours(record, device) for record in records) for device in DEVICES}
    return Cost(
        task, len(records), status["finished"], status["unfinished"], status["failed"], spent["cpu"], spent["cuda"]
    )


def _hours(record: RunRecord, device: str) -> float:
    """Hours on a device; on a CPU times the threads."""
    return sum(
        part.wall_s * (part.threads if device == "cpu" else 1) / 3600
        for part in record.parts or (record,)
        if part.device == device
    )


def origin(records: Sequence[tuple[Path, RunRecord]]) -> Origin:
    """How the records were made, over all of their parts; most runs first. There is at least one record."""
    days = sorted(record.started[:10] for _, record in records)
    commits, machines, versions = (collections.Counter[str]() for _ in range(3))
    for _, record in records:
        made = record.parts or (record,)
        commits.update({part.git_commit[:12] or "unknown" for part in made})
        machines.update({f"{part.machine or 'not recorded'} ({DEVICES[part.device]})" for part in made})
        versions.update({", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))})
    ranked = [counts.most_common() for counts in (commits, machines, versions)]
    return Origin(len(records), days[0], days[-1], *ranked)
