"""The clock input and the target patterns of task 1.1."""

import math
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop.kernels.events import spike_trains
from repro.eprop.kernels.padding import remember
from repro.runs.loaders import IndexedLoader
from repro.runs.seeds import generator
from tasks.clock import clock
from tasks.pattern_generation.config import PatternGenerationConfig

FREQUENCIES_HZ = (1.0, 2.0, 3.0, 5.0)  # Pattern generation task 1.1


class PatternTrial(NamedTuple):
    """Input spikes [batch, time, input] and target patterns [batch, time, readout]."""

    inputs: Tensor
    target: Tensor


def patterns(config: PatternGenerationConfig, random: torch.Generator) -> Tensor:
    """Target patterns [time, readout]: sums of four sines of random amplitude and phase over the trial."""
    shape = (len(FREQUENCIES_HZ), config.n_out)
    low, high = config.amplitude_low, config.amplitude_high
    amplitude = low + (high - low) * torch.rand(shape, generator=random)
    phase = 2 * math.pi * torch.rand(shape, generator=random)
    t = torch.arange(round(config.trial_ms / config.dt_ms))[:, None, None] * (config.dt_ms / 1000)
    angle = 2 * math.pi * torch.tensor(FREQUENCIES_HZ)[:, None] * t + phase
    target = (amplitude * torch.sin(angle)).sum(dim=1)
    if config.target_scale == "tutorial":
        target = target - target[0]
        target = target / target.abs().amax(dim=0).clamp(min=1e-6)
    return target


class PatternGenerationData(pl.LightningDataModule):
    """The same trial again and again: the patterns belong to the seed."""

    def __init__(self, config: PatternGenerationConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        inputs = clock(config.n_in, config.trial_ms, config.clock_rate_hz, config.dt_ms)
        target = patterns(config, generator(seed, "targets"))
        inputs, target = (x.expand(config.batch_size, -1, -1).contiguous() for x in (inputs, target))
        remember(inputs, spike_trains(inputs), lengths=None)  # the layer then skips what is silent
        self.trial = PatternTrial(inputs, target)

    def train_dataloader(self) -> IndexedLoader:
        """One batch an iteration."""
        return IndexedLoader(lambda index: self.trial, self.config.iterations)
