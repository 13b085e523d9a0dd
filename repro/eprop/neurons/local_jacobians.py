"""Local derivatives (Eq. 2, 3): all that e-prop needs to know of a neuron, derived for any neuron by automatic
differentiation."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class LocalJacobians(NamedTuple):
    """Derivatives of one neuron's step, along a trajectory; each [batch, time, neuron, ...].

    `d` [..., variable after, variable before] is D = ds^t / ds^(t-1) of Eq. 2; `by_current` and `by_z_prev`
    [..., variable] are ds^t / dI^t and, for the reset, ds^t / dz^(t-1); `output` [..., variable] is dz^t / ds^t of
    Eq. 3.
    """

    d: Tensor
    by_current: Tensor
    by_z_prev: Tensor
    output: Tensor


def derive(
    update: Callable[..., tuple[Tensor, ...]],
    output: Callable[[tuple[Tensor, ...]], Tensor],
    before: tuple[Tensor, ...],
    after: tuple[Tensor, ...],
    free_before: Tensor,
    free: Tensor,
    z_prev: Tensor,
    current: Tensor,
) -> LocalJacobians:
    """The derivatives of a user's `update` and `output` (see `repro.eprop.neurons.neuron.Neuron`) at given points.

    Points are of any common shape, such as [batch, time, neuron]. No neuron reads another neuron's variables: so the
    gradient of a sum over all points is the derivative at each point.
    """
    with torch.inference_mode(False), torch.enable_grad():
        variables, by_z, by_current = [leaf_of(x) for x in before], leaf_of(z_prev), leaf_of(current)
        leaves = [*variables, by_z, by_current]
        free_before, free = free_before.clone(), free.clone()
        z_prev_local = free_before * output(tuple(variables))
        updated = update(tuple(variables), z_prev_local, by_z, by_current)
        rows = [_gradients(x, leaves) for x in updated]  # [variable after][leaf]
        outputs = [leaf_of(x) for x in after]
        emitted = _gradients(free * output(tuple(outputs)), outputs)
    *d, by_z_prev, by_current_ = (torch.stack(column, dim=-1) for column in zip(*rows, strict=True))
    return LocalJacobians(torch.stack(d, dim=-1), by_current_, by_z_prev, torch.stack(emitted, dim=-1))


def leaf_of(x: Tensor) -> Tensor:
    """x as a leaf of autograd's tape, also where x was made in inference mode; to be called outside of that."""
    return (x.clone() if x.is_inference() else x.detach()).requires_grad_()


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """The derivative of each element of `value` by the same element of each leaf; zero where it depends on none."""
    if not value.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(value.sum(), leaves, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(leaf) if x is None else x for x, leaf in zip(found, leaves, strict=True)]


def reverse(local: LocalJacobians, signal: Tensor) -> Tensor:
    """e-prop factored: lambda^t = (dz/ds)^t L^t + D^(t+1)^T lambda^(t+1), a recursion through each neuron's own
    variables. Returns (ds/dI)^t . lambda^t [batch, time, neuron], which multiplies the raw presynaptic activity.

    This is sum_t L^t e^t (Eq. 2, 3) with the order of summation exchanged. `signal` is L [batch, time, neuron].
    """
    return reverse_through_network(local, signal, signal.new_empty(0, 0), reset=False)


def reverse_through_network(local: LocalJacobians, signal: Tensor, w_rec: Tensor, reset: bool = True) -> Tensor:
    """BPTT (Eq. 13-15): as `reverse`, but L^t gains what the output does to the reset and, by `w_rec` [post, pre] (of
    no elements without recurrence), to other neurons one step later. Returns dE/dI [batch, time, neuron]."""
    delta = torch.empty_like(signal)
    later = torch.zeros_like(local.output[:, 0])  # lambda^(t+1) [batch, neuron, variable]
    steps = signal.shape[1]
    for t in range(steps - 1, -1, -1):
        total = signal[:, t]
        carried = torch.zeros_like(later)
        if t + 1 < steps:
            carried = torch.einsum("bnij,bni->bnj", local.d[:, t + 1], later)
            if reset:
                total = total + (local.by_z_prev[:, t + 1] * later).sum(dim=-1)
            if w_rec.numel():
                total = total + delta[:, t + 1] @ w_rec
        later = local.output[:, t] * total[..., None] + carried
        delta[:, t] = (local.by_current[:, t] * later).sum(dim=-1)
    return delta
