"""A run's loggers: Lightning's own, behind a guard. They mirror the run's series and its record, and decide nothing."""

import bisect
import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from repro.errors import RunFailed, UserError
from repro.records.loggers import CSV, TENSORBOARD, WANDB
from repro.records.record import ARRAYS, RECORD, RunRecord, read_record
from repro.records.wandb_run import (
    PROJECT,
    finish,
    forget_id,
    keep_files,
    last_iteration,
    one_line,
    run_id,
    start,
    warn,
)
from repro.runs.config import config_hash
from repro.runs.provenance import git_state
from repro.runs.recorder import Recorder
from repro.runs.result import Run

SERIES = "series/"  # before a series' name, so that it is not taken for the record's metric of that name
ITERATION = "iteration"
EXIT_CODES = {"finished": 0, "unfinished": 75}  # of W&B runs; 1 for any other end


class RunLogger(Logger):
    """One of Lightning's loggers, of which `sent` is the last iteration that it has.

    Its first exception ends it, with a line of warning: training goes on without it. Hyperparameters are those of the
    run's config, sent once, and the end is that of the run, not of `Trainer.fit`: so Lightning's calls for these are
    ignored.
    """

    def __init__(self, kind: str, inner: Any, sent: int = 0) -> None:
        super().__init__()
        self.kind, self.inner, self.sent, self.works = kind, inner, sent, True

    @property
    def name(self) -> str | None:
        """See the logger."""
        return self.inner.name

    @property
    def version(self) -> int | str | None:
        """See the logger."""
        return self.inner.version

    @property
    def experiment(self) -> Any:
        """See the logger."""
        return self.inner.experiment

    def attempt(self, action: Callable[[], Any]) -> None:
        """Call `action`, unless the logger has ended; end it at an exception."""
        if not self.works:
            return
        try:
            action()
        except Exception as error:
            self.works = False
            warn(f"no more logging with {self.kind}: {one_line(error)}")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """See the logger."""
        self.attempt(lambda: self.inner.log_metrics(dict(metrics), step))

    def save(self) -> None:
        """See the logger."""
        self.attempt(self.inner.save)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def finalize(self, status: str) -> None:
        """Nothing."""


class WandbSeries(WandbLogger):
    """A WandbLogger whose step is the iteration: W&B ignores a step that it has."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send one row."""
        self.experiment.log({**metrics, ITERATION: step}, step=step)


class SeriesMirror(pl.Callback):
    """Sends the numbers of each iteration to the loggers, once, however often the run is interrupted.

    A logger that has them is sent nothing; one that lacks iterations before the checkpoint is sent these first.
    """

    def __init__(self, recorder: Recorder, loggers: Sequence[RunLogger]) -> None:
        self.recorder, self.loggers = recorder, loggers
        self.lengths: dict[str, int] = {}
        self.iterations: dict[str, list[int]] = {}  # of series that do not have a value in each iteration

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A resumed run: what a logger lacks."""
        self.lengths = {name: len(values) for name, values in self.recorder.series.items()}
        for iteration in range(1, self.recorder.done + 1):
            self._send(iteration)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """A step with metrics ends an iteration."""
        if outputs["metrics"]:
            self._note(self.recorder.done)
            self._send(self.recorder.done)

    def _note(self, iteration: int) -> None:
        for name, values in self.recorder.series.items():
            before = self.lengths.get(name, 0)
            if name not in self.iterations and len(values) != iteration:
                self.iterations[name] = list(range(1, before + 1))
            if name in self.iterations and len(values) > before:
                self.iterations[name].append(iteration)
            self.lengths[name] = len(values)

    def _send(self, iteration: int) -> None:
        lacking = [logger for logger in self.loggers if logger.sent < iteration]
        if row := self._row(iteration) if lacking else {}:
            for logger in lacking:
                logger.log_metrics(row, iteration)
                logger.sent = iteration

    def _row(self, iteration: int) -> dict[str, float]:
        row = {}
        for name, values in self.recorder.series.items():
            at = self.iterations.get(name)
            index = iteration - 1 if at is None else bisect.bisect_left(at, iteration)
            if (at is None and len(values) == self.recorder.done) or (
                at and index < len(at) and at[index] == iteration
            ):
                row[SERIES + name] = values[index]
        return row

    def state_dict(self) -> dict[str, Any]:
        """The iterations of the series that do not have a value in each."""
        return {name: torch.tensor(at) for name, at in self.iterations.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of the checkpoint."""
        self.iterations = {name: at.tolist() for name, at in state_dict.items()}


@contextlib.contextmanager
def tracked(run: Run, names: Sequence[str]) -> Iterator[list[RunLogger]]:
    """The loggers of a run; at the end of the block they receive what its record says, and how the block ended."""
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
            forget_id(run.folder)


def _open(run: Run, name: str) -> RunLogger | None:
    try:
        return {WANDB: _wandb, TENSORBOARD: _tensorboard, CSV: _csv}[name](run)
    except Exception as error:
        warn(f"no logging with {name}: {one_line(error)}")
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
    mirror = start(
        run.folder,
        project=PROJECT,
        group=f"{figure}/{name}/{run.variant}/{run.profile}",
        job_type="measure" if run.task.measure else "train",
        name=f"{run.variant}-seed-{run.seed}",
        tags=[figure, name, run.variant, run.profile],
        id=run_id(run.folder, f"{name}-{run.variant}-{config_hash(run.config)}-{run.seed}"),
        resume="allow",
        config=_settings(run),
    )
    if mirror is None:
        return None
    mirror.define_metric(ITERATION)
    mirror.define_metric(f"{SERIES}*", step_metric=ITERATION)
    return RunLogger(WANDB, WandbSeries(experiment=mirror), last_iteration(mirror))


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
    expected = {type(None): ("finished", "unfinished"), RunFailed: ("failed",), KeyboardInterrupt: ("unfinished",)}
    try:
        record = read_record(folder) if (folder / RECORD).exists() else None
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
    if record:
        status, reason = record.status, record.reason
    elif isinstance(error, KeyboardInterrupt):
        status, reason = "interrupted", "before the first checkpoint"
    else:
        status, reason = "failed", one_line(error) if error else "no record was written"
    mirror.summary.update({"status": status, "reason": reason, **metrics})
    if record:
        keep_files(mirror, {name: (folder / name).read_bytes() for name in (RECORD, ARRAYS)})
    finish(mirror, EXIT_CODES.get(status, 1))
