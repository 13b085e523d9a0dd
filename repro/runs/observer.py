"""Lightning callbacks through which a task measures and keeps things for the record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl

from repro.runs.recorder import Recorder

Numbers = dict[str, float]
Arrays = dict[str, np.ndarray[Any, Any]]


class Observer(pl.Callback):
    """Watches a run. A subclass uses Lightning's hooks and the run's `Recorder`, and may have `results`."""

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """Numbers and arrays that the record gains after the last iteration."""
        return {}, {}


class EachIteration(Observer):
    """Calls `after_iteration` when an iteration is recorded."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A step without metrics is a part of the iteration to come."""
        if outputs["metrics"]:
            self.after_iteration(recorder_of(trainer), trainer, pl_module, outputs)

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """Called when an iteration is recorded; `recorder.done` is the number of iterations so far."""


def recorder_of(trainer: Any) -> Recorder:
    """The run's recorder. Raises LookupError where the Trainer has none."""
    for callback in trainer.callbacks:
        if isinstance(callback, Recorder):
            return callback
    raise LookupError("an observer reads the series of a Recorder: put one before it into the Trainer's callbacks")
