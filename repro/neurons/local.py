"""Local derivatives (Eq. 2, 3): all that e-prop needs to know of a neuron, derived for any neuron by torch.func."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Local(NamedTuple):
    """Derivatives of one neuron's step, along a trajectory; each [batch, time, neuron, ...].

    `d` [..., variable after, variable before] is D = ds^t / ds^(t-1) of Eq. 2; `by_current`, `by_sent` [..., variable]
    are ds^t / dI^t and, for the reset, ds^t / dz^(t-1); `output` [..., variable] is dz^t / ds^t of Eq. 3.
    """

    d: Tensor
    by_current: Tensor
    by_sent: Tensor
    output: Tensor


def derive(
    update: Callable[..., tuple[Tensor, ...]],
    output: Callable[[tuple[Tensor, ...]], Tensor],
    before: tuple[Tensor, ...],
    after: tuple[Tensor, ...],
    free_before: Tensor,
    free: Tensor,
    sent: Tensor,
    current: Tensor,
) -> Local:
    """The derivatives of a user's `update` and `output` (see `repro.neurons.neuron.Neuron`) at given points.

    Points are of any common shape, such as [batch, time, neuron]: since no neuron reads another's variables, one
    forward-mode pass with a tangent of ones gives the derivatives of all of them at once.
    """

    def step(*variables_sent_current: Tensor) -> Tensor:
        *own, sent, current = variables_sent_current
        fired = free_before * output(tuple(own))
        return torch.stack(update(tuple(own), fired, sent, current), dim=-1)

    def emit(*own: Tensor) -> Tensor:
        return free * output(own)

    *d, by_sent, by_current = _columns(step, (*before, sent, current))
    return Local(torch.stack(d, dim=-1), by_current, by_sent, torch.stack(_columns(emit, after), dim=-1))


def _columns(function: Callable[..., Tensor], points: tuple[Tensor, ...]) -> list[Tensor]:
    """The derivative of `function` by each of its arguments."""
    unit = [tuple(torch.full_like(p, float(k == moved)) for k, p in enumerate(points)) for moved in range(len(points))]
    return [torch.func.jvp(function, points, tangents)[1] for tangents in unit]


def reverse(local: Local, signal: Tensor) -> Tensor:
    """e-prop factored: lambda^t = (dz/ds)^t L^t + D^(t+1)^T lambda^(t+1), a recursion through each neuron's own
    variables; returns (ds/dI)^t . lambda^t [batch, time, neuron], which multiplies the raw presynaptic activity.

    This is sum_t L^t e^t (Eq. 2, 3) with the order of summation exchanged. `signal` is L [batch, time, neuron].
    """
    return reverse_through_network(local, signal, signal.new_empty(0, 0), reset=False)


def reverse_through_network(local: Local, signal: Tensor, w_rec: Tensor, reset: bool = True) -> Tensor:
    """BPTT (Eq. 13-15): as `reverse`, but L^t gains what the output does to the reset and, by `w_rec` [post, pre] (of
    no elements without recurrence), to other neurons one step later. Returns dE/dI [batch, time, neuron]."""
    delta = torch.empty_like(signal)
    later = torch.zeros_like(local.output[:, 0])  # lambda^(t+1) [batch, neuron, variable]
    steps = signal.shape[1]
    for t in range(steps - 1, -1, -1):
        heard = signal[:, t]
        carried = torch.zeros_like(later)
        if t + 1 < steps:
            carried = torch.einsum("bnij,bni->bnj", local.d[:, t + 1], later)
            if reset:
                heard = heard + (local.by_sent[:, t + 1] * later).sum(dim=-1)
            if w_rec.numel():
                heard = heard + delta[:, t + 1] @ w_rec
        later = local.output[:, t] * heard[..., None] + carried
        delta[:, t] = (local.by_current[:, t] * later).sum(dim=-1)
    return delta
