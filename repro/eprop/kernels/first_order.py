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
        (device,) = {each.device.type for each in grads if isinstance(each, Tensor)}
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
            "the gradients of this layer have no derivatives: where weights are updated and the update is "
            "differentiated, compute it with eprop_update() from a DifferentiableLayer, not with create_graph=True"
        )
