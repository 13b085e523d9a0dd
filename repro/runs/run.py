"""One run: config -> Trainer -> record. A second call resumes an interrupted run."""

import contextlib
import dataclasses
import fcntl
import math
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from repro.eprop.errors import NotFiniteError, UsageError
from repro.errors import Busy, RunFailed, Terminated, UserError
from repro.records.loggers import default_loggers
from repro.records.record import LOCK, RECORD, Device, RunRecord, has_record, read_record
from repro.records.store import run_folder
from repro.runs.bootstrap import check_possible, hidden_gpus, prepare_training, use_one_thread
from repro.runs.checkpoints import LAST, AtomicCheckpoints, resumable
from repro.runs.config import config_hash, from_mapping
from repro.runs.provenance import git_state
from repro.runs.recorder import CheckpointEvery, Heartbeat, LogLine, ProgressBar, Recorder, TimeLimitReached
from repro.runs.result import Run, RunResult
from repro.runs.rule_settings import WindowSettings
from repro.runs.rules import learning_rules
from repro.runs.series_mirror import RunLogger, SeriesMirror
from repro.runs.task import Task
from repro.runs.tracking import tracked
from repro.runs.weights import packed_weights, weights_hash

CHECKPOINTS = 20  # a run


def run(
    task: Task,
    variant: str,
    profile: str,
    seed: int,
    overrides: Mapping[str, str] | None = None,
    out: Path | None = None,
    device: Device = "cpu",
    callbacks: Sequence[pl.Callback] = (),
    minutes: float | None = None,
    loggers: Sequence[str] | None = None,
) -> RunRecord:
    """Train one variant with one seed (or measure, where a task trains nothing), or read the record if that is done.

    `callbacks` watch training and change nothing about it; an exception of theirs ends the run without a record.
    After `minutes` training stops with the iteration that it is in, and the record is of an unfinished run; 0 minutes
    make that record of the checkpoint that is there. A second call resumes an unfinished run from its checkpoint.
    `loggers` (names in `repro.records.loggers`; None: the default ones) mirror the run; one that fails is left out.
    Raises UserError for bad input (nothing is written then), Busy when another process trains this very run, RunFailed
    when training failed (its record has the reason), KeyboardInterrupt when it was interrupted, and `Terminated` when
    it was asked to end (the record is then of an unfinished run, if there is a checkpoint).
    """
    git_state()  # now, not when the first checkpoint is saved
    config = task.resolve(variant, profile, overrides)
    rules = learning_rules(config, seed)  # refuses what has no meaning before anything is written
    check_possible(task, device, minutes)
    folder = run_folder(task.name, variant, config_hash(config), seed, out or "runs")
    if finished := _finished(config, folder):
        return finished
    if minutes == 0 and not (folder / LAST).exists():
        raise UserError(f"--minutes 0: there is no checkpoint in {folder} to make a record of; train for a while first")
    data = None if task.measure else task.load("data")(config, seed)
    with _claimed(folder):
        if finished := _finished(config, folder):  # another process has ended it since
            return finished
        this = Run(task, variant, profile, seed, config, folder, device)
        with tracked(this, default_loggers() if loggers is None else loggers) as mirrors:
            if data is None:
                return _measure(this)
            return _train(this, data, rules, mirrors, callbacks, math.inf if minutes is None else minutes)


def _finished(config: Any, folder: Path) -> RunRecord | None:
    """The record, if the run is finished. Raises UserError for one whose config is not that whose hash it carries."""
    record = read_record(folder) if has_record(folder) else None
    if record is None or record.status != "finished":
        return None
    if from_mapping(type(config), record.config) != config:
        raise UserError(
            f"{folder / RECORD} has another config than its hash {record.config_hash} stands for; move it away"
        )
    return record


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no two processes train the same run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")
    except OSError as error:
        raise UserError(f"cannot write results to {folder} ({error.strerror}); choose another with --out") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another process is training {folder} right now") from None
        except OSError:
            pass  # a network folder without locks: the leases of a queue decide who trains the run
        yield


def _train(
    run: Run,
    data: pl.LightningDataModule,
    rules: Sequence[pl.Callback],
    loggers: Sequence[RunLogger],
    callbacks: Sequence[pl.Callback],
    minutes: float,
) -> RunRecord:
    prepare_training()
    earlier = resumable(run.folder, run.identity)
    if earlier is not None:
        run = dataclasses.replace(run, earlier=earlier)
    checkpoint = None if earlier is None else run.folder / LAST
    run.begin("resumed" if checkpoint else "started")
    module, recorder = run.task.load("module")(run.config, run.seed), Recorder()
    observers = run.task.load("observers")(run.config) if run.task.observers else []
    trainer = _trainer(run, recorder, loggers, [*rules, recorder, *observers], callbacks, minutes)
    try:
        with _sentences(), hidden_gpus(run.device):
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt
        recorder.check_end(module)
        with _sentences():
            result = _result(run, trainer, recorder, observers)
    except RunFailed as error:
        result = RunResult("failed", str(error), {}, recorder.arrays(), weights_hash(module))
        run.record(result, run.parts(recorder.done))
        (run.folder / LAST).unlink(missing_ok=True)
        raise RunFailed(f"{run.identity}: {error}") from None
    except TimeLimitReached as reached:
        record = run.record_unfinished()
        if reached.signal is None:
            return record
        if signal.getsignal(reached.signal) is not signal.SIG_DFL:
            signal.raise_signal(reached.signal)  # now for its own handler
        raise Terminated from None
    except (KeyboardInterrupt, SystemExit) as stop:  # Lightning makes an exit of an interrupt, which is its context
        if (run.folder / LAST).exists():
            run.record_unfinished()
        asked_to_end = isinstance(stop.__context__ or stop, Terminated)
        raise (Terminated if asked_to_end else KeyboardInterrupt) from None
    return run.record(result, run.parts(recorder.done))


def _result(run: Run, trainer: pl.Trainer, recorder: Recorder, observers: Sequence[Any]) -> RunResult:
    """What a finished run has learned. Raises RunFailed where a final number is not finite, as after divergence."""
    module = trainer.lightning_module
    metrics, arrays = run.task.load("summary")(recorder.series, run.config), recorder.arrays()
    for observer in observers:
        numbers, drawn = observer.results(trainer, module)
        metrics, arrays = metrics | numbers, arrays | drawn
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise RunFailed(f"{wrong[0]} is not finite: training diverged, or there was nothing to measure")
    return RunResult("finished", "", metrics, arrays, weights_hash(module), packed_weights(module))


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """The library's exceptions as those of a run: training that has diverged, and bad input."""
    try:
        yield
    except NotFiniteError:
        raise RunFailed("membrane voltages are no longer finite: try a lower learning_rate") from None
    except UsageError as error:
        raise UserError(str(error)) from None


def _measure(run: Run) -> RunRecord:
    """A run without training: no checkpoint, no series."""
    use_one_thread()
    run.begin("started")
    metrics, arrays = run.task.load("measure")(run.config, run.seed)
    return run.record(RunResult("finished", "", metrics, arrays), run.parts(0))


def _trainer(
    run: Run,
    recorder: Recorder,
    loggers: Sequence[RunLogger],
    watching: Sequence[pl.Callback],
    callbacks: Sequence[pl.Callback],
    minutes: float,
) -> pl.Trainer:
    config, every = run.config, max(1, run.config.iterations // CHECKPOINTS)
    saver = CheckpointEvery(recorder, run.folder / LAST, every, config.iterations, minutes)
    heartbeat = Heartbeat(recorder, run.folder, config.iterations)
    terminal = sys.stderr.isatty()
    progress = ProgressBar(recorder, config.iterations) if terminal else LogLine(recorder, every, config.iterations)
    return pl.Trainer(
        accelerator="gpu" if run.device == "cuda" else "cpu",
        devices=1,
        max_epochs=1,
        max_steps=-1 if isinstance(config, WindowSettings) else config.iterations,  # the data end by themselves
        logger=list(loggers) or False,
        log_every_n_steps=0,  # the mirror sends each iteration's numbers, once
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        callbacks=[*watching, SeriesMirror(recorder, loggers), saver, heartbeat, progress, *callbacks],
        enable_checkpointing=False,  # the saver's are enough
        limit_val_batches=0,  # observers evaluate
        gradient_clip_val=getattr(config, "clip_norm", 0) or None,
        # In a job of Slurm, Lightning would requeue the job at a signal; a run only stops.
        plugins=[AtomicCheckpoints(run.identity, lambda: run.parts(recorder.done)), LightningEnvironment()],
        use_distributed_sampler=False,
        default_root_dir=run.folder,
    )
