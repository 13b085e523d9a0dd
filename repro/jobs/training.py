"""A run that a pool has in hand, and how it ended."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from typing import Literal, NamedTuple

from repro.errors import FAILED, FINISHED, PRUNED, UNFINISHED, UserError
from repro.jobs.job import Attempt
from repro.jobs.plan import PlannedRun
from repro.jobs.processes import why_it_ended
from repro.jobs.run_process import RunProcess
from repro.records.record import LOG, RunRecord, has_record, read_record
from repro.text import duration, shown

NO_METRICS: Mapping[str, float] = {}


class RunEnd(NamedTuple):
    """How an attempt ended. The detail: the headline metric, how far it came, or why it was lost or is broken."""

    state: Literal["finished", "pruned", "unfinished", "lost", "broken"]
    detail: str = ""
    metrics: Mapping[str, float] = NO_METRICS


@dataclasses.dataclass
class Training:
    """An attempt, its run, and the worker that trains it; None while another process has the same run.

    `deaths` are those of workers with this run.
    """

    attempt: Attempt
    run: PlannedRun
    worker: RunProcess | None = None
    deaths: int = 0
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def end(self, status: int) -> RunEnd:
        """How it ended, by its exit status and its record."""
        record = record_of(self.run)
        if status == FINISHED and record and record.status == "finished":
            return RunEnd("finished", headline(self.run, record.metrics), record.metrics)
        if status == PRUNED:
            return RunEnd("pruned")
        if status == UNFINISHED:
            return RunEnd("unfinished", record.reason if record else "")
        if status == FAILED and record and record.status == "failed":
            return RunEnd("lost", record.reason)
        return RunEnd("broken", why_it_ended(status, self.run.folder))

    def line(self, end: RunEnd) -> str:
        """The same in one phrase: "finished in 13 s, nmse 0.012"."""
        time_taken = duration(self.elapsed)
        if end.state == "finished":
            return ", ".join(filter(None, [f"finished in {time_taken}", end.detail]))
        if end.state == "pruned":
            return f"stopped early after {time_taken}"
        if end.state == "unfinished":
            return ": ".join(filter(None, [f"unfinished after {time_taken}", end.detail]))
        return f"failed after {time_taken}: {end.detail} (log: {shown(self.run.folder / LOG)})"


def record_of(run: PlannedRun) -> RunRecord | None:
    """The record of a run; None where there is none that can be read."""
    with contextlib.suppress(UserError):
        return read_record(run.folder) if has_record(run.folder) else None
    return None


def headline(run: PlannedRun, metrics: Mapping[str, float]) -> str:
    """ "nmse 0.012"; nothing where the run lacks the metric."""
    return f"{run.headline} {metrics[run.headline]:.3g}" if run.headline in metrics else ""
