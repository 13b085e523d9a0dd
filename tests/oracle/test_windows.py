"""Rules on windows against autograd through the whole sequence, and against the sums as printed, in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels import dispatch, reference
from repro.eprop.kernels.eligibility_vectors import carry
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.gated import GatedNetwork, Walk
from repro.rules import windows
from repro.rules.windows import Backward, Edge, WindowRule, gradient
from tests.oracle.conftest import relative

EXACT, WRONG = 1e-10, 1e-3
BATCH, STEPS, N_IN, N, N_OUT = 3, 12, 4, 6, 2
NAMES = ("w_in", "w_rec", "bias")
E_PROP_3, TRACES = WindowRule(), WindowRule(synthetic=False)


@pytest.fixture(params=[False, True], ids=["h = o c", "h = o tanh c"])
def network(request: pytest.FixtureRequest) -> GatedNetwork:
    random = torch.Generator().manual_seed(3)
    return GatedNetwork(LSTM(request.param, forget_bias=0.7), N_IN, N, N_OUT, 0.8, random).double()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


GUESSED = draw(STEPS, BATCH, N, seed=2)
INPUTS, TARGET = draw(BATCH, STEPS, N_IN), draw(BATCH, STEPS, N_OUT, seed=1)


def error(h: Tensor, network: GatedNetwork, first: int = 0) -> Tensor:
    """Of outputs [step, batch, unit] that begin at step `first`."""
    target = TARGET[:, first : first + len(h)].transpose(0, 1)
    return (network.read_out(h) - target).square().sum()


def by_outputs(network: GatedNetwork, h: Tensor, first: int) -> Tensor:
    leaf = h.detach().requires_grad_()
    (found,) = torch.autograd.grad(error(leaf, network, first), leaf)
    return found


def unrolled(network: GatedNetwork, detach: bool = False) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Outputs h [step, batch, unit], cell states c and h of every step on autograd's tape."""
    n, c, h = network.n, torch.zeros(BATCH, N, dtype=torch.float64), torch.zeros(BATCH, N, dtype=torch.float64)
    cells, outputs = [], []
    for t in range(STEPS):
        sent = h.detach() if detach else h
        current = INPUTS[:, t] @ network.w_in.T + sent @ network.w_rec.T + network.bias
        i, f = current[:, :n].sigmoid(), (current[:, n : 2 * n] + network.neuron.forget_bias).sigmoid()
        c = f * c + i * current[:, 2 * n : 3 * n].tanh()
        h = current[:, 3 * n :].sigmoid() * (c.tanh() if network.neuron.squash else c)
        cells.append(c)
        outputs.append(h)
    return torch.stack(outputs), cells, outputs


def autograd(network: GatedNetwork, detach: bool = False) -> dict[str, Tensor]:
    h, _, _ = unrolled(network, detach)
    found = torch.autograd.grad(error(h, network), [network.get_parameter(name) for name in NAMES])
    return dict(zip(NAMES, found, strict=True))


def in_windows(
    network: GatedNetwork, steps: int, rule: WindowRule, edge_of: Callable[[LSTMState, int], Edge] | None = None
) -> dict[str, Tensor]:
    """The sum over windows of `steps` steps; `edge_of` gives the right edge before step t, none at the very end."""
    state = network.neuron.initial_state(BATCH, N, network.w_in)
    vectors = windows.no_vectors(network, BATCH) if rule.vectors == "carried" else None
    total: dict[str, Tensor] = {name: torch.zeros_like(network.get_parameter(name)) for name in NAMES}
    for first in range(0, STEPS, steps):
        walk = network.walk(INPUTS[:, first : first + steps], state)
        after = first + steps
        edge = windows.no_edge(walk.after) if edge_of is None or after == STEPS else edge_of(walk.after, after)
        back = windows.backward(network, walk, by_outputs(network, walk.h, first), edge, rule)
        for name, found in windows.gradient(network, walk, back, edge, vectors).items():
            total[name] = total[name] + found
        state = walk.after
    return total


def ideal(network: GatedNetwork) -> Callable[[LSTMState, int], Edge]:
    """dE/dc^(t+1) by autograd, in place of a prediction; and what it leaves out, the way from h through the output gate
    of the next step, added."""
    h, cells, outputs = unrolled(network)
    by_cell = torch.autograd.grad(error(h, network), cells, retain_graph=True)
    by_h = torch.autograd.grad(error(h, network), outputs)

    def edge(after: LSTMState, t: int) -> Edge:
        predicted = windows.synthetic_edge(network, after, INPUTS[:, t], by_cell[t])
        _, _, local = network.step(network.weights(), after, INPUTS[:, t])
        output_gate = (by_h[t] * local.direct) @ network.w_rec.detach()[3 * N :]
        return Edge(predicted.by_h + output_gate, predicted.by_c)

    return edge


def worst(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    return max(relative(found[name], wanted[name]) for name in NAMES)


def least(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    return min(relative(found[name], wanted[name]) for name in NAMES)


@pytest.mark.parametrize("rule", [E_PROP_3, TRACES, WindowRule("none")], ids=["e-prop 3", "traces", "BPTT"])
def test_one_window_is_full_bptt(network: GatedNetwork, rule: WindowRule) -> None:
    wanted = autograd(network)
    assert worst(in_windows(network, STEPS, rule), wanted) < EXACT
    assert least(in_windows(network, 4, WindowRule("none", synthetic=False)), wanted) > WRONG  # control: truncated


@pytest.mark.parametrize("compiler", ["compiled", "plain torch"])
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_ideal_boundaries_give_the_true_gradient(
    network: GatedNetwork, steps: int, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eq. 70, for BPTT with these boundaries and for e-prop 3."""
    if compiler == "plain torch":
        monkeypatch.setattr(dispatch, "operators", lambda device: reference)
    wanted, edge = autograd(network), ideal(network)
    assert worst(in_windows(network, steps, E_PROP_3, edge), wanted) < EXACT
    assert worst(in_windows(network, steps, WindowRule("none"), edge), wanted) < EXACT

    def without_output_gate(after: LSTMState, t: int) -> Edge:
        h, cells, _ = unrolled(network)
        return windows.synthetic_edge(network, after, INPUTS[:, t], torch.autograd.grad(error(h, network), cells)[t])

    assert (
        least(in_windows(network, steps, E_PROP_3, without_output_gate), wanted) > 1e-5
    )  # what an LSTM needs beside c


def heard_twice(network: GatedNetwork, walk: Walk, back: Backward, edge: Edge, vectors: Tensor) -> dict[str, Tensor]:
    """The boundary of a unit's own state in this window too, though the next one hears it through the vectors."""
    return gradient(network, walk, back, Edge(edge.by_h, 0 * edge.by_c), vectors)


BROKEN: dict[str, tuple[str, Callable[..., Any]]] = {
    "no right edge": ("gradient", heard_twice),
    "no left edge": ("carry", lambda v, keep, rows, pre, left: carry(v, keep, rows, pre, 0 * left)),
    "nothing decays": ("carry", lambda v, keep, rows, pre, left: carry(v, 0 * keep + 1, rows, pre, left)),
    "stale": ("carry", lambda v, keep, rows, pre, left: carry(v.clone(), keep, rows, pre, left)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_controls_of_what_is_carried(network: GatedNetwork, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ideal boundaries two neighbours' edges cancel, whatever the vectors are; others show what these are."""
    wanted, edge = printed_sum(network, "carried", predicted=True), guessed(network)
    assert worst(in_windows(network, 4, E_PROP_3, edge), wanted) < EXACT
    monkeypatch.setattr(windows, *BROKEN[broken])
    assert least(in_windows(network, 4, E_PROP_3, edge), wanted) > WRONG
    if broken.startswith("no "):
        assert least(in_windows(network, 4, E_PROP_3, ideal(network)), autograd(network)) > WRONG


@pytest.mark.parametrize("steps", [1, 4, STEPS])
def test_e_prop_1_carries_one_long_trace(network: GatedNetwork, steps: int) -> None:
    """Windows change nothing where learning signals do not look ahead."""
    rule = WindowRule(recurrence=False, synthetic=False)
    assert worst(in_windows(network, steps, rule), autograd(network, detach=True)) < EXACT
    assert least(in_windows(network, steps, rule), autograd(network)) > WRONG  # control: it is not BPTT


def vectors_forward(network: GatedNetwork) -> tuple[list[Tensor], list[Tensor]]:
    """epsilon^t [batch, gate, unit, pre] by Eq. 2, and ds^t/dtheta alone."""
    state = network.neuron.initial_state(BATCH, N, network.w_in)
    pre_count = N_IN + N + 1
    epsilon, series, alone = torch.zeros(BATCH, 3, N, pre_count, dtype=torch.float64), [], []
    for t in range(STEPS):
        pre, state, local = network.step(network.weights(), state, INPUTS[:, t])
        now = torch.einsum("bgj,bi->bgji", local.by_gate, pre)
        epsilon = local.d[:, None, :, None] * epsilon + now
        series.append(epsilon)
        alone.append(now)
    return series, alone


def guessed(network: GatedNetwork) -> Callable[[LSTMState, int], Edge]:
    """Boundaries that are anything but ideal."""
    return lambda after, t: windows.synthetic_edge(network, after, INPUTS[:, t], GUESSED[t])


def signals(network: GatedNetwork, steps: int, predicted: bool) -> list[Tensor]:
    """dE_m/dh of every step by autograd, E_m being the errors of the step's own window, and its boundary (Eq. 64)."""
    found: list[Tensor] = []
    weights, state = network.weights(), network.neuron.initial_state(BATCH, N, network.w_in)
    for first in range(0, STEPS, steps):
        now, outputs, after = state, [], first + steps
        for t in range(first, after):
            _, now, _ = network.step(weights, now, INPUTS[:, t])
            now = now if now.h.requires_grad else LSTMState(now.c, now.h.requires_grad_())
            outputs.append(now.h)
        total = error(torch.stack(outputs), network, first)
        if predicted and after < STEPS:
            total = total + (GUESSED[after] * network.step(weights, now, INPUTS[:, after])[1].c).sum()
        found += torch.autograd.grad(total, outputs)
        state = LSTMState(now.c.detach(), now.h.detach())
    return found


def printed_sum(network: GatedNetwork, vectors: str, predicted: bool) -> dict[str, Tensor]:
    """Eq. 69: sum over steps of L^t . epsilon^t in windows of 4, an outer product for each synapse and step."""
    series, alone = vectors_forward(network)
    state, weights = network.neuron.initial_state(BATCH, N, network.w_in), network.weights()
    total = torch.zeros(3, N, N_IN + N + 1, dtype=torch.float64)
    by_output = torch.zeros(N, N_IN + N + 1, dtype=torch.float64)
    for t, signal in enumerate(signals(network, 4, predicted)):
        pre, state, local = network.step(weights, state, INPUTS[:, t])
        total += torch.einsum("bj,bgji->gji", signal * local.output, (series if vectors == "carried" else alone)[t])
        by_output += torch.einsum("bj,bi->ji", signal * local.direct, pre)
    return network.apart(torch.cat([total.reshape(3 * N, -1), by_output]))


@pytest.mark.parametrize("predicted", [False, True], ids=["no boundary", "a boundary"])
@pytest.mark.parametrize(("vectors", "other"), [("carried", "truncated"), ("truncated", "carried")])
def test_sums_as_the_paper_prints_them(network: GatedNetwork, vectors: str, other: str, predicted: bool) -> None:
    edge, wanted = guessed(network) if predicted else None, printed_sum(network, vectors, predicted)
    assert worst(in_windows(network, 4, WindowRule(vectors), edge), wanted) < EXACT
    wrong = in_windows(network, 4, WindowRule(other), edge)
    assert relative(wrong["w_rec"], wanted["w_rec"]) > WRONG  # control: the other vectors


def test_local_derivatives_are_autograds(network: GatedNetwork) -> None:
    c, currents = draw(BATCH, N, seed=5).requires_grad_(), draw(BATCH, 4 * N, seed=6).requires_grad_()
    state, local = network.neuron.step(c, currents)
    by_c, by_currents = torch.autograd.grad(state.c.sum(), [c, currents], retain_graph=True)
    assert relative(local.d, by_c) < EXACT
    assert relative(local.by_gate.flatten(start_dim=1), by_currents[:, : 3 * N]) < EXACT
    after = state.c.detach().requires_grad_()
    o = currents[:, 3 * N :].sigmoid()
    h = o * (after.tanh() if network.neuron.squash else after)
    by_after, direct = torch.autograd.grad(h.sum(), [after, currents])
    assert relative(local.output, by_after) < EXACT
    assert relative(local.direct, direct[:, 3 * N :]) < EXACT
    assert relative(local.by_gate[:, 0], by_currents[:, N : 2 * N]) > WRONG  # control: another gate
