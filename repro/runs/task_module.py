"""What the Lightning modules of our tasks share: a config, a seed, and random numbers by purpose."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch

from repro.runs.config import from_mapping
from repro.runs.seeds import generator
from repro.runs.sharing import shared_metrics


class TaskModule(pl.LightningModule):
    """A LightningModule made from a config and a seed, which are its hyperparameters.

    A `training_step` returns "loss" and "metrics" (the numbers of an iteration, which it also logs; none where a step
    is a part of an iteration), and what the observers of the task read.
    """

    config_type: ClassVar[type]

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        if isinstance(config, Mapping):  # out of a checkpoint
            config = from_mapping(self.config_type, config)
        self.config, self.seed = config, seed
        self.save_hyperparameters({"config": dataclasses.asdict(config), "seed": seed})

    def generator(self, purpose: str) -> torch.Generator:
        """The run's random numbers for one purpose."""
        return generator(self.seed, purpose)

    def log_shared(self, metrics: dict[str, torch.Tensor], trials: int) -> dict[str, torch.Tensor]:
        """Log the means of an iteration's metrics over all processes that share it, and return them."""
        metrics = shared_metrics(metrics)
        self.log_dict(metrics, batch_size=trials)
        return metrics

    def adam(self, **options: Any) -> torch.optim.Optimizer:
        """Adam with default moments over all parameters, at the config's learning rate."""
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True, **options)

    def adam_with_decay(self) -> Any:
        """Adam, and a learning rate that is multiplied by a factor after so many iterations: every time, or once where
        the config has decay="once"."""
        c, optimizer = self.config, self.adam()
        schedule: Any = torch.optim.lr_scheduler.StepLR(optimizer, c.decay_every, c.decay_factor)
        if getattr(c, "decay", "every") == "once":
            schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [c.decay_every], c.decay_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
