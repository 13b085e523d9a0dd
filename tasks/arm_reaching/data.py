"""Batches of movements for task 2.1: fresh ones in every iteration."""

from typing import NamedTuple

import pytorch_lightning as pl
from torch import Tensor

from repro.eprop.kernels.events import SpikeTrains, spike_trains
from repro.runs.loaders import IndexedLoader
from repro.runs.seeds import generator
from tasks.arm_reaching.config import ArmReachingConfig
from tasks.arm_reaching.encoding import encoded
from tasks.arm_reaching.movements import Family, Movements, movements
from tasks.clock import clock


class ArmBatch(NamedTuple):
    """Movements to learn in one shot each.

    The clock `inputs` [1, time, input] of both trials, the same in all tasks; y* [batch, time, feature] as the error
    module receives it in the training trial and in the test trial; and the movements.
    """

    inputs: SpikeTrains
    target_input: Tensor
    test_target_input: Tensor
    movements: Movements


def family(config: ArmReachingConfig) -> Family:
    """The movements that a config describes."""
    c = config
    return Family(
        c.trial_ms,
        c.dt_ms,
        c.components,
        c.amplitude_high,
        c.omega_low,
        c.omega_high,
        c.omega_reading,
        c.peak_to_peak,
    )


def batch(config: ArmReachingConfig, seed: int, purpose: str, index: int, size: int) -> ArmBatch:
    """Batch number `index` for "training" or "test", of `size` movements: a pure function of its arguments."""
    moved = movements(family(config), size, seed, purpose, index)
    random = generator(seed, purpose, "encoding", index)
    target_input, test_target_input = (
        encoded(config.target_input, moved.positions, config.target_neurons, config.dt_ms, random) for _ in range(2)
    )
    ticks = clock(config.n_in, config.trial_ms, config.clock_rate_hz, config.dt_ms)
    return ArmBatch(spike_trains(ticks[None]), target_input, test_target_input, moved)


class ArmReachingData(pl.LightningDataModule):
    """Fresh movements in every iteration."""

    def __init__(self, config: ArmReachingConfig, seed: int) -> None:
        super().__init__()
        self.config, self.seed = config, seed

    def train_dataloader(self) -> IndexedLoader:
        """One batch an iteration."""
        c = self.config
        return IndexedLoader(lambda index: batch(c, self.seed, "training", index, c.batch_size), c.iterations)
