"""E-prop 3 as a reader of the paper would write it in PyTorch: eligibility vectors that every step updates."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.lstm import State, Step, rest, steps
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.rules.synthetic import Window
from repro.eprop.rules.windows import split_gradient


class TextbookEProp3:
    """Algorithm 1 as printed, learning signals by autograd: in each step the eligibility vectors of all synapses are
    updated (Eq. 2, 37), and their product with the learning signal is added up (Eq. 69). Without a prediction
    (Eq. 64-67) it is truncated BPTT with eligibility traces."""

    def __init__(self, module: Any, in_place: bool) -> None:
        self.module, self.factor = module, module.config.synthetic_factor
        self.traces: Any = (InPlace if in_place else AsPrinted)(module.network.layer)
        self.state: State | None = None

    def learn(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The error of a window and its gradients by the names of the module's parameters, means over the batch."""
        module, layer = self.module, self.module.network.layer
        window, predictor = module.window(batch.this), module.predictor
        if batch.begins or self.state is None:
            self.state = rest(layer, window.inputs)
            self.traces.begin(len(window.inputs))
        series = steps(layer, window.inputs, self.state)
        self.state = series[-1].c.detach(), series[-1].h.detach()
        outputs = [step.h for step in series]
        error = total = module.errors(torch.stack(outputs, dim=1), window.target)
        named = dict(module.network.readout.named_parameters(prefix="network.readout"))
        if hasattr(module, "embedding"):
            named["embedding"] = module.embedding
        if predictor is not None and batch.following is not None:
            predicted = predictor(outputs[-1])
            target = self._at_first_step(_window(module, batch.following), self.state)
            total = total + 0.5 * (predicted - target).square().sum()
            total = total + self._boundary(window, series[-1], predicted)
            named |= dict(predictor.named_parameters(prefix="predictor"))
        gradients = torch.autograd.grad(total, [*outputs, *named.values()])
        of_layer = split_gradient(self.traces.gradient(series, gradients[: len(outputs)]), layer.n_in)
        learned = {f"network.layer.{name}": g for name, g in of_layer._asdict().items()}
        learned |= dict(zip(named, gradients[len(outputs) :], strict=True))
        batch_size = len(window.inputs)
        return error.detach() / batch_size, {name: g / batch_size for name, g in learned.items()}

    def _boundary(self, window: Window, last: Step, predicted: Tensor) -> Tensor | float:
        """The term for all later errors: the prediction times the next cell state (Eq. 64, 67)."""
        if window.next_input is None:
            return 0.0
        (after,) = steps(self.module.network.layer, window.next_input[:, None], (last.c, last.h))
        return self.factor * (predicted.detach() * after.c).sum()

    def _at_first_step(self, window: Window, state: State) -> Tensor:
        """dE/dc at the first step of the next window (Eq. 66)."""
        series = steps(self.module.network.layer, window.inputs, state)
        total = self.module.errors(torch.stack([step.h for step in series], dim=1), window.target)
        total = total + self._boundary(window, series[-1], self.module.predictor(series[-1].h))
        (d_cell,) = torch.autograd.grad(total, series[0].c)
        return d_cell


@torch.no_grad()
def _window(module: Any, segment: Any) -> Window:
    window: Window = module.window(segment)
    return window


class AsPrinted:
    """Eligibility vectors [batch, gate, unit, pre] of the gates that act on the cell state; a new array a step."""

    def __init__(self, layer: LSTMLayer) -> None:
        self.layer, self.vectors = layer, torch.empty(0)

    def begin(self, batch: int) -> None:
        """Zeros."""
        self.vectors = self.layer.w_in.new_zeros(batch, 3, self.layer.n, self.layer.n_in + self.layer.n + 1)

    @torch.no_grad()
    def gradient(self, series: list[Step], signals: tuple[Tensor, ...]) -> Tensor:
        """Of all gates' weights [4 * unit, pre], given dE/dh of each step."""
        cell, output = [], []
        for step, signal in zip(series, signals, strict=True):
            i, f, candidate, o = step.gates
            seen = step.c.tanh() if self.layer.neuron.squash else step.c
            slope = o * (1 - seen.square()) if self.layer.neuron.squash else o
            pre = torch.cat([step.pre, step.pre.new_ones(len(f), 1)], dim=1)
            by_gate = (candidate * i * (1 - i), step.before * f * (1 - f), i * (1 - candidate.square()))
            cell.append(self.update(f, torch.stack(by_gate, dim=1), pre, signal * slope))
            output.append((signal * seen * o * (1 - o)).T @ pre)
        return torch.cat([sum(cell[1:], cell[0]).flatten(end_dim=1), sum(output[1:], output[0])])

    def update(self, forget: Tensor, by_gate: Tensor, pre: Tensor, signal: Tensor) -> Tensor:
        """One step of the vectors; returns their part of the gradient [gate, unit, pre]."""
        self.vectors = forget[:, None, :, None] * self.vectors + by_gate[..., None] * pre[:, None, None]
        return torch.einsum("bj,bgji->gji", signal, self.vectors)


class InPlace(AsPrinted):
    """The same in one array [unit, batch, gate, pre]: of the orders and operations that were tried, the fastest."""

    def begin(self, batch: int) -> None:
        """See `AsPrinted.begin`."""
        super().begin(batch)
        self.vectors = self.vectors.permute(2, 0, 1, 3).contiguous()

    def update(self, forget: Tensor, by_gate: Tensor, pre: Tensor, signal: Tensor) -> Tensor:
        """As in the base class."""
        self.vectors.mul_(forget.T[:, :, None, None])
        self.vectors.addcmul_(by_gate.permute(2, 0, 1).contiguous()[..., None], pre[None, :, None])
        gradient = torch.bmm(signal.T[:, None], self.vectors.flatten(start_dim=2))
        return gradient.view(-1, *self.vectors.shape[2:]).transpose(0, 1)
