"""Eligibility vectors that are carried from window to window: read once and written once for each window.

[post, batch, gate, pre] in memory, so that a window goes through them from front to end: they are far larger than
anything else, and the cost of a window is that of reading and writing them.
"""

from torch import Tensor

from repro.eprop.kernels import dispatch


def carry(vectors: Tensor, keep: Tensor, rows: Tensor, pre: Tensor, left: Tensor) -> Tensor:
    """Advance eligibility vectors [post, batch, gate, pre] by one window, in place; return their part of the gradient.

    vectors_after = keep vectors_before + sum over steps of rows^t x^t (Eq. 2, the steps of a window together): `keep`
    [batch, post] is the product of D over the window, `rows` [step, batch, gate, post] are ds^t/dI^t times the product
    of later D, `pre` [step, batch, pre] is the presynaptic activity x. The returned gradient [gate, post, pre] is the
    sum over the batch of left vectors_before, where `left` [batch, post] is dE/ds at the left edge of the window.
    """
    gradient: Tensor = dispatch.of(vectors).carry(vectors, keep, rows, pre, left)
    return gradient
