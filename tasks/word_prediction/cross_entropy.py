"""The cross-entropy of a softmax over many words, which goes through its arrays as few times as possible."""

from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels.first_order import first_order


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Of logits [row, word] and words [row], in nats, added up over rows."""
    nats: Tensor = _CrossEntropy.apply(logits, target)
    return nats


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        log_p, target = logits.log_softmax(dim=1), target[:, None]
        ctx.save_for_backward(log_p, target)
        return -log_p.gather(1, target).sum()

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """p - 1 at the word that came, p elsewhere."""
        log_p, target = ctx.saved_tensors
        error = log_p.exp()
        error.scatter_add_(1, target, error.new_full((1, 1), -1.0).expand(target.shape))
        return error.mul_(grads[0]), None
