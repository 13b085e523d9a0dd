"""Sends a run's series to its loggers: each iteration once, and none of them can end training."""

import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, WandbLogger

from repro.records.wandb_run import ITERATION, SERIES, one_line, warn
from repro.runs.recorder import Recorder


class RunLogger(Logger):
    """One of Lightning's loggers, of which `sent` is the last iteration that it has.

    Its first exception ends it, with a line of warning: training continues without it. Hyperparameters are those of the
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

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A resumed run: what a logger lacks. (There is no start of training where no iteration is left.)"""
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
