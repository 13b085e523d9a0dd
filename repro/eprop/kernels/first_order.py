"""The backward pass of a torch.autograd.Function whose gradients come from kernels."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from repro.eprop.errors import UsageError

Backward = Callable[..., tuple[Any, ...]]


def first_order(backward: Backward) -> Backward:
    """For the backward pass of a torch.autograd.Function that is computed by kernels, off autograd's tape.

    Under autocast it computes in full precision. Gradients that it returns raise UsageError when they are
    differentiated themselves (`create_graph=True`): they would lack terms.
    """

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        if all(each is None for each in grads):
            return (None,) * len(ctx.needs_input_grad)
        device = next(each.device.type for each in grads if each is not None)
        with torch.no_grad(), torch.autocast(device, enabled=False):
            results = backward(ctx, *grads)
        if not torch.is_grad_enabled():
            return results
        return tuple(None if each is None else _Constant.apply(each.detach().requires_grad_()) for each in results)

    return wrapped


class _Constant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise UsageError(
            "this backward pass cannot be differentiated again: where an update of weights is differentiated, compute "
            "it with eprop_update() from a DifferentiableLayer, not with create_graph=True"
        )
