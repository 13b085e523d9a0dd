"""An LSTM written out step by step for autograd, and the sums of e-prop as the paper prints them; float64.

Independent of the library but for the parameters of the layer: nothing here calls the code under test.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState

EXACT, WRONG = 1e-10, 1e-3
BATCH, STEPS, N_IN, N, N_OUT = 3, 12, 4, 6, 2
NAMES = ("w_in", "w_rec", "bias")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, TARGET, READOUT = draw(BATCH, STEPS, N_IN), draw(BATCH, STEPS, N_OUT, seed=1), draw(N_OUT, N, seed=2)
START = LSTMState(0.5 * draw(BATCH, N, seed=3), 0.5 * draw(BATCH, N, seed=4))


def make_layer(squash: bool = True, **options: object) -> LSTMLayer:
    """A layer whose forget gates and biases are not at rest."""
    layer = LSTMLayer(LSTM(squash, 0.7), N_IN, N, scale=0.8, generator=torch.Generator().manual_seed(5), **options)
    layer = layer.double()
    with torch.no_grad():
        layer.bias.copy_(0.3 * draw(4 * N, seed=6))
    return layer


def error(h: Tensor, first: int = 0) -> Tensor:
    """Of outputs h [batch, step, unit] that begin at step `first`: a sum over everything."""
    return (h @ READOUT.T - TARGET[:, first : first + h.shape[1]]).square().sum()


class Tape(NamedTuple):
    """Outputs h [batch, step, unit]; c and h of every step, each [batch, unit]."""

    h: Tensor
    cells: list[Tensor]
    outputs: list[Tensor]


def cell(layer: LSTMLayer, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 31-36, one step."""
    current = x @ layer.w_in.T + h @ layer.w_rec.T + layer.bias
    to_input, to_forget, to_candidate, to_output = current.split(layer.n, dim=1)
    c = (to_forget + layer.neuron.forget_bias).sigmoid() * c + to_input.sigmoid() * to_candidate.tanh()
    return c, to_output.sigmoid() * (c.tanh() if layer.neuron.squash else c)


def unroll(layer: LSTMLayer, x: Tensor, state: LSTMState = START, detach: bool = False) -> Tape:
    """The layer on autograd's tape; with `detach` no gradient follows the recurrent weights."""
    (c, h), cells, outputs = state, [], []
    for t in range(x.shape[1]):
        c, h = cell(layer, x[:, t], c, h.detach() if detach else h)
        cells.append(c)
        outputs.append(h)
    return Tape(torch.stack(outputs, dim=1), cells, outputs)


def by_autograd(layer: LSTMLayer, detach: bool = False) -> dict[str, Tensor]:
    """Gradients of the whole sequence's error."""
    total = error(unroll(layer, X, detach=detach).h)
    return dict(zip(NAMES, torch.autograd.grad(total, [layer.get_parameter(name) for name in NAMES]), strict=True))


class Step(NamedTuple):
    """What Eq. 37-40 need of a step: pre [batch, pre]; the vectors [batch, 3, unit, pre] and dc/dtheta alone; dh/dc and
    dh/dI of the output gate, each [batch, unit]."""

    pre: Tensor
    vectors: Tensor
    alone: Tensor
    output: Tensor
    direct: Tensor


@torch.no_grad()
def vectors_forward(layer: LSTMLayer) -> list[Step]:
    """Eligibility vectors carried forward step by step (Eq. 37), over the whole sequence."""
    (c, h), series = START, []
    vectors = torch.zeros(BATCH, 3, N, N_IN + N + 1, dtype=torch.float64)
    for t in range(STEPS):
        pre = torch.cat([X[:, t], h, torch.ones(BATCH, 1, dtype=torch.float64)], dim=1)
        to_input, to_forget, to_candidate, to_output = (X[:, t] @ layer.w_in.T + h @ layer.w_rec.T + layer.bias).split(
            N, 1
        )
        i, f, g, o = to_input.sigmoid(), (to_forget + 0.7).sigmoid(), to_candidate.tanh(), to_output.sigmoid()
        gates = torch.stack([g * i * (1 - i), c * f * (1 - f), i * (1 - g * g)], dim=1)
        alone = gates[:, :, :, None] * pre[:, None, None, :]
        vectors = f[:, None, :, None] * vectors + alone
        c = f * c + i * g
        seen, slope = (c.tanh(), 1 - c.tanh() ** 2) if layer.neuron.squash else (c, torch.ones_like(c))
        h = o * seen
        series.append(Step(pre, vectors, alone, o * slope, seen * o * (1 - o)))
    return series


def printed_sum(layer: LSTMLayer, signals: list[Tensor], truncated: bool) -> dict[str, Tensor]:
    """Eq. 69: the sum over steps of L^t . epsilon^t, an outer product for each synapse and step; L^t [batch, unit]."""
    at_cell = torch.zeros(3, N, N_IN + N + 1, dtype=torch.float64)
    at_output = torch.zeros(N, N_IN + N + 1, dtype=torch.float64)
    for signal, step in zip(signals, vectors_forward(layer), strict=True):
        vectors = step.alone if truncated else step.vectors
        at_cell += torch.einsum("bj,bgji->gji", signal * step.output, vectors)
        at_output += torch.einsum("bj,bi->ji", signal * step.direct, step.pre)
    total = torch.cat([at_cell.reshape(3 * N, -1), at_output])
    return {"w_in": total[:, :N_IN], "w_rec": total[:, N_IN:-1], "bias": total[:, -1]}


def relative(result: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    return float((result - wanted).detach().abs().max() / wanted.detach().abs().max())


def assert_equal(result: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = EXACT) -> None:
    """All gradients agree, and none is zero."""
    assert set(result) == set(wanted)
    for name, gradient in wanted.items():
        assert gradient.abs().max() > 0, name
        assert relative(result[name], gradient) < tolerance, name


def assert_differ(result: dict[str, Tensor], wanted: dict[str, Tensor], least: float = WRONG) -> None:
    """Negative control: every gradient differs."""
    for name, gradient in wanted.items():
        assert relative(result[name], gradient) > least, name
