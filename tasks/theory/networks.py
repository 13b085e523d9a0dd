"""The networks on which statements are measured: LSTM units, and rate neurons as a special case of them."""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTM, LSTMJacobians, LSTMState
from repro.eprop.rules.windows import (
    BoundaryGradient,
    WindowBackward,
    WindowTrajectory,
    forward_window,
    weight_gradient,
)
from repro.runs.lstm_network import LSTMNetwork
from repro.runs.seeds import generator
from tasks.theory.config import TheoryConfig


@dataclasses.dataclass(frozen=True)
class Leaky(LSTM):
    """A rate neuron (Eq. 30) as a gated unit: s^t = alpha s^(t-1) + I^t, z = tanh(s).

    Input and output gates are open, the forget gate is at `alpha`; only the candidate's current has any effect, and it
    is not squashed. So rules on windows apply to it as they are.
    """

    alpha: float = 0.0

    def step(self, c: Tensor, currents: Tensor) -> tuple[LSTMState, LSTMJacobians]:
        """See `LSTM.step`."""
        after = self.alpha * c + currents.unflatten(1, (4, -1))[:, 2]
        z = after.tanh()
        zero, one = torch.zeros_like(z), torch.ones_like(z)
        by_gate = torch.stack([zero, zero, one], dim=1)
        return LSTMState(after, z), LSTMJacobians(self.alpha * one, by_gate, 1 - z.square(), zero)


class Case(NamedTuple):
    """A network, its inputs [batch, step, input] and targets [step, batch, readout]; E is half the sum of squares."""

    network: LSTMNetwork
    inputs: Tensor
    target: Tensor

    def _deviation(self, h: Tensor, first: int) -> Tensor:
        readout = self.network.readout
        y = torch.nn.functional.linear(h, readout.w_out, readout.b_out)
        return y - self.target[first : first + len(h)]

    def error(self, h: Tensor, first: int = 0) -> Tensor:
        """E of outputs h [step, batch, unit] that begin at step `first`."""
        return 0.5 * self._deviation(h, first).square().sum()

    def by_outputs(self, h: Tensor, first: int = 0) -> Tensor:
        """dE/dh of each step's own error, [step, batch, unit]."""
        return (self._deviation(h, first) @ self.network.readout.w_out).detach()

    def initial_state(self) -> LSTMState:
        """Zeros."""
        return self.network.layer.initial_state(len(self.inputs))

    def windows(self, steps: int) -> list[WindowTrajectory]:
        """The trajectories of consecutive windows of `steps` steps."""
        layer, state, series = self.network.layer, self.initial_state(), []
        for x in self.inputs.split(steps, dim=1):
            series.append(forward_window(layer.neuron, layer.weights, x, state))
            state = series[-1].state_after
        return series

    def parameters(self) -> Tensor:
        """The layer's weights, for autograd: [4 * unit, pre], as `LSTMWeights.concatenated`."""
        w_in, w_rec, bias = self.network.layer.weights
        return torch.cat([w_in, w_rec, bias[:, None]], dim=1)

    def step(self, weights: Tensor, state: LSTMState, x: Tensor) -> tuple[Tensor, LSTMState, LSTMJacobians]:
        """One step with the input x [batch, input], for autograd: presynaptic activity [batch, pre], the state after,
        the Jacobians."""
        presynaptic = torch.cat([x, state.h, x.new_ones(len(x), 1)], dim=1)
        return presynaptic, *self.network.layer.neuron.step(state.c, presynaptic @ weights.T)


def gradient(
    trajectory: WindowTrajectory, backward: WindowBackward, boundary: BoundaryGradient, vectors: Tensor | None
) -> Tensor:
    """A window's gradient [4 * unit, pre]; advances the eligibility vectors (see `weight_gradient`)."""
    return weight_gradient(trajectory.presynaptic, trajectory.jacobians, backward, boundary, vectors)


def neuron_of(kind: str, memory: float, squash: bool) -> LSTM:
    """A unit whose cell state decays in `memory` steps: "rate", or "lstm" (with a forget gate at rest)."""
    keep = 1 - 1 / memory
    return Leaky(alpha=keep) if kind == "rate" else LSTM(squash, forget_bias=math.log(keep / (1 - keep)))


def make(neuron: LSTM, coupling: float, config: TheoryConfig, seed: int) -> Case:
    """A case in float64. Weights are uniform, of variance coupling^2 / n (recurrent) and 1 over the number of
    presynaptic cells (input, readout); inputs and targets normal and independent. One seed gives the same draws,
    whatever the neuron and the coupling."""
    random = generator(seed, "theory", "network")
    network = LSTMNetwork(neuron, config.n_in, config.n_rec, config.n_out, math.sqrt(3), random).double()
    with torch.no_grad():
        network.layer.w_in.mul_(config.input_scale / math.sqrt(config.n_in))
        network.layer.w_rec.mul_(coupling / math.sqrt(config.n_rec))
        network.readout.w_out.mul_(1 / math.sqrt(config.n_rec))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    return Case(
        network,
        draw(config.batch_size, config.steps, config.n_in),
        draw(config.steps, config.batch_size, config.n_out),
    )


def relative(measured: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    return float((measured - wanted).abs().max() / wanted.abs().max())


def typical(config: TheoryConfig) -> tuple[float, float]:
    """Memory and coupling in the middle of the map."""
    return math.sqrt(config.memory_low * config.memory_high), math.sqrt(config.coupling_low * config.coupling_high)
