"""The LSTM unit (Eq. 31-36) and its local derivatives, one set for each gate (Eq. 37-40)."""

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

GATES = ("input", "forget", "candidate", "output")  # blocks of rows of the weights, in this order
N_CELL_GATES = 3  # the first of them act on the cell state; the output gate acts on h alone


class LSTMState(NamedTuple):
    """Cell state c and output h, each [batch, unit]."""

    c: Tensor
    h: Tensor


torch.serialization.add_safe_globals([LSTMState])  # torch.load refuses classes that it does not know


class LSTMJacobians(NamedTuple):
    """Derivatives of one step: `d` = dc^t / dc^(t-1) and `output` = dh^t / dc^t [batch, unit]; `by_gate` = dc^t / dI^t
    for the currents of input gate, forget gate and candidate [batch, 3, unit]; `direct` = dh^t / dI^t for that of the
    output gate [batch, unit]."""

    d: Tensor
    by_gate: Tensor
    output: Tensor
    direct: Tensor


@dataclasses.dataclass(frozen=True)
class LSTM:
    """h = o c as printed (Eq. 36), or h = o tanh(c) with `squash`; `forget_bias` is added to the current of the forget
    gate."""

    squash: bool = False
    forget_bias: float = 0.0

    def initial_state(self, batch: int, n: int, like: Tensor) -> LSTMState:
        """Zeros, of the dtype and device of `like`."""
        return LSTMState(like.new_zeros(batch, n), like.new_zeros(batch, n))

    def step(self, c: Tensor, currents: Tensor) -> tuple[LSTMState, LSTMJacobians]:
        """One step from the cell state c [batch, unit], given what arrives at each gate, [batch, 4 * unit].

        Where the text prints f^(t-1), 1 - i, h^t in Eq. 37 it is f^t, i (1 - i), h^(t-1) (docs/paper_notes.md).
        """
        to_input, to_forget, to_candidate, to_output = currents.unflatten(1, (len(GATES), -1)).unbind(dim=1)
        i, f, o = to_input.sigmoid(), (to_forget + self.forget_bias).sigmoid(), to_output.sigmoid()
        candidate = to_candidate.tanh()
        after = f * c + i * candidate  # Eq. 35
        seen = after.tanh() if self.squash else after
        by_gate = torch.stack([candidate * i * (1 - i), c * f * (1 - f), i * (1 - candidate.square())], dim=1)
        output = o * (1 - seen.square()) if self.squash else o
        return LSTMState(after, o * seen), LSTMJacobians(f, by_gate, output, seen * o * (1 - o))
