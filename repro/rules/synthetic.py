"""Synthetic gradients (Eq. 64-66), and a window learned by Algorithm 1."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from repro.gated import GatedNetwork, Walk
from repro.neurons.lstm import LSTMState
from repro.rules import windows
from repro.rules.windows import WindowRule


class SyntheticGradient(nn.Module):
    """SG(z, Psi): predicts dE/dc^(t+1) of every unit, [batch, unit], from the outputs h^t; one hidden layer of ReLU.

    The last layer begins at zero, so that learning begins as truncated BPTT does. E is that of a sequence of its own:
    neither the prediction nor its target is divided by the size of the batch.
    """

    def __init__(self, n: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(hidden, n, generator=generator) * (2 / n) ** 0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.out, self.out_bias = nn.Parameter(torch.zeros(n, hidden)), nn.Parameter(torch.zeros(n))

    def forward(self, h: Tensor) -> Tensor:
        """The prediction, on the tape."""
        active = nn.functional.linear(h, self.hidden, self.hidden_bias).relu()
        return nn.functional.linear(active, self.out, self.out_bias)


class Window(NamedTuple):
    """A piece of a batch of sequences: inputs [batch, step, input]; its errors, a function of the readouts
    [batch, step, readout] that adds them up over all sequences; the input of the step after it [batch, input], None at
    the end of the sequences."""

    inputs: Tensor
    errors: Callable[[Tensor], Tensor]
    beyond: Tensor | None


class Learned(NamedTuple):
    """What a window taught: gradients of the network by name and of SG by its tape (`prediction_loss` is E_SG, Eq. 66),
    both as means over the batch; the mean error of a sequence; the state after the window."""

    gradients: dict[str, Tensor]
    prediction_loss: Tensor
    error: Tensor
    after: LSTMState


class _Heard(NamedTuple):
    by_h: Tensor
    readout: dict[str, Tensor]
    error: Tensor


def learn(
    network: GatedNetwork,
    predictor: SyntheticGradient | None,
    rule: WindowRule,
    window: Window,
    following: Window | None,
    state: LSTMState,
    vectors: Tensor | None,
    factor: float = 0.1,
    into_network: bool = True,
) -> Learned:
    """One window of Algorithm 1, from `state`; `vectors` are carried on in place.

    `following` is the next window, which is simulated for its gradients at the first step (lines 4 and 5), the target
    of the prediction; None at the end of the sequences, where the boundary is zero and nothing is predicted. `factor`
    is eta_SG. `into_network` sends dE_SG/dtheta into the network (line 6), by way of the last outputs.
    """
    walk = network.walk(window.inputs, state)
    heard, loss = _hear(network, walk, window), walk.h.new_zeros(())
    edge, by_h = windows.no_edge(walk.after), heard.by_h
    if predictor is not None and following is not None:
        last = walk.after.h.detach().requires_grad_()
        predicted = predictor(last)
        edge = _edge(network, walk, window, factor * predicted.detach())
        target = _at_first_step(network, predictor, following, walk.after, factor)
        loss = 0.5 * (predicted - target).square().sum()
        if into_network:
            (back,) = torch.autograd.grad(loss, last, retain_graph=True)
            by_h = torch.cat([by_h[:-1], by_h[-1:] + back])
    back_way = windows.backward(network, walk, by_h, edge, rule)
    batch = len(window.inputs)
    gradients = windows.gradient(network, walk, back_way, edge, vectors) | heard.readout
    return Learned({k: g / batch for k, g in gradients.items()}, loss / batch, heard.error / batch, walk.after)


def _hear(network: GatedNetwork, walk: Walk, window: Window) -> _Heard:
    """The errors of a window and their derivatives by its outputs and by the readout's weights."""
    with torch.enable_grad():
        h = walk.h.detach().requires_grad_()
        error = window.errors(network.read_out(h).transpose(0, 1))
        by_h, w_out, b_out = torch.autograd.grad(error, [h, network.w_out, network.b_out])
    return _Heard(by_h, {"w_out": w_out, "b_out": b_out}, error.detach())


def _edge(network: GatedNetwork, walk: Walk, window: Window, predicted: Tensor) -> windows.Edge:
    if window.beyond is None:
        return windows.no_edge(walk.after)
    return windows.synthetic_edge(network, walk.after, window.beyond, predicted)


@torch.no_grad()
def _at_first_step(
    network: GatedNetwork, predictor: SyntheticGradient, window: Window, state: LSTMState, factor: float
) -> Tensor:
    """dE/dc at the first step of a window, its own boundary included [batch, unit]."""
    walk = network.walk(window.inputs, state)
    edge = _edge(network, walk, window, factor * predictor(walk.after.h))
    return windows.backward(network, walk, _hear(network, walk, window).by_h, edge, WindowRule("none")).first
