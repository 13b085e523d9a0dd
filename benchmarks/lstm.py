"""What anyone would write of truncated BPTT in PyTorch: LSTM units on autograd's tape, the cell written out or as torch
has it.

States are [batch, unit]. Each learner keeps its own from window to window, and begins anew where a batch says so.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.gated import GatedNetwork


class Step(NamedTuple):
    """A step on the tape: presynaptic activity [batch, pre], cell state and output after it, the cell state before it,
    and the gates (input, forget, candidate, output)."""

    pre: Tensor
    c: Tensor
    h: Tensor
    before: Tensor
    gates: tuple[Tensor, Tensor, Tensor, Tensor]


State = tuple[Tensor, Tensor]


def rest(network: GatedNetwork, inputs: Tensor) -> State:
    """Zeros, c and h."""
    zeros = inputs.new_zeros(len(inputs), network.n)
    return zeros, zeros


def steps(network: GatedNetwork, inputs: Tensor, state: State) -> list[Step]:
    """Inputs [batch, step, input] one after the other (Eq. 31-36). One product a step for inputs and outputs together:
    of the ways to write it that were tried, none was faster."""
    (c, h), found = state, []
    weights = torch.cat([network.w_in, network.w_rec], dim=1).T
    for x in inputs.unbind(1):
        pre, before = torch.cat([x, h], dim=1), c
        to_input, to_forget, to_candidate, to_output = torch.addmm(network.bias, pre, weights).chunk(4, dim=1)
        i, f, o = to_input.sigmoid(), (to_forget + network.neuron.forget_bias).sigmoid(), to_output.sigmoid()
        candidate = to_candidate.tanh()
        c = f * c + i * candidate
        h = o * (c.tanh() if network.neuron.squash else c)
        found.append(Step(pre, c, h, before, (i, f, candidate, o)))
    return found


class TruncatedBPTT:
    """BPTT within windows, the cell written out."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.state: State | None = None

    def loss(self, batch: Any) -> Tensor:
        """The error of a window, mean over the batch."""
        network, window = self.module.network, self.module.window(batch.this)
        state = rest(network, window.inputs) if batch.begins or self.state is None else self.state
        walked = steps(network, window.inputs, state)
        self.state = walked[-1].c.detach(), walked[-1].h.detach()
        error: Tensor = window.errors(network.read_out(torch.stack([step.h for step in walked], dim=1)))
        return error / len(window.inputs)

    def learn(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The same, and its gradients by the names of the module's parameters."""
        loss, network = self.loss(batch), dict(self.module.network.named_parameters())
        found = torch.autograd.grad(loss, list(network.values()))
        return loss, {f"network.{name}": gradient for name, gradient in zip(network, found, strict=True)}


class StockLSTM(nn.Module):
    """The same with `torch.nn.LSTM`, which has h = o tanh(c), and `nn.Embedding` where inputs are words.

    Torch's second bias of each gate is zero; it gets a gradient, as it does in anyone's loop.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        network: GatedNetwork = module.network
        (n_in, n), (n_out, _) = (network.w_in.shape[1], network.n), network.w_out.shape
        self.lstm, self.readout = nn.LSTM(n_in, n, batch_first=True), nn.Linear(n, n_out)
        words = getattr(module, "embedding", None)
        self.embedding: nn.Embedding | None = None
        if words is not None:
            self.embedding = nn.Embedding.from_pretrained(words.detach().clone(), freeze=False)
        self.to(network.w_in)
        bias = network.bias.detach().clone()
        bias[n : 2 * n] += network.neuron.forget_bias
        own: Any = self.lstm.weight_ih_l0, self.lstm.weight_hh_l0, self.lstm.bias_ih_l0, self.lstm.bias_hh_l0
        theirs = network.w_in, network.w_rec, bias, torch.zeros_like(bias)
        with torch.no_grad():
            for mine, given in zip(own, theirs, strict=True):
                mine.copy_(given)
            self.readout.weight.copy_(network.w_out)
            self.readout.bias.copy_(network.b_out)
        self.errors: Callable[[Any, Tensor], Tensor] = lambda piece, readout: module.window(piece).errors(readout)
        self.state: State | None = None

    def loss(self, batch: Any) -> Tensor:
        """As `TruncatedBPTT.loss`."""
        words = self.embedding
        inputs = batch.this.inputs if words is None else nn.functional.embedding(batch.this.inputs, words.weight)
        h, (last_h, last_c) = self.lstm(inputs, None if batch.begins else self.state)
        self.state = last_h.detach(), last_c.detach()
        error: Tensor = self.errors(batch.this, self.readout(h))
        return error / len(inputs)

    def learn(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """As `TruncatedBPTT.learn`."""
        loss, lstm, readout = self.loss(batch), self.lstm, self.readout
        own: dict[str, Any] = {"w_in": lstm.weight_ih_l0, "w_rec": lstm.weight_hh_l0, "bias": lstm.bias_ih_l0}
        own |= {"w_out": readout.weight, "b_out": readout.bias}
        named = {f"network.{name}": weight for name, weight in own.items()}
        if self.embedding is not None:
            named["embedding"] = self.embedding.weight
        return loss, dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
