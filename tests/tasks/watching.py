"""Callbacks that watch a run from outside, or give it weights to begin with: for tests that work a run out by hand."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor


class LearningRates(pl.Callback):
    """The learning rate of every update."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        (rate,) = {group["lr"] for group in optimizer.param_groups}
        self.values.append(float(rate))


class Gradients(pl.Callback):
    """The gradients of the first update, by the names of the parameters."""

    def __init__(self) -> None:
        self.first: dict[str, Tensor] = {}

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        if not self.first:
            named = pl_module.named_parameters()
            self.first = {name: p.grad.detach().clone() for name, p in named if p.grad is not None}


class Weights(pl.Callback):
    """Sets parameters before the first iteration: to a tensor, or to one value throughout."""

    def __init__(self, values: Mapping[str, Tensor | float]) -> None:
        self.values = values

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with torch.no_grad():
            for name, value in self.values.items():
                parameter = pl_module.get_parameter(name)
                parameter.copy_(torch.as_tensor(value, dtype=parameter.dtype).expand_as(parameter))


class SpikeTimes(pl.Callback):
    """When each neuron spiked in the first trial of the first iteration."""

    def __init__(self) -> None:
        self.times: list[list[int]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        if not self.times:
            trains = outputs["spikes"][0].T
            self.times = [train.nonzero().flatten().tolist() for train in trains]
