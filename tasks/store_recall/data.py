"""Trials of task 1.2: when to store, when to recall, and the Poisson spikes that encode the commands."""

from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from repro.eprop.kernels.events import SpikeTrains
from repro.runs.loaders import EvaluationLoader, IndexedLoader
from repro.runs.seeds import generator
from tasks.store_recall.config import StoreRecallConfig

VALUE, STORE, RECALL = 0, 2, 3  # groups of channels: value 0, value 1, STORE, RECALL
GROUPS = 4
EVALUATED_BATCHES = 4  # of `trainer.validate`, `test` and `predict`


class Schedule(NamedTuple):
    """What happens in each period of a batch of trials, [batch, period].

    `value` is the bit that the input shows (not while RECALL); `target` the bit to report at a RECALL, else -1.
    """

    value: Tensor
    store: Tensor
    recall: Tensor
    target: Tensor


class RecallTrial(NamedTuple):
    """A batch of trials: input spikes, and the commands and values that they encode."""

    inputs: SpikeTrains
    schedule: Schedule


def schedule(config: StoreRecallConfig, batch: int, random: torch.Generator) -> Schedule:
    """Commands and values of `batch` trials; a trial that is not allowed is drawn again."""
    kept: list[Schedule] = []
    while sum(len(s.value) for s in kept) < batch:
        drawn = _draw(config, 4 * batch, random)
        complete = drawn.recall.any(dim=1) & (drawn.store.sum(dim=1) == drawn.recall.sum(dim=1))
        good = complete if config.sequences == "complete" else torch.ones_like(complete)
        kept.append(Schedule(*(series[good] for series in drawn)))
    return Schedule(*(torch.cat(parts)[:batch] for parts in zip(*kept, strict=True)))


def _draw(config: StoreRecallConfig, batch: int, random: torch.Generator) -> Schedule:
    periods = config.trial_ms // config.period_ms
    value = torch.randint(2, (batch, periods), generator=random)
    command = torch.rand(batch, periods, generator=random) < config.command_probability
    stored = torch.full((batch,), -1)  # the bit held in store, -1 when it is a STORE's turn
    store, recall, target = torch.zeros_like(command), torch.zeros_like(command), torch.full_like(value, -1)
    for k in range(periods):
        holding = stored >= 0
        store[:, k], recall[:, k] = command[:, k] & ~holding, command[:, k] & holding
        target[:, k] = torch.where(recall[:, k], stored, -1)
        stored = torch.where(store[:, k], value[:, k], torch.where(recall[:, k], -1, stored))
    return Schedule(value, store, recall, target)


def active_groups(plan: Schedule) -> Tensor:
    """Which groups of channels fire, [batch, period, group]."""
    shown = ~plan.recall
    return torch.stack([shown & (plan.value == 0), shown & (plan.value == 1), plan.store, plan.recall], dim=-1)


def poisson(config: StoreRecallConfig, active: Tensor, random: torch.Generator) -> SpikeTrains:
    """Spikes of the channels of `active` groups [batch, period, group], each ms with the same small probability.

    Drawn by the gaps between spikes (geometric), along all the places where one could be: no random number is spent on
    the many places where none is.
    """
    batch, periods, _ = active.shape
    steps, per_group = round(config.period_ms / config.dt_ms), config.group_channels
    chance = config.input_rate_hz * config.dt_ms / 1000
    rows, channels = [], []
    for k in range(periods):
        trial, channel = active[:, k].repeat_interleave(per_group, dim=1).nonzero().unbind(dim=1)
        place = _bernoulli_places(steps * len(trial), chance, random)
        step, cell = place.div(max(len(trial), 1), rounding_mode="floor"), place % max(len(trial), 1)
        rows.append((k * steps + step) * batch + trial[cell])
        channels.append(channel[cell])
    counts = torch.bincount(torch.cat(rows), minlength=periods * steps * batch)
    start = torch.nn.functional.pad(counts.cumsum(dim=0), (1, 0))
    return SpikeTrains(torch.cat(channels), start, batch, periods * steps, GROUPS * per_group)


def _bernoulli_places(places: int, chance: float, random: torch.Generator) -> Tensor:
    """The successes, in order, of `places` independent trials of the same chance."""
    found, last = [], -1
    while last < places - 1:
        expected = (places - 1 - last) * chance
        gaps = torch.empty(int(expected + 4 * expected**0.5 + 16)).geometric_(chance, generator=random)
        found.append(last + gaps.long().cumsum(dim=0))
        last = int(found[-1][-1])
    at = torch.cat(found) if found else torch.empty(0, dtype=torch.long)
    return at[at < places]


def trials(config: StoreRecallConfig, seed: int, purpose: str, index: int) -> RecallTrial:
    """Batch number `index` for "training", "validation" or "test": a pure function of its arguments."""
    random = generator(seed, purpose, index)
    plan = schedule(config, config.batch_size, random)
    return RecallTrial(poisson(config, active_groups(plan), random), plan)


class StoreRecallData(pl.LightningDataModule):
    """Fresh trials in every iteration."""

    def __init__(self, config: StoreRecallConfig, seed: int) -> None:
        super().__init__()
        self.config, self.seed = config, seed

    def train_dataloader(self) -> IndexedLoader:
        """One batch an iteration."""
        return IndexedLoader(lambda index: self._trials("training", index), self.config.iterations)

    def val_dataloader(self) -> EvaluationLoader:
        """Trials that are never trained on."""
        return EvaluationLoader(lambda index: self._trials("validation", index), EVALUATED_BATCHES)

    def test_dataloader(self) -> EvaluationLoader:
        """Trials that are neither trained on nor validated with."""
        return EvaluationLoader(lambda index: self._trials("test", index), EVALUATED_BATCHES)

    def predict_dataloader(self) -> EvaluationLoader:
        """Those of the test."""
        return self.test_dataloader()

    def _trials(self, purpose: str, index: int) -> RecallTrial:
        return trials(self.config, self.seed, purpose, index)
