"""The cross-entropy of a softmax over many words, which goes through its arrays as few times as possible."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels import dispatch
from repro.eprop.kernels.first_order import first_order


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Of logits [row, word] and words [row], in nats, added up over rows."""
    nats: Tensor = _CrossEntropy.apply(logits, target)
    return nats


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        nats, error = dispatch.of(logits).cross_entropy(logits, target)
        ctx.save_for_backward(error)
        total: Tensor = nats.sum()
        return total

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (error,) = ctx.saved_tensors
        return grads[0] * error, None
