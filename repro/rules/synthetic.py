"""Synthetic gradients (Eq. 64-66), and a window learned by Algorithm 1."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.neurons.lstm import LSTMJacobians, LSTMState
from repro.gated import GatedNetwork, Walk
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
    """What a window taught: gradients of the network and of the prediction by the names of their parameters, and of the
    inputs [batch, step, input], all as means over the batch; E_SG (Eq. 66) and the window's error, of a sequence; the
    state after it."""

    network: dict[str, Tensor]
    predictor: dict[str, Tensor]
    by_input: Tensor
    prediction_error: Tensor
    error: Tensor
    after: LSTMState


class Algorithm(NamedTuple):
    """What Algorithm 1 leaves open: eta_SG; whether dE_SG/dtheta goes into the network (line 6), by way of the last
    outputs; whether E_SG is a sum over units (Eq. 66) or their mean (the sentence above it); whether the inputs, which
    have no eligibility vectors, hear the whole boundary or leave out that of the units' own states."""

    factor: float = 0.1
    into_network: bool = True
    mean_over_units: bool = False
    whole_at_input: bool = True


AS_PRINTED = Algorithm()


class _Heard(NamedTuple):
    by_h: Tensor
    readout: dict[str, Tensor]
    error: Tensor


class _Predicted(NamedTuple):
    edge: windows.Edge
    gradients: dict[str, Tensor]
    by_h: Tensor | float
    error: Tensor


def learn(
    network: GatedNetwork,
    predictor: SyntheticGradient | None,
    rule: WindowRule,
    window: Window,
    following: Window | None,
    state: LSTMState,
    vectors: Tensor | None,
    algorithm: Algorithm = AS_PRINTED,
) -> Learned:
    """One window of Algorithm 1, from `state`; `vectors` are carried on in place.

    `following` is the next window, which is simulated for its gradients at the first step (lines 4 and 5), the target
    of the prediction; None at the end of the sequences, where the boundary is zero and nothing is predicted.
    """
    walk = network.walk(window.inputs, state)
    heard = _hear(network, walk, window, readout=True)
    found = _Predicted(windows.no_edge(walk.after), {}, 0.0, walk.h.new_zeros(()))
    if predictor is not None and following is not None:
        found = _predict(network, predictor, walk.after, following, algorithm)
    by_h = torch.cat([heard.by_h[:-1], heard.by_h[-1:] + found.by_h])
    back = windows.backward(network, walk, by_h, found.edge, rule)
    gradients = windows.gradient(network, walk, back, found.edge, vectors) | heard.readout
    if not algorithm.whole_at_input:
        across = found.edge._replace(by_c=torch.zeros_like(found.edge.by_c))
        back = windows.backward(network, walk, by_h, across, rule)
    by_input = (back.delta.flatten(start_dim=2) @ network.w_in.detach()).transpose(0, 1)

    def mean(summed: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: gradient / len(window.inputs) for name, gradient in summed.items()}

    error, prediction_error = heard.error / len(by_input), found.error / len(by_input)
    return Learned(
        mean(gradients), mean(found.gradients), by_input / len(by_input), prediction_error, error, walk.after
    )


def _predict(
    network: GatedNetwork,
    predictor: SyntheticGradient,
    after: LSTMState,
    following: Window,
    algorithm: Algorithm,
) -> _Predicted:
    """The boundary that is predicted for the right edge, and how far from its target the prediction is."""
    later = network.walk(following.inputs, after)
    target = _at_first_step(network, predictor, following, later, algorithm.factor)
    weights = dict(predictor.named_parameters())
    with torch.enable_grad():
        last = after.h.detach().requires_grad_()
        predicted = predictor(last)
        squares = 0.5 * (predicted - target).square().sum()
        error = squares / network.n if algorithm.mean_over_units else squares
        by_h, *gradients = torch.autograd.grad(error, [last, *weights.values()])
    first = LSTMJacobians(*(series[0] for series in later.local))
    edge = windows.edge_through(network, first, algorithm.factor * predicted.detach())
    named = dict(zip(weights, gradients, strict=True))
    return _Predicted(edge, named, by_h if algorithm.into_network else 0.0, error.detach())


def _hear(network: GatedNetwork, walk: Walk, window: Window, readout: bool) -> _Heard:
    """The errors of a window and their derivatives by its outputs and, if asked for, by the readout's weights."""
    with torch.enable_grad():
        h = walk.h.detach().requires_grad_()
        error = window.errors(network.read_out(h).transpose(0, 1))
        wanted = {"w_out": network.w_out, "b_out": network.b_out} if readout else {}
        by_h, *gradients = torch.autograd.grad(error, [h, *wanted.values()])
    return _Heard(by_h, dict(zip(wanted, gradients, strict=True)), error.detach())


@torch.no_grad()
def _at_first_step(
    network: GatedNetwork, predictor: SyntheticGradient, window: Window, walk: Walk, factor: float
) -> Tensor:
    """dE/dc at the first step of a window, its own boundary included [batch, unit]."""
    edge = windows.no_edge(walk.after)
    if window.beyond is not None:
        edge = windows.synthetic_edge(network, walk.after, window.beyond, factor * predictor(walk.after.h))
    return windows.backward(network, walk, _hear(network, walk, window, False).by_h, edge, WindowRule("none")).first
