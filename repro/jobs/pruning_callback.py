"""The callback that lets a study stop a run early; it asks a function, so that training needs no Optuna."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from repro.errors import RunPruned, unknown
from repro.jobs.job import Pruning
from repro.runs.observer import recorder_of


class PruningCallback(pl.Callback):
    """Reports a training metric now and then, and ends the run if `report` returns True."""

    def __init__(self, rule: Pruning, report: Callable[[int, float], bool]) -> None:
        """`report` takes the iteration and the metric, and returns whether the run should end."""
        self.rule, self.report = rule, report

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Raises RunPruned to end the run, UserError when training has no such metric. A step without metrics is a part
        of the iteration to come."""
        metrics, done = outputs["metrics"], recorder_of(trainer).done
        if not metrics:
            return
        if self.rule.metric not in metrics:
            raise unknown("training metric", self.rule.metric, metrics, of="[pruning]")
        if trainer.should_stop or done == pl_module.config.iterations:
            return  # it ends by itself, with a result
        since = done - self.rule.first
        if since >= 0 and since % self.rule.every == 0 and self.report(done, float(metrics[self.rule.metric])):
            raise RunPruned(f"stopped early, after {done} iterations: others were ahead of it")
