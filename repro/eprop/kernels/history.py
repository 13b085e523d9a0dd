"""The past steps of a sequence, from which the gradient is made without eligibility vectors.

The vectors are a sum over past steps s: epsilon^t = sum_s D^t ... D^(s+1) dc^s/dI^s x^s (Eq. 2 unrolled). So what they
add to the gradient, dE/dc^t . epsilon^t summed over the batch, is one matrix product: presynaptic activity [pre, step
and trial] by dE/dc times the rest [step and trial, gate and unit]. Its cost grows with the number of past steps. That
of carrying the vectors from window to window, by `repro.eprop.kernels.eligibility_vectors`, does not.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels.eligibility_vectors import carry
from repro.eprop.kernels.products import matrix_library, product

# Past steps up to which a sequence costs less than with vectors that are carried, by the library of products; measured
# on sequences of 8 to 76 steps at the paper's size of task 3.1.
MOST_STEPS = {"oneDNN": 56, "MKL": 40, "BLAS": 40}


class History(NamedTuple):
    """Past steps of a batch of sequences, in buffers of which `windows`, the steps of each window so far, are filled.

    `rows` [step, batch, gate, unit]: dc^s/dI^s times the product of D from then to the end of its window. `decay`
    [window, batch, unit]: the product of D since that end. `presynaptic` [pre, step * batch].
    """

    rows: Tensor
    decay: Tensor
    presynaptic: Tensor
    windows: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """The number of past steps."""
        return sum(self.windows)

    def has_room(self, steps: int) -> bool:
        """Whether a window of so many steps fits in the buffers."""
        return self.steps + steps <= len(self.rows)

    def followed_by(self, steps: int) -> "History":
        """The history that has one window more, which `add` has written."""
        return self._replace(windows=(*self.windows, steps))

    def weighted(self, d_cell: Tensor) -> Tensor:
        """`rows` times dc / dc of the end of their window, times dE/dc now, `d_cell` [batch, unit]: [step, ...]."""
        weighted, first = self.rows.new_empty(self.steps, *self.rows.shape[1:]), 0
        for steps, decay in zip(self.windows, self.decay, strict=False):
            past = slice(first, first + steps)
            torch.mul(self.rows[past], (decay * d_cell)[:, None], out=weighted[past])
            first += steps
        return weighted

    def gradient(self, d_cell: Tensor) -> Tensor | None:
        """Their part of the gradient, [gate, unit, pre], a sum over the batch; None where there are none.

        `d_cell` [batch, unit] is dE/dc of the state that they led to.
        """
        if not self.windows:
            return None
        _, _, gates, n = self.rows.shape
        by_step = self.weighted(d_cell).flatten(end_dim=1).flatten(start_dim=1)
        return product(self.presynaptic[:, : len(by_step)], by_step).T.unflatten(0, (gates, n))

    def add(self, keep: Tensor, rows: Tensor, presynaptic: Tensor) -> None:
        """Write a window into the buffers, after the others: `rows` [step, batch, gate, unit] as above, presynaptic
        activity [step, batch, pre], and `keep` [batch, unit], the product of D over the window."""
        first, here = self.steps, len(self.windows)
        self.decay[:here] *= keep
        self.decay[here] = 1
        self.rows[first : first + len(rows)] = rows
        columns = presynaptic.flatten(end_dim=1)
        start = first * presynaptic.shape[1]
        self.presynaptic[:, start : start + len(columns)] = columns.T

    def vectors(self, out: Tensor | None = None) -> Tensor:
        """The eligibility vectors that these steps amount to, [unit, batch, gate, pre]; in `out` if it is given."""
        _, batch, gates, n = self.rows.shape
        if out is None:
            with torch.inference_mode(False):  # what is made in that mode cannot be advanced outside of it
                out = self.rows.new_empty(n, batch, gates, len(self.presynaptic))
        out.zero_()
        if self.windows:
            none, columns = self.rows.new_zeros(batch, n), self.filled()[2]
            carry(out, none, self.weighted(none + 1), columns.T.unflatten(0, (self.steps, batch)), none)
        return out

    def filled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The parts of the buffers that have been written."""
        columns = self.presynaptic[:, : self.steps * self.rows.shape[1]]
        return self.rows[: self.steps], self.decay[: len(self.windows)], columns


def empty_history(like: Tensor, batch: int) -> History:
    """The history of sequences that begin; `like` [unit, ..., gate, pre] has shape, dtype and device of the vectors.

    Memory that is not written is not used.
    """
    n, _, gates, n_pre = like.shape
    most = MOST_STEPS[matrix_library()]
    with torch.inference_mode(False):  # what is made in that mode cannot be written to outside of it
        rows, decay = like.new_empty(most, batch, gates, n), like.new_empty(most, batch, n)
        return History(rows, decay, like.new_empty(n_pre, most * batch))
