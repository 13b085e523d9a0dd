"""An LSTM layer and a linear readout at every step."""

from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.kernels.products import linear
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM


class LinearReadout(nn.Module):
    """y = h w_out^T + b_out; `w_out` [readout, unit] is drawn from U(-scale, scale), `b_out` [readout] is zero."""

    def __init__(self, n: int, n_out: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        w_out = scale * (2 * torch.rand(n_out, n, generator=generator) - 1)
        self.w_out = nn.Parameter(w_out.T.contiguous().T)  # [unit, readout] in memory: see `linear`
        self.b_out = nn.Parameter(torch.zeros(n_out))

    def forward(self, h: Tensor) -> Tensor:
        """Readouts [batch, step, readout] of outputs h [batch, step, unit], computed with steps first, as the layer."""
        rows = h.transpose(0, 1).flatten(end_dim=1)
        return linear(rows, self.w_out, self.b_out).unflatten(0, (h.shape[1], h.shape[0])).transpose(0, 1)


class LSTMNetwork(nn.Module):
    """x [batch, step, input] -> y [batch, step, readout], by an `LSTMLayer` and a `LinearReadout`.

    All weights are drawn from U(-scale, scale) in the order w_in, w_rec, w_out.
    """

    def __init__(self, neuron: LSTM, n_in: int, n: int, n_out: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = LSTMLayer(neuron, n_in, n, scale=scale, generator=generator)
        self.readout = LinearReadout(n, n_out, scale, generator)

    def forward(self, x: Tensor, *arguments: Any, **options: Any) -> Tensor:
        """Readouts; the arguments after x are those of `LSTMLayer.forward`."""
        y: Tensor = self.readout(self.layer(x, *arguments, **options))
        return y
