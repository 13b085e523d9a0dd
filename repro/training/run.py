"""One run: config -> Trainer -> record. Called again, it goes on where it was interrupted."""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch

from repro.config import config_hash
from repro.errors import Busy, RunFailed, UserError
from repro.kernels.heap import keep_freed_memory
from repro.records import wandb_mirror
from repro.records.record import RECORD, RunRecord, append_journal, pack_arrays, read_record, write_record
from repro.records.store import run_folder
from repro.rules.callback import learning_rules
from repro.rules.settings import WindowSettings
from repro.task import Task
from repro.training.checkpoints import LAST, AtomicCheckpoints, resumable
from repro.training.provenance import git_state, versions
from repro.training.recorder import Bar, LogLine, Recorder, Saver

CHECKPOINTS = 20  # a run


def run(
    task: Task,
    variant: str,
    profile: str,
    seed: int,
    overrides: Mapping[str, str] | None = None,
    out: Path | None = None,
    device: str = "cpu",
    callbacks: Sequence[pl.Callback] = (),
) -> RunRecord:
    """Train one variant with one seed (or measure, where a task trains nothing), or read the record if that is done.

    `callbacks` watch training and change nothing about it; an exception of theirs ends the run without a record.
    Raises UserError for bad input (nothing is written then), Busy when another process trains this very run, RunFailed
    when training was lost (its record says why).
    """
    config = task.resolve(variant, profile, overrides)
    rules = learning_rules(config)  # a combination without a meaning is told before anything is written
    if device == "cuda" and task.measure:
        raise UserError(f"--device cuda: {task.name} is measured on the CPU; leave --device out")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; use --device cpu")
    folder = run_folder(task.name, variant, config_hash(config), seed, out or "runs")
    if (folder / RECORD).exists():
        record = read_record(folder)
        if record.status == "finished":
            return record
    if task.measure:
        with _claimed(folder):
            return _measure(task, variant, profile, seed, config, folder)
    data = task.load("data")(config, seed)
    with _claimed(folder):
        return _train(task, variant, profile, seed, config, data, folder, device, rules, callbacks)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no two processes train the same run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise UserError(f"cannot write results to {folder} ({error.strerror}); choose another with --out") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(f"another process is training {folder} right now") from None
        yield


def _train(
    task: Task,
    variant: str,
    profile: str,
    seed: int,
    config: Any,
    data: pl.LightningDataModule,
    folder: Path,
    device: str,
    rules: Sequence[pl.Callback],
    callbacks: Sequence[pl.Callback],
) -> RunRecord:
    _quiet()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    settings, started, clock = dataclasses.asdict(config), _now(), time.monotonic()
    identity = f"{task.name} {variant} {config_hash(config)} seed {seed}"
    checkpoint = resumable(folder, identity)
    append_journal(folder, "resumed" if checkpoint else "started", time=started, profile=profile, seed=seed)
    module = task.load("module")(config, seed)
    recorder = Recorder()
    mirror = wandb_mirror.logger(folder, task.figure, task.name, variant, profile, seed, settings)
    trainer = _trainer(config, recorder, mirror, folder, identity, device, rules, callbacks)
    status, reason = "finished", ""
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt
    except RunFailed as error:
        status, reason = "failed", str(error)
    finally:
        if mirror is not None:
            mirror.experiment.finish()
    weights, arrays, metrics = weights_hash(module), recorder.arrays(), {}
    if status == "finished":
        found, drawn = module.analysis(data, recorder.snapshots)
        metrics, arrays = module.summary(recorder.series, config) | found, arrays | drawn
    outcome = Outcome(status, reason, metrics, arrays, weights)
    record = _record(task, variant, profile, seed, config, folder, device, started, clock, outcome)
    if status == "failed":
        (folder / LAST).unlink(missing_ok=True)
        raise RunFailed(f"{identity}: {reason}")
    return record


class Outcome(NamedTuple):
    """What came of a run: "finished", or "failed" for a reason; the hash of its weights, empty where it has none."""

    status: str
    reason: str
    metrics: Mapping[str, float]
    arrays: Mapping[str, np.ndarray]
    weights: str


def _measure(task: Task, variant: str, profile: str, seed: int, config: Any, folder: Path) -> RunRecord:
    """A run without training: no checkpoint, no mirror."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    started, clock = _now(), time.monotonic()
    append_journal(folder, "started", time=started, profile=profile, seed=seed)
    metrics, arrays = task.load("measure")(config, seed)
    outcome = Outcome("finished", "", metrics, arrays, "")
    return _record(task, variant, profile, seed, config, folder, "cpu", started, clock, outcome)


def _record(
    task: Task,
    variant: str,
    profile: str,
    seed: int,
    config: Any,
    folder: Path,
    device: str,
    started: str,
    clock: float,
    outcome: Outcome,
) -> RunRecord:
    """Write the record of a run that started at `started`, when the clock stood at `clock` seconds."""
    packed = pack_arrays(outcome.arrays)
    commit, dirty = git_state()
    record = RunRecord(
        task.name,
        variant,
        profile,
        seed,
        dataclasses.asdict(config),
        config_hash(config),
        outcome.status,
        outcome.reason,
        outcome.metrics,
        hashlib.sha256(packed).hexdigest(),
        outcome.weights,
        commit,
        dirty,
        versions(),
        device,
        torch.get_num_threads(),
        started,
        round(time.monotonic() - clock, 2),
    )
    write_record(folder, record, packed)
    append_journal(folder, outcome.status, time=_now(), reason=outcome.reason, metrics=outcome.metrics)
    return record


def _trainer(
    config: Any,
    recorder: Recorder,
    mirror: Any,
    folder: Path,
    identity: str,
    device: str,
    rules: Sequence[pl.Callback],
    callbacks: Sequence[pl.Callback],
) -> pl.Trainer:
    every = max(1, config.iterations // CHECKPOINTS)
    bar = [Bar(recorder, config.iterations)] if sys.stderr.isatty() else [LogLine(recorder, every, config.iterations)]
    return pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_epochs=1,
        max_steps=-1 if isinstance(config, WindowSettings) else config.iterations,  # the data end by themselves
        logger=mirror or False,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        callbacks=[*rules, recorder, Saver(recorder, folder / LAST, every), *bar, *callbacks],
        enable_checkpointing=False,  # Saver's are enough
        gradient_clip_val=getattr(config, "clip_norm", 0) or None,
        plugins=[AtomicCheckpoints(identity)],
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def weights_hash(module: torch.nn.Module) -> str:
    """One hash over all parameters: two runs with the same one are bit-identical."""
    digest = hashlib.sha256()
    for name, parameter in sorted(module.named_parameters()):
        digest.update(name.encode() + parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _quiet() -> None:
    """Lightning's hints on devices and workers say nothing about runs like ours."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message=".*(does not have many workers|isinstance.treespec).*")
