"""The spike (Eq. 21) and its pseudo-derivative: the triangle of the paper, or any other."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from repro.eprop.errors import UsageError, shown

# x = (v - A) / v_th [...] -> z, 1 where x > 0 and else 0, with a derivative that autograd knows
Surrogate = Callable[[Tensor], Tensor]


def pseudo_derivative(v: Tensor, threshold: Tensor | float, v_th: float, dampening: float) -> Tensor:
    """h = (gamma / v_th) max(0, 1 - |v - A| / v_th), below Eq. 23, with the scale 1 / v_th that the text leaves out.

    Parameters: `v` [...], membrane voltage; `threshold` A, v_th for LIF; `v_th`, baseline threshold; `dampening` gamma.
    """
    return dampening / v_th * torch.clamp(1 - torch.abs((v - threshold) / v_th), min=0)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: Tensor, v_th: float, dampening: float) -> Tensor:
        ctx.save_for_backward(pseudo_derivative(v, threshold, v_th, dampening))
        return (v > threshold).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (h,) = ctx.saved_tensors
        return grads[0] * h, -grads[0] * h, None, None


def spike(v: Tensor, threshold: Tensor, v_th: float, dampening: float) -> Tensor:
    """z = H((v - A) / v_th) (Eq. 21): 1 where v [...] lies above the threshold. Autograd sees the pseudo-derivative."""
    result: Tensor = _Spike.apply(v, threshold, v_th, dampening)
    return result


def surrogate_spike(v: Tensor, threshold: Tensor, v_th: float, surrogate: Surrogate) -> Tensor:
    """The same with a pseudo-derivative of one's own: `surrogate` is a function, or a torch.autograd.Function."""
    function: Any = surrogate
    if isinstance(surrogate, type) and issubclass(surrogate, torch.autograd.Function):
        function = surrogate.apply
    spikes: Tensor = function((v - threshold) / v_th)
    return spikes


def check_surrogate(surrogate: Any, neuron: str) -> None:
    """Raises UsageError for what is neither a function nor a torch.autograd.Function."""
    is_class = isinstance(surrogate, type)
    wrong_class = is_class and not issubclass(surrogate, torch.autograd.Function)
    if wrong_class or isinstance(surrogate, torch.autograd.Function) or not callable(surrogate):
        raise UsageError(
            f"{neuron}(surrogate={shown(surrogate)}): it is a function, or a torch.autograd.Function (the class itself)"
        )


def surrogate_slope(spikes: Tensor, v: Tensor, neuron: str) -> Tensor:
    """dz/dv [...] of a surrogate's spikes. Raises UsageError where it has none."""
    if not isinstance(spikes, Tensor) or spikes.shape != v.shape or spikes.dtype != v.dtype:
        raise UsageError(f"the surrogate of {neuron} has to return an array of the shape and the dtype of its argument")
    slope = None
    if spikes.requires_grad:
        (slope,) = torch.autograd.grad(spikes.sum(), v, allow_unused=True)
    if slope is None:
        raise UsageError(
            f"the surrogate of {neuron} has no derivative: write a torch.autograd.Function with a backward"
        )
    return slope
