"""How a run ended, and its record: of a finished run, of a failed one, or of a checkpoint."""

import dataclasses
import datetime
import hashlib
import math
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from repro.eprop.kernels.products import matrix_library
from repro.errors import UserError
from repro.records.arrays import pack_arrays
from repro.records.record import Device, Part, RunRecord, Status, append_journal, checked_record, write_record
from repro.runs.checkpoints import LAST, load, parts_of
from repro.runs.config import config_hash
from repro.runs.provenance import git_state, machine, memory_bytes, versions
from repro.runs.recorder import Recorder
from repro.runs.task import Task


class RunResult(NamedTuple):
    """How a run ended: "finished", "failed" for a reason, or "unfinished" after so many iterations.

    `weights` is the SHA-256 of the final weights, empty for measurements and for unfinished runs; `weights_file` the
    bytes that keep them, of a finished run.
    """

    status: Status
    reason: str
    metrics: Mapping[str, float]
    arrays: Mapping[str, np.ndarray]
    weights: str = ""
    weights_file: bytes = b""


def now() -> str:
    """The time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run, its folder, when this process started it (wall-clock timestamp and monotonic seconds), and the `earlier`
    parts of a run that it resumes."""

    task: Task
    variant: str
    profile: str
    seed: int
    config: Any
    folder: Path
    device: Device
    earlier: tuple[Part, ...] = ()
    started: str = dataclasses.field(default_factory=now)
    clock: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def identity(self) -> str:
        """The identity that a checkpoint must have."""
        return f"{self.task.name} {self.variant} {config_hash(self.config)} seed {self.seed}"

    def begin(self, event: str) -> None:
        """Write to the journal."""
        append_journal(self.folder, event, time=self.started, profile=self.profile, seed=self.seed)

    def parts(self, iterations: int) -> tuple[Part, ...]:
        """The parts of the run up to now, when so many iterations are done."""
        commit, dirty = git_state()
        part = Part(
            started=self.started,
            wall_s=round(time.monotonic() - self.clock, 2),
            iterations=iterations,
            device=self.device,
            machine=machine(self.device),
            threads=torch.get_num_threads(),
            git_commit=commit,
            git_dirty=dirty,
        )
        return (*self.earlier, part)

    def record(self, result: RunResult, parts: tuple[Part, ...]) -> RunRecord:
        """Write the record. A metric that is not finite has no value: it is left out.

        Raises UserError when the task gives something that no record can hold.
        """
        packed, last = pack_arrays(result.arrays), parts[-1]
        seconds = sum(part.wall_s for part in parts)
        record = checked_record(
            task=self.task.name,
            variant=self.variant,
            profile=self.profile,
            seed=self.seed,
            config=dataclasses.asdict(self.config),
            config_hash=config_hash(self.config),
            status=result.status,
            reason=result.reason,
            metrics={name: float(value) for name, value in result.metrics.items() if math.isfinite(value)},
            arrays_sha256=hashlib.sha256(packed).hexdigest(),
            weights_sha256=result.weights,
            weights_file_sha256=hashlib.sha256(result.weights_file).hexdigest() if result.weights_file else "",
            git_commit=last.git_commit,
            git_dirty=any(part.git_dirty for part in parts),
            versions=versions(),
            device=last.device,
            machine=last.machine,
            threads=last.threads,
            started=parts[0].started,
            wall_s=round(seconds, 2),
            parts=parts,
            extras=self._measured(parts, seconds),
        )
        record = write_record(self.folder, record, packed, result.weights_file)
        append_journal(self.folder, result.status, time=now(), reason=result.reason, metrics=dict(record.metrics))
        return record

    def _measured(self, parts: tuple[Part, ...], seconds: float) -> dict[str, float | str]:
        """Seconds per iteration, over all parts; of this process, if it trained, its peak memory and that on its GPU,
        and the library of its matrix products on the CPU."""
        measured: dict[str, float | str] = {}
        if parts[-1].iterations:
            measured["seconds_per_iteration"] = seconds / parts[-1].iterations
        if parts != self.earlier:
            measured["matrix_library"] = matrix_library()
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            measured["peak_memory_mb"] = memory_bytes(most) / 1e6
            if self.device == "cuda":
                measured["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
        return measured

    def record_unfinished(self) -> RunRecord:
        """Write the progress of the run at its last checkpoint: series and their final numbers, nothing that would have
        to be computed. Raises UserError when there is no whole checkpoint."""
        saved, recorder = load(self.folder / LAST), Recorder()
        try:
            recorder.load_state_dict(saved["callbacks"][recorder.state_key])
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UserError(f"{self.folder / LAST} has no series; delete it to train from the start") from None
        metrics = self.task.load("summary")(recorder.series, self.config)
        reason = f"{recorder.done} of {self.config.iterations} iterations"
        return self.record(
            RunResult("unfinished", reason, metrics, recorder.arrays()), parts_of(saved, self.folder / LAST)
        )
