"""E-prop 3 as a reader of the paper would write it in PyTorch: eligibility vectors that every step updates."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.lstm import State, Step, rest, steps
from repro.gated import GatedNetwork
from repro.rules.synthetic import Window


class TextbookEProp3:
    """Algorithm 1 as printed, learning signals by autograd: in each step the eligibility vectors of all synapses are
    updated (Eq. 2, 37), and their product with the learning signal is added up (Eq. 69). Without a prediction
    (Eq. 64-67) it is truncated BPTT with eligibility traces."""

    def __init__(self, module: Any, in_place: bool) -> None:
        self.module, self.factor = module, module.config.synthetic_factor
        self.traces: Any = (InPlace if in_place else AsPrinted)(module.network)
        self.state: State | None = None

    def learn(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The error of a window and its gradients by the names of the module's parameters, means over the batch."""
        module, network = self.module, self.module.network
        window, predictor = module.window(batch.this), module.predictor
        if batch.begins or self.state is None:
            self.state = rest(network, window.inputs)
            self.traces.begin(len(window.inputs))
        walked = steps(network, window.inputs, self.state)
        self.state = walked[-1].c.detach(), walked[-1].h.detach()
        outputs = [step.h for step in walked]
        error = total = window.errors(network.read_out(torch.stack(outputs, dim=1)))
        named = {f"network.{name}": network.get_parameter(name) for name in ("w_out", "b_out")}
        if predictor is not None and batch.following is not None:
            predicted = predictor(outputs[-1])
            target = self._at_first_step(module.window(batch.following), self.state)
            total = total + 0.5 * (predicted - target).square().sum()
            total = total + self._boundary(window, walked[-1], predicted)
            named |= {f"predictor.{name}": weight for name, weight in predictor.named_parameters()}
        found = torch.autograd.grad(total, [*outputs, *named.values()])
        gradient = self.traces.gradient(walked, found[: len(outputs)])
        learned = {f"network.{name}": g for name, g in network.apart(gradient).items()}
        learned |= dict(zip(named, found[len(outputs) :], strict=True))
        batch_size = len(window.inputs)
        return error.detach() / batch_size, {name: g / batch_size for name, g in learned.items()}

    def _boundary(self, window: Window, last: Step, predicted: Tensor) -> Tensor | float:
        """What stands for all that comes after a window: the prediction times the next cell state (Eq. 64, 67)."""
        if window.beyond is None:
            return 0.0
        (after,) = steps(self.module.network, window.beyond[:, None], (last.c, last.h))
        return self.factor * (predicted.detach() * after.c).sum()

    def _at_first_step(self, window: Window, state: State) -> Tensor:
        """dE/dc at the first step of the next window (Eq. 66)."""
        walked = steps(self.module.network, window.inputs, state)
        total = window.errors(self.module.network.read_out(torch.stack([step.h for step in walked], dim=1)))
        total = total + self._boundary(window, walked[-1], self.module.predictor(walked[-1].h))
        (found,) = torch.autograd.grad(total, walked[0].c)
        return found


class AsPrinted:
    """Eligibility vectors [batch, gate, unit, pre] of the gates that act on the cell state; a new array a step."""

    def __init__(self, network: GatedNetwork) -> None:
        self.network, self.vectors = network, torch.empty(0)

    def begin(self, batch: int) -> None:
        """Forget the past."""
        pre = self.network.w_in.shape[1] + self.network.n + 1
        self.vectors = self.network.w_in.new_zeros(batch, 3, self.network.n, pre)

    @torch.no_grad()
    def gradient(self, walked: list[Step], signals: tuple[Tensor, ...]) -> Tensor:
        """Of all gates' weights [4 * unit, pre], given dE/dh of each step."""
        remembered, output = [], []
        for step, signal in zip(walked, signals, strict=True):
            i, f, candidate, o = step.gates
            seen = step.c.tanh() if self.network.neuron.squash else step.c
            slope = o * (1 - seen.square()) if self.network.neuron.squash else o
            pre = torch.cat([step.pre, step.pre.new_ones(len(f), 1)], dim=1)
            by_gate = (candidate * i * (1 - i), step.before * f * (1 - f), i * (1 - candidate.square()))
            remembered.append(self.update(f, torch.stack(by_gate, dim=1), pre, signal * slope))
            output.append((signal * seen * o * (1 - o)).T @ pre)
        return torch.cat([sum(remembered[1:], remembered[0]).flatten(end_dim=1), sum(output[1:], output[0])])

    def update(self, forget: Tensor, by_gate: Tensor, pre: Tensor, signal: Tensor) -> Tensor:
        """A step of the vectors, and what they give the gradient [gate, unit, pre]."""
        self.vectors = forget[:, None, :, None] * self.vectors + by_gate[..., None] * pre[:, None, None]
        return torch.einsum("bj,bgji->gji", signal, self.vectors)


class InPlace(AsPrinted):
    """The same in one array [unit, batch, gate, pre]: of the orders and operations that were tried, the fastest."""

    def begin(self, batch: int) -> None:
        """Forget the past."""
        super().begin(batch)
        self.vectors = self.vectors.permute(2, 0, 1, 3).contiguous()

    def update(self, forget: Tensor, by_gate: Tensor, pre: Tensor, signal: Tensor) -> Tensor:
        """As in the base class."""
        self.vectors.mul_(forget.T[:, :, None, None])
        self.vectors.addcmul_(by_gate.permute(2, 0, 1).contiguous()[..., None], pre[None, :, None])
        found = torch.bmm(signal.T[:, None], self.vectors.flatten(start_dim=2))
        return found.view(-1, *self.vectors.shape[2:]).transpose(0, 1)
