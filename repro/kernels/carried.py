"""Eligibility vectors that are carried from window to window: read once, written once, met at both edges on the way.

[post, batch, gate, pre] in memory, so that a window walks through them from front to end: they are far larger than
anything else, and what this costs is their way through the memory.
"""

import torch
from torch import Tensor

from repro.kernels import ops


def carry(vectors: Tensor, keep: Tensor, rows: Tensor, pre: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """One window of eligibility vectors epsilon [post, batch, gate, pre], in place; what they give the gradient.

    epsilon_after = keep epsilon_before + sum over steps of rows^t x^t (Eq. 2, the steps of a window at once): `keep`
    [batch, post] is the product of D over the window, `rows` [step, batch, gate, post] are ds^t/dI^t times the product
    of later D, `pre` [step, batch, pre] the presynaptic activity. Returned is the gradient [gate, post, pre], the sum
    over the batch of left epsilon_before - right epsilon_after, with `left` and `right` [batch, post] from the edges.
    """
    gradient = vectors.new_zeros(vectors.shape[0], *vectors.shape[2:])
    if ops.sparse is not None and vectors.device.type == "cpu":
        arrays = (keep.T, rows.permute(3, 1, 2, 0), pre.transpose(0, 1), left.T, right.T)
        ops.sparse.carry(vectors.numpy(), *(x.contiguous().numpy() for x in arrays), gradient.numpy())
    else:
        gradient += torch.einsum("bj,jbgi->jgi", left, vectors)
        vectors.mul_(keep.T[:, :, None, None]).add_(torch.einsum("tbgj,tbi->jbgi", rows, pre))
        gradient -= torch.einsum("bj,jbgi->jgi", right, vectors)
    return gradient.transpose(0, 1)
