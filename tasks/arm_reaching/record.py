"""Final numbers of a run of task 2.1, on movements not used in training, and an example."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl

from repro.runs.observer import Arrays, Numbers, Observer
from tasks.arm_reaching import example
from tasks.arm_reaching.config import ArmReachingConfig

FINAL = 100  # the last iterations, over which the training series are averaged


def summary(series: Mapping[str, Any], config: ArmReachingConfig) -> Numbers:
    """Training metrics as means over the last iterations."""
    return {f"last_{name}": float(np.mean(series[name][-FINAL:])) for name in ("test_mse", "training_mse")}


def observers(config: ArmReachingConfig) -> list[Observer]:
    """The callbacks of a run."""
    return [Tested()]


class Tested(Observer):
    """The final numbers, on movements not used in training, and the arrays of panels 3c and 3d."""

    def results(self, trainer: pl.Trainer, pl_module: Any) -> tuple[Numbers, Arrays]:
        """See `Observer.results`."""
        return example.measured(pl_module), example.arrays(pl_module)
