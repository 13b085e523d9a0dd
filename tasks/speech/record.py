"""Validation and test accuracy during a run of task 1.3, and one test utterance."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from repro.runs.observer import Arrays, EachIteration, Numbers, Observer
from repro.runs.recorder import Recorder
from tasks.speech import example
from tasks.speech.config import SpeechConfig

SMOOTHED = 20  # iterations over which the last firing rate is a mean


def summary(series: Mapping[str, Any], config: SpeechConfig) -> Numbers:
    """A run's final numbers: test accuracy where that on the validation set was highest, and at the end; none before
    either was measured."""
    if "validation_accuracy" not in series:
        return {}
    best = int(np.argmax(series["validation_accuracy"]))
    numbers = {
        "accuracy": float(series["test_accuracy"][best]),
        "validation_accuracy": float(series["validation_accuracy"][best]),
        "accuracy_last": float(series["test_accuracy"][-1]),
        "best_epoch": float(series["evaluated_after"][best] * config.batch_size / config.train_utterances),
    }
    if "rate_hz" in series:
        numbers["rate_hz"] = float(np.mean(series["rate_hz"][-SMOOTHED:]))
    return numbers


def observers(config: SpeechConfig) -> list[Observer]:
    """The callbacks of a run."""
    return [Accuracy(max(1, config.iterations // config.evaluations), config.iterations), Example()]


class Accuracy(EachIteration):
    """Measures validation and test accuracy every so many iterations and after the last."""

    def __init__(self, every: int, iterations: int) -> None:
        self.every, self.iterations = every, iterations

    def after_iteration(
        self, recorder: Recorder, trainer: pl.Trainer, pl_module: Any, outputs: Mapping[str, Any]
    ) -> None:
        """See `EachIteration.after_iteration`."""
        if recorder.done % self.every and recorder.done != self.iterations:
            return
        data: Any = trainer
        recorder.add("evaluated_after", recorder.done)
        for split in ("validation", "test"):
            value = accuracy(pl_module, data.datamodule, split)
            recorder.add(f"{split}_accuracy", value)
            pl_module.log(f"{split}_accuracy", value)


@torch.no_grad()
def accuracy(module: Any, data: Any, split: str) -> float:
    """The share of all frames of a split that are predicted right."""
    right = frames = 0.0
    for batch in data.evaluation_batches(split):
        here = module.transfer_batch_to_device(batch, module.device, 0)
        right_here, frames_here = module.right_frames(module.read(here), here)
        right, frames = right + float(right_here), frames + float(frames_here)
    return right / frames


class Example(Observer):
    """One test utterance, for panel 2c."""

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """See `Observer.results`."""
        data: Any = trainer
        return {}, example.arrays(pl_module, data.datamodule)
