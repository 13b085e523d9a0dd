"""A network that learns by Algorithm 1, as a user writes it: small, in float64, with readout, predictor and encoder."""

from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.layers.algorithm_1 import Algorithm1Loss
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.eprop.rules.rule import Rule
from repro.eprop.rules.synthetic import Algorithm1Options, SyntheticGradient, Window
from tests.oracle.eprop.lstm_tape import draw

BATCH, STEPS, N_IN, N, N_OUT, HIDDEN, FACTOR = 3, 4, 4, 6, 2, 9, 0.3
X, TARGET = draw(BATCH, 4 * STEPS + 1, N_IN, seed=1), draw(BATCH, 4 * STEPS, N_OUT, seed=2)
START = LSTMState(0.3 * draw(BATCH, N, seed=3), 0.3 * draw(BATCH, N, seed=4))
Gradients = dict[str, Tensor]


class Net(nn.Module):
    """A layer, a readout, a predictor whose predictions are not zero, and what makes the inputs."""

    def __init__(self, rule: Rule | None = None, predicts: bool = True, **options: Any) -> None:
        super().__init__()
        self.layer = LSTMLayer(LSTM(True), N_IN, N, rule=rule, scale=0.7, generator=torch.Generator().manual_seed(5))
        self.readout = nn.Linear(N, N_OUT)
        self.gain = nn.Parameter(torch.ones(N_IN))
        self.predictor = SyntheticGradient(N, HIDDEN, torch.Generator().manual_seed(6)) if predicts else None
        self.double()
        with torch.no_grad():
            self.readout.weight.copy_(0.7 * draw(N_OUT, N, seed=8))
            self.readout.bias.copy_(draw(N_OUT, seed=9))
            if self.predictor is not None:
                self.predictor.out.copy_(0.4 * draw(N, HIDDEN, seed=7))
        chosen = Algorithm1Options(**{"factor": FACTOR, **options})
        self.learn = Algorithm1Loss(self.layer, self.errors, self.readout.parameters(), self.predictor, chosen)

    def start(self) -> LSTMState:
        """The state before window 0, where the network is."""
        return LSTMState(*(part.to(self.gain) for part in START))

    def errors(self, h: Tensor, target: Tensor) -> Tensor:
        return (self.readout(h) - target).square().sum()

    def window(self, number: int, ends: bool = False) -> Window:
        first, after = number * STEPS, (number + 1) * STEPS
        x = X * self.gain
        return Window(x[:, first:after], TARGET[:, first:after], None if ends else x[:, after])

    def gradients(self, factor: float = 1.0) -> Gradients:
        """Of all parameters that have one, times `factor`; none is left."""
        gradients = {name: factor * p.grad for name, p in self.named_parameters() if p.grad is not None}
        self.zero_grad()
        return gradients
