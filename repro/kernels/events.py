"""Input spikes as lists of events: what a network need not do for silent channels is most of the work."""

from typing import NamedTuple

import torch
from torch import Tensor


class SpikeTrains(NamedTuple):
    """Spikes of `channels` input channels over `steps` steps in `batch` trials, each of size one.

    The channels that spike at step t of trial b are `channel[start[t * batch + b] : start[t * batch + b + 1]]`;
    `channel` [event] and `start` [steps * batch + 1] are whole numbers (int64).
    """

    channel: Tensor
    start: Tensor
    batch: int
    steps: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(batch, time, input), as of the dense array."""
        return self.batch, self.steps, self.channels

    @property
    def device(self) -> torch.device:
        """Where the events lie."""
        return self.channel.device

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The same as an array of zeros and ones [batch, time, input]."""
        spikes = torch.zeros(self.steps * self.batch, self.channels, dtype=dtype, device=self.device)
        row = torch.repeat_interleave(torch.diff(self.start))
        spikes[row, self.channel] = 1
        return spikes.view(self.steps, self.batch, self.channels).transpose(0, 1)


def spike_trains(spikes: Tensor) -> SpikeTrains:
    """The events of an array of zeros and ones [batch, time, input]."""
    batch, steps, channels = spikes.shape
    rows = spikes.transpose(0, 1).reshape(steps * batch, channels) != 0
    start = torch.nn.functional.pad(rows.sum(dim=1).cumsum(dim=0), (1, 0))
    return SpikeTrains(rows.nonzero()[:, 1].contiguous(), start, batch, steps, channels)
