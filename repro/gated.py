"""A recurrent network of LSTM units with a linear readout at every step, walked through in windows."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.neurons.lstm import GATES, LSTM, LSTMJacobians, LSTMState


class Walk(NamedTuple):
    """What a network did in a window, step first: presynaptic activity [step, batch, pre], outputs h [step, batch,
    unit], local derivatives [step, batch, ...], and the state after it."""

    pre: Tensor
    h: Tensor
    local: LSTMJacobians
    after: LSTMState


class GatedNetwork(nn.Module):
    """Units all to all, inputs that act in the step in which they arrive, outputs one step later (Eq. 31-36).

    Weights are [post, pre], the four gates' rows one after the other (`repro.eprop.neurons.lstm.GATES`): `w_in`
    [4 * unit, input], `w_rec` [4 * unit, unit], `bias` [4 * unit]; readout `w_out` [readout, unit], `b_out` [readout].
    Drawn from U(-scale, scale), biases zero.
    """

    def __init__(self, neuron: LSTM, n_in: int, n: int, n_out: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(scale * (2 * torch.rand(*shape, generator=generator) - 1))

        self.neuron, self.n = neuron, n
        self.w_in, self.w_rec, self.w_out = drawn(len(GATES) * n, n_in), drawn(len(GATES) * n, n), drawn(n_out, n)
        self.bias, self.b_out = nn.Parameter(torch.zeros(len(GATES) * n)), nn.Parameter(torch.zeros(n_out))

    def weights(self) -> Tensor:
        """All that a gate's current is made of, off the tape: [4 * unit, pre] with pre = (input, unit, 1)."""
        return torch.cat([self.w_in, self.w_rec, self.bias[:, None]], dim=1).detach()

    def apart(self, gradient: Tensor) -> dict[str, Tensor]:
        """The gradient of `weights()` by the parameters' names."""
        by_in, by_rec, by_bias = gradient.split([self.w_in.shape[1], self.n, 1], dim=1)
        return {"w_in": by_in, "w_rec": by_rec, "bias": by_bias[:, 0]}

    def read_out(self, h: Tensor) -> Tensor:
        """y [..., readout] of outputs h [..., unit]; on the tape for the readout's weights."""
        return nn.functional.linear(h, self.w_out, self.b_out)

    def step(self, weights: Tensor, state: LSTMState, arriving: Tensor) -> tuple[Tensor, LSTMState, LSTMJacobians]:
        """One step with the input [batch, input]: presynaptic activity [batch, pre], the state after, derivatives."""
        pre = torch.cat([arriving, state.h, arriving.new_ones(len(arriving), 1)], dim=1)
        return pre, *self.neuron.step(state.c, pre @ weights.T)

    @torch.no_grad()
    def walk(self, inputs: Tensor, state: LSTMState) -> Walk:
        """A window of inputs [batch, step, input] from a state, off the tape."""
        weights = self.weights()
        heard: list[Tensor] = []
        sent: list[Tensor] = []
        locals_: list[LSTMJacobians] = []
        for arriving in inputs.unbind(dim=1):
            pre, state, local = self.step(weights, state, arriving)
            heard.append(pre)
            sent.append(state.h)
            locals_.append(local)
        along = LSTMJacobians(*(torch.stack(series) for series in zip(*locals_, strict=True)))
        return Walk(torch.stack(heard), torch.stack(sent), along, state)
