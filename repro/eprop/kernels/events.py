"""Spikes as lists of events: the products skip silent channels and neurons, which saves most of the work.

`linear` and `outer` take spikes in either form, as events or as an array, and inputs that are held for some steps. On a
GPU they make an array of events: a product is fast there, and sums over events would come in another order each time.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.errors import UsageError, check_whole
from repro.eprop.kernels import dispatch
from repro.eprop.kernels.products import product

# Of the elements of a product: below this share one by one is faster than a whole product.
FEW_WANTED = 0.18
EACH = 8  # one in so many steps is looked at to know which share is wanted


class SpikeTrains(NamedTuple):
    """Spikes of `channels` channels (or neurons) over `steps` steps in `batch` trials, each of size one.

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
        """(batch, time, channel), as of the dense array."""
        return self.batch, self.steps, self.channels

    @property
    def device(self) -> torch.device:
        """Where the events lie."""
        return self.channel.device

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The same as an array of zeros and ones [batch, time, channel]."""
        spikes = torch.zeros(self.steps * self.batch, self.channels, dtype=dtype, device=self.device)
        row = torch.repeat_interleave(torch.diff(self.start))
        spikes[row, self.channel] = 1
        return spikes.view(self.steps, self.batch, self.channels).transpose(0, 1)


def spike_trains(spikes: Tensor) -> SpikeTrains:
    """The events of an array of zeros and ones [batch, time, channel]. Raises UsageError for any other."""
    check_kind(spikes, "the argument of spike_trains", events=False)
    if spikes.dim() != 3:
        raise UsageError(f"spike_trains takes spikes [batch, time, channel], not of the shape {list(spikes.shape)}")
    array = spikes != 0
    if spikes.dtype != torch.bool and not torch.equal(array.to(spikes.dtype), spikes):
        raise UsageError("spike_trains takes zeros and ones: give an array of other values to the layer as it is")
    batch, steps, channels = spikes.shape
    rows = array.transpose(0, 1).reshape(steps * batch, channels)
    start = torch.nn.functional.pad(rows.sum(dim=1).cumsum(dim=0), (1, 0))
    return SpikeTrains(rows.nonzero()[:, 1].contiguous(), start, batch, steps, channels)


def some_trials(spikes: SpikeTrains, first: int, stop: int) -> SpikeTrains:
    """The spikes of trials `first` to `stop` - 1."""
    in_row = torch.diff(spikes.start).view(spikes.steps, spikes.batch)
    wanted = torch.zeros_like(in_row, dtype=torch.bool)
    wanted[:, first:stop] = True
    start = torch.nn.functional.pad(in_row[:, first:stop].flatten().cumsum(dim=0), (1, 0))
    channel = spikes.channel[torch.repeat_interleave(wanted.flatten(), in_row.flatten())]
    return spikes._replace(channel=channel, start=start, batch=stop - first)


class Held(NamedTuple):
    """Inputs that stay the same for a while: each row of `frames` [batch, frame, channel] lasts `steps_each` steps."""

    frames: Tensor
    steps_each: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(batch, time, channel), as of the dense array."""
        batch, frames, channels = self.frames.shape
        return batch, frames * self.steps_each, channels

    @property
    def device(self) -> torch.device:
        """Where the frames lie."""
        return self.frames.device

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The same as an array [batch, time, channel]."""
        return self.frames.to(dtype).repeat_interleave(self.steps_each, dim=1)


Spikes = Tensor | SpikeTrains
Inputs = Spikes | Held
torch.serialization.add_safe_globals([SpikeTrains, Held])  # torch.load refuses classes that it does not know


def check_kind(x: Any, what: str, events: bool = True, held: bool = False) -> None:
    """Raises UsageError unless x is a tensor of real numbers, or, where allowed, SpikeTrains or Held inputs."""
    if events and isinstance(x, SpikeTrains):
        _check_events(x, what)
        return
    array = x.frames if held and isinstance(x, Held) else x
    if not isinstance(array, Tensor):
        right = "a tensor" + ", SpikeTrains" * events + " or Held" * held
        meant = isinstance(x, tuple) and not isinstance(x, SpikeTrains | Held)
        hint = "; did you mean z, state = layer(x, return_state=True)?" if meant else ""
        raise UsageError(f"{what} is of the type {type(array).__name__}: it is {right}{hint}")
    if array.is_complex() or array.layout != torch.strided:
        kind = "complex" if array.is_complex() else "sparse or nested"
        raise UsageError(f"{what} is {kind}: it is a dense tensor of real numbers")
    if isinstance(x, Held):
        check_whole("Held", steps_each=x.steps_each)
        if array.dim() != 3:
            raise UsageError(f"Held has frames of the shape {list(array.shape)}: they are [batch, frame, channel]")


def _check_events(spikes: SpikeTrains, what: str) -> None:
    """Raises UsageError for events that would lead the kernels outside of their arrays. On a GPU the question would
    wait for the device: it is not asked there."""
    channel, start = spikes.channel, spikes.start
    if channel.device.type != "cpu":
        return
    fits = channel.dim() == start.dim() == 1 and len(start) == spikes.batch * spikes.steps + 1
    if not fits or int(start[0]) != 0 or int(start[-1]) != len(channel):
        raise UsageError(
            f"{what}: SpikeTrains.start is no place of each step and trial among the {len(channel)} events"
        )
    if len(channel) and (int(channel.min()) < 0 or int(channel.max()) >= spikes.channels):
        raise UsageError(f"{what}: SpikeTrains.channel goes beyond its {spikes.channels} channels")


def linear(spikes: Inputs, weights: Tensor) -> Tensor:
    """The linear map of spikes [batch, time, pre] by `weights` [post, pre]: [batch, time, post], time first in memory.

    On the tape for `weights`.
    """
    if isinstance(spikes, Held):
        of_frame = linear(spikes.frames, weights).transpose(0, 1)
        return of_frame.repeat_interleave(spikes.steps_each, dim=0).transpose(0, 1)
    if isinstance(spikes, SpikeTrains):
        weights = weights if weights.dtype in (torch.float32, torch.float64) else weights.float()
        if spikes.device.type != "cuda":
            mapped: Tensor = _EventLinear.apply(weights, spikes)
            return mapped
        spikes = spikes.dense(weights.dtype)
    spikes = spikes.to(weights.dtype)
    if spikes.shape[0] == 1:  # one product; of [time, 1, pre] torch makes one a step
        return torch.nn.functional.linear(spikes[0], weights)[None]
    return torch.nn.functional.linear(spikes.transpose(0, 1), weights).transpose(0, 1)


def of_frames(delta: Tensor, held: Held) -> Tensor:
    """The sum of delta [batch, time, post] over the steps of each frame that is held: [batch, frame, post]."""
    return delta.transpose(0, 1).unflatten(0, (-1, held.steps_each)).sum(dim=1).transpose(0, 1)


def outer(delta: Tensor, spikes: Inputs) -> Tensor:
    """sum over batch and time of delta_j^t x_i^t: [post, pre]; delta [batch, time, post], x [batch, time, pre]."""
    if isinstance(spikes, Held):
        return outer(of_frames(delta, spikes), spikes.frames)
    flat = delta.transpose(0, 1).reshape(-1, delta.shape[2])
    if isinstance(spikes, SpikeTrains) and spikes.device.type == "cuda":
        spikes = spikes.dense(delta.dtype)
    if not isinstance(spikes, SpikeTrains):
        rows = spikes.to(delta.dtype).transpose(0, 1).reshape(-1, spikes.shape[2])
        # The narrower one on the left: with two columns on the right the libraries are several times slower.
        return product(flat.T, rows) if flat.shape[1] <= rows.shape[1] else product(rows.T, flat).T
    gradient: Tensor = dispatch.of(delta).event_outer(flat, spikes.channel, spikes.start, spikes.channels)
    return gradient


def delayed_outer(delta: Tensor, spikes: Spikes, before: Tensor) -> Tensor:
    """sum over batch and time of delta_j^t z_i^(t-1): [post, pre]; `before` [batch, pre] is z before the first step."""
    first = delta[:, 0].T @ before.to(delta.dtype)
    if not isinstance(spikes, SpikeTrains):
        return first + outer(delta[:, 1:], spikes[:, :-1])
    start = spikes.start[: len(spikes.start) - spikes.batch]
    sent = spikes._replace(channel=spikes.channel[: start[-1]], start=start, steps=spikes.steps - 1)
    return first + outer(delta[:, 1:], sent)


def linear_each(spikes: Spikes, weights: Tensor) -> Tensor:
    """As `linear`, with separate weights for each trial [batch, post, pre]; off the tape. Spikes of one trial are those
    of all."""
    if not isinstance(spikes, SpikeTrains):
        return times(spikes.to(weights.dtype), weights.mT)
    if spikes.device.type == "cuda":
        return times(spikes.dense(weights.dtype), weights.mT)
    mapped: Tensor = dispatch.of(weights).event_linear_each(spikes.channel, spikes.start, weights, spikes.steps)
    return mapped


def outer_each(delta: Tensor, spikes: Spikes) -> Tensor:
    """As `outer`, a separate sum for each trial [batch, post, pre]: over time alone; off the tape. Spikes of one trial
    are those of all."""
    if not isinstance(spikes, SpikeTrains):
        return delta.mT @ spikes.to(delta.dtype)
    if spikes.device.type == "cuda":
        return delta.mT @ spikes.dense(delta.dtype)
    summed: Tensor = dispatch.of(delta).event_outer_each(delta, spikes.channel, spikes.start, spikes.channels)
    return summed


def series(like: Tensor, batch: int, steps: int, n: int) -> Tensor:
    """An empty [batch, time, neuron] that lies in memory as [time, batch, neuron], of the dtype of `like`."""
    return torch.empty(steps, batch, n, dtype=like.dtype, device=like.device).transpose(0, 1)


def times(x: Tensor, weights: Tensor, where: Tensor | None = None) -> Tensor:
    """x [batch, time, pre] by `weights` [pre, post] of all trials, or [batch, pre, post] of each: [batch, time, post],
    time first in memory; off the tape. An x of one trial is that of all.

    Where `where` [batch, time, post] is zero the result is not needed. Where it is that of one trial, [1, time, post],
    the result is the sum over trials.
    """
    some = None if where is None or x.device.type != "cpu" else where[:, ::EACH]
    if some is not None and torch.count_nonzero(some) < FEW_WANTED * some.numel():
        wanted: Tensor = dispatch.of(x).product_where(x, weights, where)
        return wanted
    y = _whole_product(x, weights)
    return y if where is None or len(where) == len(y) else y.sum(dim=0, keepdim=True)


def _whole_product(x: Tensor, weights: Tensor) -> Tensor:
    if weights.ndim == 2:
        rows = x.transpose(0, 1)
        return product(rows.flatten(0, 1), weights.contiguous()).unflatten(0, rows.shape[:2]).transpose(0, 1)
    if x.device.type == "cuda":
        return x @ weights
    y = series(x, len(weights), x.shape[1], weights.shape[2])
    for trial, trial_weights, out in zip(x.expand(len(weights), -1, -1), weights, y, strict=True):
        torch.mm(trial, trial_weights, out=out)  # one product of all trials would come batch first
    return y


def delayed(series: Tensor, first: Tensor) -> Tensor:
    """Each step's value one step later, beginning with `first` [batch, neuron]."""
    return torch.cat([first[:, None], series[:, :-1]], dim=1)


def arriving(spikes: Spikes, before: Tensor) -> Spikes:
    """Spikes [batch, time, pre] one step later, beginning with `before` [batch, pre]."""
    if not isinstance(spikes, SpikeTrains) or before.any():
        dense = spikes if isinstance(spikes, Tensor) else spikes.dense(before.dtype)
        return delayed(dense, before.to(dense.dtype))
    start = torch.nn.functional.pad(spikes.start[: len(spikes.start) - spikes.batch], (spikes.batch, 0))
    return spikes._replace(channel=spikes.channel[: start[-1]], start=start)


class _EventLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, spikes: SpikeTrains) -> Tensor:
        ctx.spikes = spikes
        flat = dispatch.of(weights).event_linear(spikes.channel, spikes.start, weights.detach())
        return flat.view(spikes.steps, spikes.batch, weights.shape[0]).transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return outer(grads[0], ctx.spikes), None
