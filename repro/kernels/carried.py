"""Eligibility vectors that are carried from window to window: read once, written once, heard on the way.

[post, batch, gate, pre] in memory, so that a window walks through them from front to end: they are far larger than
anything else, and what this costs is their way through the memory.
"""

import torch
from torch import Tensor

from repro.kernels import ops

AT_ONCE = 4  # steps that the compiled walk takes together


def carry(vectors: Tensor, keep: Tensor, rows: Tensor, pre: Tensor, left: Tensor) -> Tensor:
    """One window of eligibility vectors epsilon [post, batch, gate, pre], in place; what they give the gradient.

    epsilon_after = keep epsilon_before + sum over steps of rows^t x^t (Eq. 2, the steps of a window at once): `keep`
    [batch, post] is the product of D over the window, `rows` [step, batch, gate, post] are ds^t/dI^t times the product
    of later D, `pre` [step, batch, pre] the presynaptic activity. Returned is the gradient [gate, post, pre], the sum
    over the batch of left epsilon_before, with `left` [batch, post] from the left edge.
    """
    if ops.gpu_ops is not None and vectors.device.type == "cuda":
        given: Tensor = ops.gpu_ops.carry(vectors, keep, rows, pre, left)
        return given
    if ops.sparse is None or vectors.device.type != "cpu":
        gradient = torch.einsum("bj,jbgi->gji", left, vectors)
        vectors.mul_(keep.T[:, :, None, None]).add_(torch.einsum("tbgj,tbi->jbgi", rows, pre))
        return gradient
    missing = -len(rows) % AT_ONCE
    rows, pre = (torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x for x in (rows, pre))
    gradient = vectors.new_zeros(vectors.shape[0], *vectors.shape[2:])
    arrays = (x.contiguous().numpy() for x in (keep, rows, pre, left))
    ops.sparse.carry(vectors.numpy(), *arrays, gradient.numpy())
    return gradient.transpose(0, 1)
