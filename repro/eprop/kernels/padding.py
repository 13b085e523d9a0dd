"""Trials of unequal length in one batch: padding stands at the end of each, and is no part of it."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels.events import Held, SpikeTrains


def real_steps(lengths: Tensor, steps: int) -> Tensor:
    """Which steps are no padding, [batch, time], from `lengths` [batch] in steps."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def flip(x: Any, lengths: Tensor) -> Any:
    """Turn each trial of `x` [batch, time, ...] round within its own length [batch, in steps of x]; padding stays where
    it is. Its own inverse. On the tape for an array; `Held` inputs are turned by the frame."""
    if isinstance(x, Held):
        return x._replace(frames=flip(x.frames, torch.div(lengths, x.steps_each, rounding_mode="floor")))
    flipped: Tensor = _Flip.apply(x, lengths)
    return flipped


class _Flip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lengths: Tensor) -> Tensor:
        ctx.lengths = lengths
        step = torch.arange(x.shape[1], device=x.device)[:, None]
        source = torch.where(step < lengths, lengths - 1 - step, step)  # [time, batch]
        return x.transpose(0, 1)[source, torch.arange(x.shape[0], device=x.device)].transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Flip.apply(grads[0], ctx.lengths), None


def spikes_of(z: Tensor | SpikeTrains, lengths: Tensor | None) -> tuple[Tensor, int]:
    """How often each channel of `z` [batch, time, channel] spikes, padding apart, and in how many steps."""
    if isinstance(z, SpikeTrains):
        if lengths is None:
            return torch.bincount(z.channel, minlength=z.channels).double(), z.batch * z.steps
        real = real_steps(lengths, z.steps).T.flatten()  # [time, batch], as the events lie
        kept = torch.repeat_interleave(real, torch.diff(z.start))
        return torch.bincount(z.channel[kept], minlength=z.channels).double(), int(lengths.sum())
    if lengths is None:
        return z.sum(dim=(0, 1)), z.shape[0] * z.shape[1]
    return (z * real_steps(lengths, z.shape[1])[..., None]).sum(dim=(0, 1)), int(lengths.sum())
