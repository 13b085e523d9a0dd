"""The one seam between our gradients and autograd: attach them to the loss, and let its backward pass deliver them.

Scaling of the loss (accumulation, GradScaler), gradient averaging (DDP), clipping and schedulers then work untouched.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class _Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, *parameters_then_gradients: Tensor) -> Tensor:
        ctx.save_for_backward(*parameters_then_gradients[len(parameters_then_gradients) // 2 :])
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale, gradients = grads[0], ctx.saved_tensors
        return scale, *(scale.to(g.dtype) * g for g in gradients), *(None for _ in gradients)


def attach(loss: Tensor, module: nn.Module, gradients: Mapping[str, Tensor]) -> Tensor:
    """A loss of the same value whose backward pass adds `gradients` (by name) to those parameters of `module`."""
    parameters = [module.get_parameter(name) for name in gradients]
    shaped = [g.to(p.dtype) for g, p in zip(gradients.values(), parameters, strict=True)]
    attached: Tensor = _Attach.apply(loss, *parameters, *shaped)
    return attached
