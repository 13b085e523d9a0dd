"""Truncated BPTT as anyone would write it in PyTorch: LSTM units and autograd, the cell written out or as torch has it.

States are [batch, unit]. Each learner keeps its state from window to window, and begins anew where a batch begins.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.layers.lstm import LSTMLayer


class Step(NamedTuple):
    """A step, recorded by autograd: presynaptic activity [batch, pre], cell state and output after it, the cell state
    before it, and the gates (input, forget, candidate, output)."""

    pre: Tensor
    c: Tensor
    h: Tensor
    before: Tensor
    gates: tuple[Tensor, Tensor, Tensor, Tensor]


State = tuple[Tensor, Tensor]


def rest(layer: LSTMLayer, inputs: Tensor) -> State:
    """Zeros, c and h."""
    zeros = inputs.new_zeros(len(inputs), layer.n)
    return zeros, zeros


def steps(layer: LSTMLayer, inputs: Tensor, state: State) -> list[Step]:
    """Inputs [batch, step, input] one after the other (Eq. 31-36). One product a step for inputs and outputs together:
    of the ways to write it that were tried, none was faster."""
    (c, h), series = state, []
    weights = torch.cat([layer.w_in, layer.w_rec], dim=1).T
    for x in inputs.unbind(1):
        pre, before = torch.cat([x, h], dim=1), c
        to_input, to_forget, to_candidate, to_output = torch.addmm(layer.bias, pre, weights).chunk(4, dim=1)
        i, f, o = to_input.sigmoid(), (to_forget + layer.neuron.forget_bias).sigmoid(), to_output.sigmoid()
        candidate = to_candidate.tanh()
        c = f * c + i * candidate
        h = o * (c.tanh() if layer.neuron.squash else c)
        series.append(Step(pre, c, h, before, (i, f, candidate, o)))
    return series


class TruncatedBPTT:
    """BPTT within windows, the cell written out."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.state: State | None = None

    def loss(self, batch: Any) -> Tensor:
        """The error of a window, mean over the batch."""
        layer, window = self.module.network.layer, self.module.window(batch.this)
        inputs = window.inputs
        state = rest(layer, inputs) if batch.begins or self.state is None else self.state
        series = steps(layer, inputs, state)
        self.state = series[-1].c.detach(), series[-1].h.detach()
        error: Tensor = self.module.errors(torch.stack([step.h for step in series], dim=1), window.target)
        return error / len(inputs)

    def learn(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The same, and its gradients by the names of the module's parameters."""
        loss, named = self.loss(batch), dict(self.module.named_parameters())
        return loss, dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


class StockLSTM(nn.Module):
    """The same with `torch.nn.LSTM`, which has h = o tanh(c), `nn.Linear`, and `nn.Embedding` where inputs are words.

    Torch's second bias of each gate is zero; it gets a gradient, as it does in anyone's loop.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        layer, readout = module.network.layer, module.network.readout
        n, n_out = layer.n, len(readout.b_out)
        self.lstm, self.readout = nn.LSTM(layer.n_in, n, batch_first=True), nn.Linear(n, n_out)
        words = getattr(module, "embedding", None)
        self.embedding: nn.Embedding | None = None
        if words is not None:
            self.embedding = nn.Embedding.from_pretrained(words.detach().clone(), freeze=False)
        self.to(layer.w_in)
        bias = layer.bias.detach().clone()
        bias[n : 2 * n] += layer.neuron.forget_bias
        weights = (layer.w_in, layer.w_rec, bias, torch.zeros_like(bias), readout.w_out, readout.b_out)
        with torch.no_grad():
            for mine, given in zip((*self.lstm.parameters(), *self.readout.parameters()), weights, strict=True):
                mine.copy_(given)
        self.error: Callable[[Tensor, Any], Tensor] = lambda y, segment: module.error_of(
            y, module.window(segment).target
        )
        self.state: State | None = None

    def loss(self, batch: Any) -> Tensor:
        """As `TruncatedBPTT.loss`."""
        words, segment = self.embedding, batch.this
        inputs = segment.inputs if words is None else nn.functional.embedding(segment.inputs, words.weight)
        h, (last_h, last_c) = self.lstm(inputs, None if batch.begins else self.state)
        self.state = last_h.detach(), last_c.detach()
        return self.error(self.readout(h), segment) / len(inputs)

    def learn(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """As `TruncatedBPTT.learn`."""
        loss, lstm, readout = self.loss(batch), self.lstm, self.readout
        weights: dict[str, Any] = {
            "network.layer.w_in": lstm.weight_ih_l0,
            "network.layer.w_rec": lstm.weight_hh_l0,
            "network.layer.bias": lstm.bias_ih_l0,
            "network.readout.w_out": readout.weight,
            "network.readout.b_out": readout.bias,
        }
        if self.embedding is not None:
            weights["embedding"] = self.embedding.weight
        return loss, dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))
