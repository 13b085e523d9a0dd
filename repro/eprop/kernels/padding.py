"""Trials of unequal length in one batch: padding is at the end of each and does not count."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from repro.eprop.errors import UsageError
from repro.eprop.kernels.events import Held, SpikeTrains


def check_lengths(lengths: Tensor | None, batch: int, steps: int) -> None:
    """Raises UsageError unless `lengths` are whole numbers [batch] from 0 to the steps of a trial."""
    if lengths is None:
        return
    if not isinstance(lengths, Tensor) or lengths.dtype not in (torch.int32, torch.int64):
        kind = lengths.dtype if isinstance(lengths, Tensor) else type(lengths).__name__
        raise UsageError(f"lengths is of the type {kind}: it is a tensor [batch] of whole numbers (int32, int64)")
    if lengths.shape != (batch,):
        raise UsageError(f"lengths has the shape {list(lengths.shape)}: it is [batch], here [{batch}]")
    first, last = (int(lengths.min()), int(lengths.max())) if batch else (0, 0)
    if first < 0 or last > steps:
        raise UsageError(f"lengths lie between {first} and {last}: a trial has {steps} steps")


def real_steps(lengths: Tensor, steps: int, device: torch.device | None = None) -> Tensor:
    """Which steps are no padding, [batch, time], from `lengths` [batch] in steps; on the device of these if None."""
    lengths = lengths.to(device)
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def mask_(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Set what lies beyond the `lengths` [batch] of the trials to zero in x [batch, time, ...], in place."""
    if lengths is not None:
        for trial, length in zip(x, lengths.tolist(), strict=True):
            trial[length:] = 0
    return x


def without_padding(spikes: SpikeTrains, lengths: Tensor) -> SpikeTrains:
    """The spikes before the end of each trial; `lengths` [batch] in steps."""
    if bool((lengths == spikes.steps).all()):
        return spikes
    in_row = torch.diff(spikes.start)
    real = real_steps(lengths, spikes.steps, in_row.device).T.flatten()  # [time, batch], as the events lie
    start = torch.nn.functional.pad((in_row * real).cumsum(dim=0), (1, 0))
    return spikes._replace(channel=spikes.channel[torch.repeat_interleave(real, in_row)], start=start)


def flip(x: Any, lengths: Tensor) -> Any:
    """Reverse each trial of `x` [batch, time, ...] in time within its length [batch, in steps of x]; padding stays
    where it is. Applied twice, it returns `x`. Differentiable for an array. `Held` inputs are reversed by frames, of
    which each length has to be a multiple."""
    if isinstance(x, Held):
        return x._replace(frames=flip(x.frames, torch.div(lengths, x.steps_each, rounding_mode="floor")))
    flipped: Tensor = _Flip.apply(x, lengths)
    return flipped


class _Flip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lengths: Tensor) -> Tensor:
        ctx.lengths = lengths = lengths.to(x.device)
        step, trial = torch.arange(x.shape[1], device=x.device)[:, None], torch.arange(x.shape[0], device=x.device)
        source = torch.where(step < lengths, lengths - 1 - step, step) * x.shape[0] + trial  # whole rows: faster
        in_time = x.transpose(0, 1)
        return in_time.flatten(0, 1).index_select(0, source.flatten()).view(in_time.shape).transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Flip.apply(grads[0], ctx.lengths), None


def spike_counts(z: Tensor | SpikeTrains, lengths: Tensor | None) -> Tensor:
    """How often each channel of `z` [batch, time, channel] spikes without padding [channel]."""
    if isinstance(z, SpikeTrains):
        real = z if lengths is None else without_padding(z, lengths)
        return torch.bincount(real.channel, minlength=z.channels).double()
    return (z if lengths is None else z * real_steps(lengths, z.shape[1], z.device)[..., None]).sum(dim=(0, 1))


class KnownSpikes(NamedTuple):
    """What is known of an array of spikes: its events (padding included), the lengths of its trials, and the array's
    version counter, which any change of it in place raises, but for changes by `.data` or numpy."""

    events: SpikeTrains | None
    lengths: Tensor | None
    version: int


_KNOWN = WeakTensorKeyDictionary()  # beside the arrays: an attribute would be saved and copied with them


def remember(z: Tensor, events: SpikeTrains | None, lengths: Tensor | None) -> None:
    """Keep the events of an array of spikes as long as the array, so that later functions need not search for them.

    Not in torch's inference mode, in which arrays have no version counter."""
    if not z.is_inference():
        _KNOWN[z] = KnownSpikes(events, lengths, z._version)


def known_spikes(z: Tensor) -> KnownSpikes | None:
    """What is known of an array, or None where it is another array or has changed since."""
    known: KnownSpikes | None = _KNOWN.get(z)
    return None if known is None or known.version != z._version else known


def cheapest(z: Tensor | SpikeTrains) -> Tensor | SpikeTrains:
    """The spikes of an array in the form that costs least: as events where they are known, and as many as its sum."""
    if not isinstance(z, Tensor):
        return z
    known = known_spikes(z)
    if known is None or known.events is None:
        return z
    events = known.events if known.lengths is None else without_padding(known.events, known.lengths)
    return events if float(z.detach().sum()) == len(events.channel) else z
