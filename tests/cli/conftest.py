"""A results folder of the test's own, and records in it that look finished."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.jobs.plan import PlannedRun
from repro.records import store
from repro.records.arrays import pack_arrays
from repro.records.record import RunRecord, write_record
from repro.runs.registry import get_task

Write = Callable[..., RunRecord]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder that everything in this process uses."""
    root = tmp_path / "results"
    (root / "runs").mkdir(parents=True)
    (root / "accepted").mkdir()
    monkeypatch.setattr(store, "ROOT", root)
    return root


def written(job: PlannedRun, status: str = "finished", reason: str = "", nmse: float = 0.012) -> RunRecord:
    """Write the record of a job, as a run would."""
    arrays = pack_arrays({})
    job.folder.mkdir(parents=True, exist_ok=True)
    made = RunRecord(
        task=job.task,
        variant=job.variant,
        profile=job.profile,
        seed=job.seed,
        config=dataclasses.asdict(get_task(job.task).resolve(job.variant, job.profile)),
        config_hash=job.folder.parent.name.rpartition("-")[2],
        status=status,
        reason=reason,
        metrics={"nmse": nmse} if status == "finished" else {},
        arrays_sha256=hashlib.sha256(arrays).hexdigest(),
        weights_sha256="",
        git_commit="0",
        git_dirty=False,
        versions={},
        device="cpu",
        threads=1,
        started="2026-01-01T00:00:00+00:00",
        wall_s=11.0,
    )
    write_record(job.folder, made, arrays)
    return made


@pytest.fixture
def write() -> Write:
    """The function that writes a job's record."""
    return written
