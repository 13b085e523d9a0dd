"""Callbacks of every run: series and snapshots for its record, checkpoints, progress; it ends a run that has failed."""

import math
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar

from repro.errors import RunFailed
from repro.records.progress import EVERY_SECONDS, write_progress
from repro.runs.bootstrap import TO_END

SILENT_TRIALS = 20


class Recorder(pl.Callback):
    """Keeps the metrics of each iteration, and what observers add; ends a run that has failed. Every checkpoint
    contains them."""

    def __init__(self) -> None:
        self.series: dict[str, list[float]] = {}
        self.snapshots: dict[int, dict[str, torch.Tensor]] = {}

    @property
    def done(self) -> int:
        """Iterations so far; one may be several batches."""
        return len(self.series.get("loss", []))

    def add(self, name: str, value: float) -> None:
        """Append to a series; series may have different lengths."""
        self.series.setdefault(name, []).append(float(value))

    def keep(self, snapshot: dict[str, torch.Tensor]) -> None:
        """Keep something of this iteration."""
        self.snapshots[self.done] = snapshot

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Append to the series; raise RunFailed for a run that has gone to NaN or silence. A step without metrics is a
        part of the iteration to come."""
        if not outputs["metrics"]:
            return
        for name, value in outputs["metrics"].items():
            self.add(name, value)
        self._check(self.done)

    def _check(self, done: int) -> None:
        if not np.isfinite(self.series["loss"][-1]):
            raise RunFailed(f"the loss became {self.series['loss'][-1]} in iteration {done}: try a lower learning_rate")
        if done >= SILENT_TRIALS:
            self._check_silence(SILENT_TRIALS)

    def _check_silence(self, trials: int) -> None:
        recent = self.series.get("rate_hz", [])[-trials:]
        if recent and max(recent) == 0:
            done = len(self.series["rate_hz"])
            raise RunFailed(
                f"dead network: no spike in {len(recent)} iterations up to {done}; try a lower v_th or learning_rate"
            )

    def check_end(self, module: pl.LightningModule) -> None:
        """Check the final weights for NaN (no later loss would show it), and the last iterations for spikes. Raises
        RunFailed. It is no hook: Lightning calls none where a run resumes after its last iteration."""
        self._check_silence(SILENT_TRIALS // 2)
        for name, parameter in module.named_parameters():
            if not torch.isfinite(parameter).all():
                raise RunFailed(f"{name} is not finite after the last iteration: try a lower learning_rate")

    def state_dict(self) -> dict[str, Any]:
        """Series as tensors (float64: nothing is lost), snapshots by iteration."""
        series = {name: torch.tensor(values, dtype=torch.float64) for name, values in self.series.items()}
        return {"series": series, "snapshots": {str(done): shot for done, shot in self.snapshots.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of the checkpoint."""
        self.series = {name: values.tolist() for name, values in state_dict["series"].items()}
        self.snapshots = {int(done): shot for done, shot in state_dict["snapshots"].items()}

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Series [iteration] in float32."""
        return {name: np.asarray(values, np.float32) for name, values in self.series.items()}


class TimeLimitReached(Exception):
    """Training has used its minutes, or a signal has asked for its end; the checkpoint is of its last iteration."""

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.signal = number


class CheckpointEvery(pl.Callback):
    """Saves a checkpoint every `every` complete iterations.

    Once `minutes` have passed, or the process was asked to end, saves and raises TimeLimitReached at the end of the
    current iteration, but not if training is finished or no iteration is complete.
    """

    def __init__(self, recorder: Recorder, path: Path, every: int, iterations: int, minutes: float) -> None:
        self.recorder, self.path, self.every, self.iterations = recorder, path, every, iterations
        self.end = time.monotonic() + 60 * minutes
        self.signal: int | None = None  # the first that asked us to end

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over signals until training ends: Lightning puts back what was there before. The minutes may have passed
        when the run is resumed."""
        if threading.current_thread() is threading.main_thread():
            for number in TO_END:
                signal.signal(number, self._note)
        if self.recorder.done and self._is_late(trainer):
            raise TimeLimitReached(self.signal)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """A step with metrics ends an iteration."""
        if not outputs["metrics"]:
            return
        late = self._is_late(trainer)
        if late or self.recorder.done % self.every == 0:
            trainer.save_checkpoint(self.path)
        if late:
            raise TimeLimitReached(self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number

    def _is_late(self, trainer: pl.Trainer) -> bool:
        left = self.recorder.done < self.iterations and not trainer.should_stop
        return left and (self.signal is not None or time.monotonic() >= self.end)


class Heartbeat(pl.Callback):
    """Writes how far the run is to its folder, every few seconds."""

    def __init__(self, recorder: Recorder, folder: Path, iterations: int) -> None:
        self.recorder, self.folder, self.iterations = recorder, folder, iterations
        self.first, self.start, self.written = 0, 0.0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A resumed run does not begin with the first iteration."""
        self.first, self.start = self.recorder.done, time.monotonic()
        self._write()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """A batch may be a part of an iteration: the file is rewritten all the same, as a sign of life."""
        if time.monotonic() - self.written >= EVERY_SECONDS:
            self._write()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measurements after the last iteration may take a while."""
        self._write()

    def _write(self) -> None:
        done, self.written = self.recorder.done, time.monotonic()
        pace = (self.written - self.start) / (done - self.first) if done > self.first else math.nan
        latest = {name: values[-1] for name, values in self.recorder.series.items()}
        write_progress(self.folder, done, self.iterations, latest, pace * (self.iterations - done))


class ProgressBar(TQDMProgressBar):
    """On a terminal: a bar of iterations with their latest metrics."""

    def __init__(self, recorder: Recorder, iterations: int) -> None:
        super().__init__(refresh_rate=10)
        self.recorder, self.iterations = recorder, iterations

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """A run is one epoch: no need to count them."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description("training")
        self.train_progress_bar.total = self.iterations

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *args: Any) -> None:
        """A batch is an iteration, or one window of it."""
        done = self.recorder.done
        if outputs["metrics"] and self._should_update(done, self.iterations):
            self.train_progress_bar.n = done
            self.train_progress_bar.set_postfix(self.get_metrics())

    def get_metrics(self, *_: Any) -> dict[str, int | str | float | dict[str, float]]:
        """The metrics after the bar."""
        return {name: f"{values[-1]:.3g}" for name, values in self.recorder.series.items()}


class LogLine(pl.Callback):
    """Where there is no terminal for a progress bar: one line now and then."""

    def __init__(self, recorder: Recorder, every: int, iterations: int) -> None:
        self.recorder, self.every, self.iterations, self.start = recorder, every, iterations, time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        """Print iteration, metrics and time so far."""
        done = self.recorder.done
        if outputs["metrics"] and done % self.every == 0:
            metrics = "  ".join(f"{name} {float(value):.4g}" for name, value in outputs["metrics"].items())
            seconds = time.monotonic() - self.start
            print(f"iteration {done}/{self.iterations}  {metrics}  {seconds:.0f} s", file=sys.stderr)
