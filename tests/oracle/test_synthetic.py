"""Algorithm 1, one window of it, against autograd through the same computation written down as the paper states it."""

import pytest
import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.gated import GatedNetwork
from repro.rules import windows
from repro.rules.synthetic import Algorithm, SyntheticGradient, Window, learn
from repro.rules.windows import WindowRule
from tests.oracle.conftest import relative

EXACT, WRONG = 1e-10, 1e-4
BATCH, STEPS, N_IN, N, N_OUT, HIDDEN, FACTOR = 3, 4, 4, 6, 2, 9, 0.3
SYNTHETIC = WindowRule("none")
NAMES = ("w_in", "w_rec", "bias", "w_out", "b_out")


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, TARGET = draw(BATCH, 2 * STEPS + 1, N_IN, seed=1), draw(BATCH, 2 * STEPS, N_OUT, seed=2)
START = LSTMState(0.3 * draw(BATCH, N, seed=3), 0.3 * draw(BATCH, N, seed=4))


def window(number: int, ends: bool = False) -> Window:
    first, after = number * STEPS, (number + 1) * STEPS
    target = TARGET[:, first:after]
    return Window(X[:, first:after], lambda y: (y - target).square().sum(), None if ends else X[:, after])


@pytest.fixture
def network() -> GatedNetwork:
    return GatedNetwork(LSTM(True), N_IN, N, N_OUT, 0.7, torch.Generator().manual_seed(5)).double()


@pytest.fixture
def predictor() -> SyntheticGradient:
    made = SyntheticGradient(N, HIDDEN, torch.Generator().manual_seed(6)).double()
    with torch.no_grad():
        made.out.copy_(0.4 * draw(N, HIDDEN, seed=7))
    return made


Weights = tuple[Tensor, Tensor, Tensor]


def walk(
    network: GatedNetwork, state: LSTMState, number: int, w: Weights, nudge: Tensor | None = None
) -> tuple[LSTMState, Tensor]:
    """The state after window `number` and its errors, on the tape; `nudge` is added to the first cell state."""
    first, outputs, n = number * STEPS, [], network.n
    c, h = state
    for t in range(first, first + STEPS):
        current = X[:, t] @ w[0].T + h @ w[1].T + w[2]
        i, f = current[:, :n].sigmoid(), current[:, n : 2 * n].sigmoid()
        c = f * c + i * current[:, 2 * n : 3 * n].tanh()
        if nudge is not None and t == first:
            c = c + nudge
        h = current[:, 3 * n :].sigmoid() * c.tanh()
        outputs.append(h)
    y = network.read_out(torch.stack(outputs, dim=1))
    return LSTMState(c, h), (y - TARGET[:, first : first + STEPS]).square().sum()


def next_cell(network: GatedNetwork, state: LSTMState, t: int, w: Weights) -> Tensor:
    after, _ = network.neuron.step(state.c, X[:, t] @ w[0].T + state.h @ w[1].T + w[2])
    return after.c


def stated(
    network: GatedNetwork, predictor: SyntheticGradient, into_network: bool, second_ends: bool
) -> dict[str, Tensor]:
    """Gradients of E_m + eta SG c^(t_m + 1) + E_SG by the parameters of both, as means over the batch."""
    w = network.w_in, network.w_rec, network.bias
    fixed = w[0].detach(), w[1].detach(), w[2].detach()
    after, error = walk(network, START, 0, w)
    boundary = (FACTOR * predictor(after.h).detach() * next_cell(network, after, STEPS, fixed)).sum()
    nudge = torch.zeros(BATCH, N, dtype=torch.float64, requires_grad=True)
    second, later = walk(network, LSTMState(after.c.detach(), after.h.detach()), 1, fixed, nudge)
    if not second_ends:
        later = later + (FACTOR * predictor(second.h).detach() * next_cell(network, second, 2 * STEPS, fixed)).sum()
    (target,) = torch.autograd.grad(later, nudge)
    prediction = 0.5 * (predictor(after.h if into_network else after.h.detach()) - target).square().sum()
    named = dict(network.named_parameters()) | dict(predictor.named_parameters())
    found = torch.autograd.grad((error + boundary + prediction) / BATCH, list(named.values()))
    return dict(zip(named, found, strict=True))


def ours(
    network: GatedNetwork, predictor: SyntheticGradient, into_network: bool, second_ends: bool
) -> dict[str, Tensor]:
    algorithm = Algorithm(FACTOR, into_network)
    learned = learn(network, predictor, SYNTHETIC, window(0), window(1, second_ends), START, None, algorithm)
    return learned.network | learned.predictor


@pytest.mark.parametrize("second_ends", [False, True], ids=["goes on", "then ends"])
@pytest.mark.parametrize("into_network", [False, True])
def test_a_window_of_algorithm_1(
    network: GatedNetwork, predictor: SyntheticGradient, into_network: bool, second_ends: bool
) -> None:
    found, wanted = (f(network, predictor, into_network, second_ends) for f in (ours, stated))
    assert set(found) == set(wanted)
    for name in wanted:
        assert relative(found[name], wanted[name]) < EXACT, name
    other = stated(network, predictor, not into_network, second_ends)
    assert relative(found["w_rec"], other["w_rec"]) > WRONG  # control
    other = stated(network, predictor, into_network, not second_ends)
    assert relative(found["out"], other["out"]) > WRONG  # control: the target knows of its own boundary


def test_learning_begins_as_truncated_bptt(network: GatedNetwork) -> None:
    fresh = SyntheticGradient(N, HIDDEN, torch.Generator().manual_seed(6)).double()
    began = learn(network, fresh, SYNTHETIC, window(0), window(1), START, None, Algorithm(FACTOR, into_network=False))
    plain = learn(network, None, WindowRule("none", synthetic=False), window(0), None, START, None)
    for name in NAMES:
        assert torch.equal(began.network[name], plain.network[name])
    assert began.prediction_error > 0
    with torch.no_grad():
        fresh.out_bias.fill_(0.1)  # control
    moved = learn(network, fresh, SYNTHETIC, window(0), window(1), START, None, Algorithm(FACTOR, into_network=False))
    assert relative(moved.network["w_rec"], plain.network["w_rec"]) > WRONG


def test_at_the_end_of_the_sequences_nothing_is_predicted(network: GatedNetwork, predictor: SyntheticGradient) -> None:
    last = learn(network, predictor, SYNTHETIC, window(0, ends=True), None, START, None)
    plain = learn(network, None, SYNTHETIC, window(0, ends=True), None, START, None)
    assert float(last.prediction_error) == 0
    for name in NAMES:
        assert torch.equal(last.network[name], plain.network[name])


def test_errors_of_a_window_are_means_over_sequences(network: GatedNetwork) -> None:
    vectors = windows.no_vectors(network, BATCH)
    learned = learn(network, None, WindowRule(synthetic=False), window(0), None, START, vectors)
    _, error = walk(network, START, 0, (network.w_in, network.w_rec, network.bias))
    assert relative(learned.error, error.detach() / BATCH) < EXACT
    assert vectors.abs().max() > 0  # carried on, in place
    after, _ = walk(network, START, 0, (network.w_in, network.w_rec, network.bias))
    assert relative(learned.after.h, after.h.detach()) < EXACT
