"""The spike and its pseudo-derivative: the Heaviside step of Eq. 21 and the only surrogate in the house."""

from typing import Any

import torch
from torch import Tensor


def pseudo_derivative(v: Tensor, threshold: Tensor | float, v_th: float, dampening: float) -> Tensor:
    """h = (gamma / v_th) max(0, 1 - |v - A| / v_th), below Eq. 23, with the scale 1 / v_th that the text leaves out.

    Parameters: `v` [...], membrane voltage; `threshold` A, v_th for LIF; `v_th`, baseline threshold; `dampening` gamma.
    """
    return dampening / v_th * torch.clamp(1 - torch.abs((v - threshold) / v_th), min=0)


class _Spike(torch.autograd.Function):
    """Differentiable backwards, by autograd's tape, and forwards, by torch.func.jvp."""

    @staticmethod
    def forward(v: Tensor, threshold: Tensor, v_th: float, dampening: float) -> Tensor:
        return (v > threshold).to(v.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float, float], output: Tensor) -> None:
        h = pseudo_derivative(*inputs)
        ctx.save_for_backward(h)
        ctx.save_for_forward(h)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (h,) = ctx.saved_tensors
        return grads[0] * h, -grads[0] * h, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (h,) = ctx.saved_tensors
        by_v, by_threshold, *_ = tangents
        change: Any = (0 if by_v is None else by_v) - (0 if by_threshold is None else by_threshold)
        return h * change


def spike(v: Tensor, threshold: Tensor, v_th: float, dampening: float) -> Tensor:
    """z = H((v - A) / v_th) (Eq. 21), 1 where v lies above the threshold; autograd sees the pseudo-derivative."""
    result: Tensor = _Spike.apply(v, threshold, v_th, dampening)
    return result
