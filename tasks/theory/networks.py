"""The networks that statements are held against: LSTM units, and rate neurons as a special case of them."""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTM, LSTMJacobians, LSTMState
from repro.gated import GatedNetwork, Walk
from repro.runs.seeds import generator
from tasks.theory.config import TheoryConfig


@dataclasses.dataclass(frozen=True)
class Leaky(LSTM):
    """A rate neuron (Eq. 30) as a gated unit: s^t = alpha s^(t-1) + I^t, z = tanh(s).

    Input and output gate stand open, the forget gate at `alpha`; only the candidate's current has any effect, and it is
    not squashed. So rules on windows serve it as they are.
    """

    alpha: float = 0.0

    def step(self, c: Tensor, currents: Tensor) -> tuple[LSTMState, LSTMJacobians]:
        """See `LSTM.step`."""
        after = self.alpha * c + currents.unflatten(1, (4, -1))[:, 2]
        z = after.tanh()
        none, all_of_it = torch.zeros_like(z), torch.ones_like(z)
        by_gate = torch.stack([none, none, all_of_it], dim=1)
        return LSTMState(after, z), LSTMJacobians(self.alpha * all_of_it, by_gate, 1 - z.square(), none)


class Case(NamedTuple):
    """A network, its inputs [batch, step, input] and targets [step, batch, readout]; E is half the sum of squares."""

    network: GatedNetwork
    inputs: Tensor
    target: Tensor

    def error(self, h: Tensor, first: int = 0) -> Tensor:
        """E of outputs h [step, batch, unit] that begin at step `first`."""
        return 0.5 * (self.network.read_out(h) - self.target[first : first + len(h)]).square().sum()

    def by_outputs(self, h: Tensor, first: int = 0) -> Tensor:
        """dE/dh of each step's own error, [step, batch, unit]."""
        error = self.network.read_out(h) - self.target[first : first + len(h)]
        return (error @ self.network.w_out).detach()

    def windows(self, steps: int) -> list[Walk]:
        """What the network does in consecutive windows of `steps` steps."""
        state = self.network.neuron.initial_state(len(self.inputs), self.network.n, self.network.w_in)
        found: list[Walk] = []
        for arriving in self.inputs.split(steps, dim=1):
            found.append(self.network.walk(arriving, state))
            state = found[-1].after
        return found

    def parameters(self) -> Tensor:
        """All that a gate's current is made of, on the tape: [4 * unit, pre], as `GatedNetwork.weights`."""
        return joined(dict(self.network.named_parameters()))


def joined(gradients: dict[str, Tensor]) -> Tensor:
    """Gradients by name as one matrix [4 * unit, pre] with pre = (input, unit, 1)."""
    return torch.cat([gradients["w_in"], gradients["w_rec"], gradients["bias"][:, None]], dim=1)


def neuron_of(kind: str, memory: float, squash: bool) -> LSTM:
    """A unit whose own state lives for `memory` steps: "rate", or "lstm" (with a forget gate at rest)."""
    keep = 1 - 1 / memory
    return Leaky(alpha=keep) if kind == "rate" else LSTM(squash, forget_bias=math.log(keep / (1 - keep)))


def make(neuron: LSTM, coupling: float, config: TheoryConfig, seed: int) -> Case:
    """A case in float64. Weights are uniform, of variance coupling^2 / n (recurrent) and 1 over the number of
    presynaptic cells (input, readout); inputs and targets normal and independent. One seed gives the same draws,
    whatever the neuron and the coupling."""
    random = generator(seed, "theory", "network")
    network = GatedNetwork(neuron, config.n_in, config.n_rec, config.n_out, math.sqrt(3), random).double()
    with torch.no_grad():
        network.w_in.mul_(config.input_scale / math.sqrt(config.n_in))
        network.w_rec.mul_(coupling / math.sqrt(config.n_rec))
        network.w_out.mul_(1 / math.sqrt(config.n_rec))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    return Case(
        network,
        draw(config.batch_size, config.steps, config.n_in),
        draw(config.steps, config.batch_size, config.n_out),
    )


def relative(found: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def typical(config: TheoryConfig) -> tuple[float, float]:
    """Memory and coupling in the middle of the map."""
    return math.sqrt(config.memory_low * config.memory_high), math.sqrt(config.coupling_low * config.coupling_high)
