"""A run's loggers: Lightning's own, behind a guard. They mirror the run's series and its record, and decide nothing."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from repro.errors import RunFailed, Terminated, UserError
from repro.records import wandb_run
from repro.records.loggers import CSV, TENSORBOARD, WANDB
from repro.records.record import ARRAYS, RECORD, RunRecord, has_record, read_record
from repro.runs.config import config_hash
from repro.runs.provenance import git_state
from repro.runs.result import Run
from repro.runs.series_mirror import RunLogger, WandbSeries

EXIT_CODES = {"finished": 0, "unfinished": 75}  # of W&B runs; 1 for any other end


@contextlib.contextmanager
def tracked(run: Run, names: Sequence[str]) -> Iterator[list[RunLogger]]:
    """The loggers of a run; at the end of the block they receive what its record contains, and how the block ended."""
    loggers = [logger for logger in (_open(run, name) for name in names) if logger]
    error: BaseException | None = None
    try:
        yield loggers
    except BaseException as raised:
        error = raised
        raise
    finally:
        if loggers:
            record = _record_of(run.folder, error)
            for logger in loggers:
                logger.attempt(lambda logger=logger: _close(logger, run.folder, record, error))  # type: ignore[misc]
        if isinstance(error, RunFailed):
            wandb_run.forget_id(run.folder)


def _open(run: Run, name: str) -> RunLogger | None:
    try:
        return {WANDB: _wandb, TENSORBOARD: _tensorboard, CSV: _csv}[name](run)
    except Exception as error:
        wandb_run.warn(f"no logging with {name}: {wandb_run.one_line(error)}")
        return None


def _settings(run: Run) -> dict[str, Any]:
    commit, _ = git_state()
    return dataclasses.asdict(run.config) | {
        "task": run.task.name,
        "variant": run.variant,
        "profile": run.profile,
        "seed": run.seed,
        "config_hash": config_hash(run.config),
        "commit": commit,
    }


def _wandb(run: Run) -> RunLogger | None:
    name, figure = run.task.name, run.task.figure
    mirror = wandb_run.start(
        run.folder,
        project=wandb_run.PROJECT,
        group=f"{figure}/{name}/{run.variant}/{run.profile}",
        job_type="measure" if run.task.measure else "train",
        name=f"{run.variant}-seed-{run.seed}",
        tags=[figure, name, run.variant, run.profile],
        id=wandb_run.run_id(run.folder, f"{name}-{run.variant}-{config_hash(run.config)}-{run.seed}"),
        resume="allow",
        config=_settings(run),
    )
    if mirror is None:
        return None
    try:
        mirror.define_metric(wandb_run.ITERATION)
        mirror.define_metric(f"{wandb_run.SERIES}*", step_metric=wandb_run.ITERATION)
        return RunLogger(WANDB, WandbSeries(experiment=mirror), wandb_run.last_iteration(mirror))
    except BaseException:
        mirror.finish(exit_code=1)
        raise


def _tensorboard(run: Run) -> RunLogger:
    inner = TensorBoardLogger(_emptied(run.folder / TENSORBOARD), name="", version="", default_hp_metric=False)
    inner.log_hyperparams(_settings(run))
    return RunLogger(TENSORBOARD, inner)


def _csv(run: Run) -> RunLogger:
    inner = CSVLogger(_emptied(run.folder / CSV), name="", version="")
    inner.log_hyperparams(_settings(run))
    return RunLogger(CSV, inner)


def _emptied(folder: Path) -> Path:
    """A resumed run writes these files anew: its checkpoint has all of its series."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _record_of(folder: Path, error: BaseException | None) -> RunRecord | None:
    """The record that the block has written; None where it ended without one."""
    expected = {type(None): ("finished", "unfinished"), RunFailed: ("failed",)}
    expected |= dict.fromkeys((KeyboardInterrupt, Terminated), ("unfinished",))
    try:
        record = read_record(folder) if has_record(folder) else None
    except UserError:
        return None
    return record if record and record.status in expected.get(type(error), ()) else None


def _close(logger: RunLogger, folder: Path, record: RunRecord | None, error: BaseException | None) -> None:
    """Send the record's numbers under their names in it, and how the run ended."""
    metrics = dict(record.metrics) if record else {}
    if not isinstance(logger.inner, WandbSeries):
        if metrics:
            logger.inner.log_metrics(metrics, logger.sent)
        logger.inner.save()
        logger.inner.finalize("success" if record and record.status == "finished" else "failed")
        return
    mirror = logger.experiment
    status: str
    if record:
        status, reason = record.status, record.reason
    elif isinstance(error, KeyboardInterrupt):
        status, reason = "interrupted", "before the first checkpoint"
    else:
        status, reason = "failed", wandb_run.one_line(error) if error else "no record was written"
    mirror.summary.update({"status": status, "reason": reason, **metrics})
    if record:
        wandb_run.keep_files(mirror, {name: (folder / name).read_bytes() for name in (RECORD, ARRAYS)})
    wandb_run.finish(mirror, EXIT_CODES.get(status, 1))
