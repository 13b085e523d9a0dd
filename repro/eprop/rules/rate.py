"""The firing-rate term (Eq. 54-56) and its readings: a function of the spikes, to be added to any loss."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.eprop.errors import UsageError, check_number
from repro.eprop.kernels.events import check_kind
from repro.eprop.kernels.padding import cheapest, check_lengths, known_spikes, real_steps, spike_counts
from repro.eprop.neurons.local_jacobians import leaf_of

READINGS = tuple(f"{over}_{unit}" for over in ("sum", "mean", "population") for unit in ("khz", "hz"))


def firing_rates(z: Tensor | Sequence[Tensor], lengths: Tensor | None = None, dt_ms: float = 1.0) -> Tensor:
    """Mean firing rates [neuron] in Hz over all trials and steps; differentiable.

    `z` are spikes [batch, time, neuron], or a sequence of such arrays, whose neurons are counted one after the other.
    All but float64 is counted in float32. Padding beyond `lengths` [batch] is left out. Where several processes share
    an update (DDP) the rates are those over all their trials, and the average of the processes' gradients is the
    gradient of these. Raises UsageError for what is no such array, for lengths that do not fit, or without any step.
    """
    check_number("firing_rates", dt_ms=dt_ms)
    is_many = isinstance(z, Sequence) and not hasattr(z, "_fields")  # SpikeTrains are a tuple, with names
    arrays: list[Any] = [*z] if is_many else [z]
    if not arrays:
        raise UsageError("z is an empty sequence: firing rates are those of one array of spikes or more")
    for array in arrays:
        check_kind(array, "z", events=False)
        if array.dim() != 3:
            raise UsageError(f"z has the shape {list(array.shape)}: firing rates are those of [batch, time, neuron]")
        if array.shape[:2] != arrays[0].shape[:2]:
            shapes = [list(x.shape) for x in (arrays[0], array)]
            raise UsageError(f"z has arrays of the shapes {shapes}: all have the same trials and steps")
    check_lengths(lengths, *arrays[0].shape[:2])
    counts, steps = torch.cat([_Counts.apply(_wide(x), lengths) for x in arrays]), _steps(arrays[0], lengths)
    if not shares_updates():
        return shared_rates(counts, steps, dt_ms)[0]
    rates, steps_each = shared_rates(counts.detach(), steps, dt_ms)
    differentiable = counts * (1000 / dt_ms / steps_each)
    return rates + (differentiable - differentiable.detach())


def shares_updates() -> bool:
    """Whether several processes share an update."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def shared_rates(counts: Tensor, steps: int, dt_ms: float) -> tuple[Tensor, float]:
    """Mean rates [neuron] in Hz from this process's spike counts [neuron] and steps, over the trials of all processes
    that share an update; and the mean number of steps of a process."""
    if not shares_updates():
        return counts * (1000 / dt_ms / steps), steps
    total = torch.cat([counts.double(), counts.new_tensor([steps], dtype=torch.float64)])
    torch.distributed.all_reduce(total)
    steps_of_all = float(total[-1])
    rates = total[:-1] * (1000 / dt_ms / steps_of_all)
    return rates.to(counts.dtype), steps_of_all / torch.distributed.get_world_size()


def _wide(z: Tensor) -> Tensor:
    """Spikes in a type that holds their number: bool, uint8 and half precision do not."""
    return z if z.dtype in (torch.float32, torch.float64) else z.float()


def _steps(z: Tensor, lengths: Tensor | None) -> int:
    steps = z.shape[0] * z.shape[1] if lengths is None else int(lengths.sum())
    if not steps:
        raise UsageError("these trials have no step: there is no firing rate")
    return steps


class _Counts(torch.autograd.Function):
    """Spikes of each neuron [neuron]; the gradient is one row, expanded over trials and steps without a copy."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, lengths: Tensor | None) -> Tensor:
        known = known_spikes(z)
        by_layer = known is not None and known.lengths is lengths  # which sets the gradient of padding to zero
        ctx.shape, ctx.lengths = z.shape, None if by_layer else lengths
        return spike_counts(cheapest(z), lengths).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        if ctx.lengths is None:
            return grads[0].expand(ctx.shape), None
        return grads[0] * real_steps(ctx.lengths, ctx.shape[1], grads[0].device)[..., None].to(grads[0].dtype), None


@dataclasses.dataclass(frozen=True)
class RateTerm:
    """E_reg = cost * sum_j (f_j - f_target)^2, of the mean firing rates f_j of the neurons (Eq. 54).

    `reading` chooses what the text leaves open; the unit of f is kHz or Hz, and `target_hz` is in Hz in any case.

    | reading | E_reg |
    |---|---|
    | sum_khz, sum_hz | cost * sum_j (f_j - f_target)^2 (Eq. 54) |
    | mean_khz, mean_hz | the mean over neurons in place of the sum ("the mean squared error") |
    | population_khz, population_hz | cost * (mean_j f_j - f_target)^2 ("the mean firing rate of all neurons") |

    Raises UsageError for another reading, and for a cost or target below 0.
    """

    reading: str = "sum_khz"
    cost: float = 0.5
    target_hz: float = 10.0
    dt_ms: float = 1.0

    def __post_init__(self) -> None:
        """Raises UsageError for an unknown reading."""
        if self.reading not in READINGS:
            raise UsageError(f"reading={self.reading!r}: it is one of {', '.join(READINGS)}")
        check_number("RateTerm", zero=True, cost=self.cost, target_hz=self.target_hz)
        check_number("RateTerm", dt_ms=self.dt_ms)

    def __call__(self, z: Tensor | Sequence[Tensor], lengths: Tensor | None = None) -> Tensor:
        """The term of spikes `z` [batch, time, neuron] (see `firing_rates`), a scalar."""
        return self.loss(firing_rates(z, lengths, self.dt_ms))

    def loss(self, rates_hz: Tensor) -> Tensor:
        """The loss of mean rates [neuron]; differentiable."""
        over, unit = self.reading.split("_")
        if over == "population":
            rates_hz = rates_hz.mean(dim=0, keepdim=True)
        error = (rates_hz - self.target_hz) * (1e-3 if unit == "khz" else 1.0)
        return self.cost * (error.square().sum() if over == "sum" else error.square().mean())

    def signal(self, rates_hz: Tensor, steps: float) -> Tensor:
        """dE_reg/dz_j^t [neuron], the same for every step and trial (Eq. 55, with the factor 2 that it leaves out).

        `rates_hz` are the means over all trials of the update, `steps` their number times the steps of a trial.
        """
        with torch.inference_mode(False), torch.enable_grad():
            leaf = leaf_of(rates_hz)
            (slope,) = torch.autograd.grad(self.loss(leaf), leaf)
        return slope * (1000 / self.dt_ms) / steps
