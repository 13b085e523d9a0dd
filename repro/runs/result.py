"""How a run ended, and its record: of a finished run, of a failed one, or of a checkpoint."""

import dataclasses
import datetime
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from repro.records.record import RunRecord, append_journal, pack_arrays, write_record
from repro.runs.checkpoints import LAST
from repro.runs.config import config_hash
from repro.runs.provenance import git_state, versions
from repro.runs.recorder import Recorder
from repro.runs.task import Task


class RunResult(NamedTuple):
    """How a run ended: "finished", "failed" for a reason, or "unfinished" after so many iterations. `weights` is the
    SHA-256 of the final weights; empty for measurements and for unfinished runs."""

    status: str
    reason: str
    metrics: Mapping[str, float]
    arrays: Mapping[str, np.ndarray]
    weights: str


def now() -> str:
    """The time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run, its folder, and when this process started it (wall-clock timestamp and monotonic seconds)."""

    task: Task
    variant: str
    profile: str
    seed: int
    config: Any
    folder: Path
    device: str
    started: str = dataclasses.field(default_factory=now)
    clock: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def identity(self) -> str:
        """The identity that a checkpoint must have."""
        return f"{self.task.name} {self.variant} {config_hash(self.config)} seed {self.seed}"

    def begin(self, event: str) -> None:
        """Write to the journal."""
        append_journal(self.folder, event, time=self.started, profile=self.profile, seed=self.seed)

    def record(self, result: RunResult) -> RunRecord:
        """Write the record."""
        packed = pack_arrays(result.arrays)
        commit, dirty = git_state()
        record = RunRecord(
            self.task.name,
            self.variant,
            self.profile,
            self.seed,
            dataclasses.asdict(self.config),
            config_hash(self.config),
            result.status,
            result.reason,
            result.metrics,
            hashlib.sha256(packed).hexdigest(),
            result.weights,
            commit,
            dirty,
            versions(),
            self.device,
            torch.get_num_threads(),
            self.started,
            round(time.monotonic() - self.clock, 2),
        )
        write_record(self.folder, record, packed)
        append_journal(self.folder, result.status, time=now(), reason=result.reason, metrics=result.metrics)
        return record

    def record_unfinished(self) -> RunRecord:
        """Write the progress of the run at its last checkpoint: series and their final numbers, nothing that would have
        to be computed. Raises FileNotFoundError when there is no checkpoint."""
        saved, recorder = torch.load(self.folder / LAST, map_location="cpu", weights_only=True), Recorder()
        recorder.load_state_dict(saved["callbacks"][recorder.state_key])
        metrics = self.task.load("summary")(recorder.series, self.config)
        reason = f"{recorder.done} of {self.config.iterations} iterations"
        return self.record(RunResult("unfinished", reason, metrics, recorder.arrays(), ""))
