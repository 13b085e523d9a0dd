"""An LSTM layer's rules over windows, against autograd through the whole sequence and against the sums as printed."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.errors import UsageError
from repro.eprop.kernels import dispatch, history, reference
from repro.eprop.kernels.eligibility_vectors import carry
from repro.eprop.kernels.history import History
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.eprop.rules import windows
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Rule
from repro.eprop.rules.windows import BoundaryGradient
from tests.oracle.eprop.lstm_tape import (
    BATCH,
    EXACT,
    NAMES,
    START,
    STEPS,
    WRONG,
    N,
    X,
    assert_differ,
    assert_equal,
    by_autograd,
    cell,
    draw,
    error,
    make_layer,
    printed_sum,
    relative,
    unroll,
    vectors_forward,
)

Boundaries = Callable[[LSTMState, int], BoundaryGradient]  # of the state before step t
# Past steps that are kept: none, so that vectors are carried from the first window on; two windows, then vectors; all.
KEPT = {"carried": 0, "history, then carried": 8, "history": 1000}
GUESSED = draw(STEPS, BATCH, N, seed=7)  # dE/dc of the step after a window: anything but ideal
WINDOW = 4


@pytest.fixture(params=[False, True], ids=["h = o c", "h = o tanh c"])
def layer(request: pytest.FixtureRequest) -> LSTMLayer:
    return make_layer(request.param)


@pytest.fixture(params=KEPT, autouse=True)
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    keep(KEPT[request.param], monkeypatch)
    return request.param


def keep(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Keep so many past steps of a sequence before vectors are carried."""
    patch.setattr(history, "MOST_STEPS", dict.fromkeys(history.MOST_STEPS, steps))


def in_windows(
    layer: LSTMLayer, rule: Rule, steps: int, boundary_of: Boundaries | None = None, reset: bool = False
) -> dict[str, Tensor]:
    """The layer's gradients, added up over windows; `reset` begins every window with new vectors."""
    layer.rule, state = rule, START
    layer.zero_grad()
    vectors = layer.eligibility_vectors(BATCH)
    for first in range(0, STEPS, steps):
        after = first + steps
        if reset:
            vectors.reset()
        with torch.no_grad():
            ahead = unroll(layer, X[:, first:after], state)
        boundary = None
        if boundary_of is not None and after < STEPS:
            boundary = boundary_of(LSTMState(ahead.cells[-1], ahead.outputs[-1]), after)
        h, state = layer(X[:, first:after], state, eligibility_vectors=vectors, boundary=boundary, return_state=True)
        error(h, first).backward()
    return {name: layer.get_parameter(name).grad.clone() for name in NAMES}


def ideal(layer: LSTMLayer) -> Boundaries:
    """The true gradient of all later errors by the state, (c, h)."""

    def boundary(state: LSTMState, t: int) -> BoundaryGradient:
        c, h = (part.detach().clone().requires_grad_() for part in state)
        d_c, d_h = torch.autograd.grad(error(unroll(layer, X[:, t:], LSTMState(c, h)).h, t), [c, h])
        return BoundaryGradient(d_h, d_c)

    return boundary


def by_cell_alone(layer: LSTMLayer) -> Boundaries:
    """From the true dE/dc^(t+1), as a perfect synthetic gradient of Eq. 67 predicts it."""

    def boundary(state: LSTMState, t: int) -> BoundaryGradient:
        tape = unroll(layer, X[:, t:], state)
        (d_cell,) = torch.autograd.grad(error(tape.h, t), tape.cells[0])
        return windows.boundary_from_prediction(layer.neuron, layer.weights, state, X[:, t], d_cell)

    return boundary


def guessed(layer: LSTMLayer) -> Boundaries:
    return lambda state, t: windows.boundary_from_prediction(layer.neuron, layer.weights, state, X[:, t], GUESSED[t])


@pytest.mark.parametrize("rule", [EProp3(), BPTT()], ids=str)
def test_one_window_is_full_bptt(layer: LSTMLayer, rule: Rule) -> None:
    wanted = by_autograd(layer)
    assert_equal(in_windows(layer, rule, STEPS), wanted)
    assert_differ(in_windows(layer, rule, WINDOW), wanted)  # control: truncated


@pytest.mark.parametrize("operators", ["compiled", "plain torch"])
@pytest.mark.parametrize("steps", [1, 3, 4])
@pytest.mark.parametrize("rule", [EProp3(), BPTT()], ids=str)
def test_ideal_boundaries_sum_to_the_true_gradient(
    layer: LSTMLayer, rule: Rule, steps: int, operators: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eq. 70. An LSTM needs a boundary on (c, h): dE/dc^(t+1) alone leaves out the output gate of that step."""
    if operators == "plain torch":
        monkeypatch.setattr(dispatch, "operators", lambda device: reference)
    wanted = by_autograd(layer)
    assert_equal(in_windows(layer, rule, steps, ideal(layer)), wanted)
    assert_differ(in_windows(layer, rule, steps, by_cell_alone(layer)), wanted, least=1e-5)


@pytest.mark.parametrize("steps", [1, 4, STEPS])
def test_e_prop_1_carries_one_long_trace(layer: LSTMLayer, steps: int) -> None:
    wanted = by_autograd(layer, detach=True)
    assert_equal(in_windows(layer, EProp(), steps), wanted)
    assert_differ(in_windows(layer, EProp(), steps), by_autograd(layer))  # control: it is not BPTT
    if steps < STEPS:
        assert_differ(in_windows(layer, EProp(), steps, reset=True), wanted)  # control: nothing is carried


def signals(layer: LSTMLayer, predicted: bool, recurrence: bool = True) -> list[Tensor]:
    """dE_m/dh of every step by autograd, E_m being the errors of the step's own window and its boundary (Eq. 64)."""
    state, series = START, list[Tensor]()
    for first in range(0, STEPS, WINDOW):
        tape = unroll(layer, X[:, first : first + WINDOW], state, detach=not recurrence)
        total, after = error(tape.h, first), first + WINDOW
        if predicted and after < STEPS:
            total = total + (GUESSED[after] * cell(layer, X[:, after], tape.cells[-1], tape.outputs[-1])[0]).sum()
        series += torch.autograd.grad(total, tape.outputs)
        state = LSTMState(tape.cells[-1].detach(), tape.outputs[-1].detach())
    return series


@pytest.mark.parametrize("predicted", [False, True], ids=["zero boundary", "a boundary"])
@pytest.mark.parametrize("truncated", [False, True], ids=["full", "truncated"])
def test_e_prop_3_is_the_sum_as_printed(layer: LSTMLayer, truncated: bool, predicted: bool) -> None:
    """Eq. 69 with the boundary of Eq. 67; with zero boundaries "truncated BPTT + eligibility traces"."""
    rules = EProp3(trace="truncated"), EProp3()
    boundary_of = guessed(layer) if predicted else None
    wanted = printed_sum(layer, signals(layer, predicted), truncated)
    assert_equal(in_windows(layer, rules[not truncated], WINDOW, boundary_of), wanted)
    assert_differ(in_windows(layer, rules[truncated], WINDOW, boundary_of), wanted)  # control: the other vectors


def test_e_prop_1_with_truncated_traces_is_the_sum_as_printed(layer: LSTMLayer) -> None:
    wanted = printed_sum(layer, signals(layer, predicted=False, recurrence=False), truncated=True)
    assert_equal(in_windows(layer, EProp(trace="truncated"), WINDOW), wanted)
    assert_differ(in_windows(layer, EProp(), WINDOW), wanted)
    assert_differ(in_windows(layer, EProp3(trace="truncated"), WINDOW), wanted)


def test_a_zero_boundary_adds_the_vectors_to_truncated_bptt(layer: LSTMLayer) -> None:
    """The identity: BPTT inside the window + dE/dc before it . vectors before it."""
    traces, truncated = in_windows(layer, EProp3(), WINDOW), in_windows(layer, BPTT(), WINDOW)
    state, steps, added = START, vectors_before(layer), torch.zeros(3, N, X.shape[2] + N + 1, dtype=torch.float64)
    for first in range(0, STEPS, WINDOW):
        c = state.c.detach().clone().requires_grad_()
        tape = unroll(layer, X[:, first : first + WINDOW], LSTMState(c, state.h))
        (d_cell,) = torch.autograd.grad(error(tape.h, first), c)
        added += torch.einsum("bj,bgji->gji", d_cell, steps[first])
        state = LSTMState(tape.cells[-1].detach(), tape.outputs[-1].detach())
    flat, n_in = added.reshape(3 * N, -1), X.shape[2]
    difference = {name: (traces[name] - truncated[name])[: 3 * N] for name in NAMES}
    assert_equal(difference, {"w_in": flat[:, :n_in], "w_rec": flat[:, n_in:-1], "bias": flat[:, -1]})
    assert relative(traces["w_rec"], truncated["w_rec"]) > WRONG


def vectors_before(layer: LSTMLayer) -> list[Tensor]:
    steps = [step.vectors for step in vectors_forward(layer)]
    return [torch.zeros_like(steps[0]), *steps[:-1]]


def counted_twice(vectors: Tensor, pre: Tensor, local: Any, before: Tensor, after: Tensor) -> Any:
    """The boundary of a unit's own cell in this window too, though the next one adds it through the vectors."""
    return ADVANCE(vectors, pre, local, before, 0 * after)


ADVANCE, GRADIENT, ADD = windows.advance_eligibility_vectors, History.gradient, History.add
BROKEN: dict[str, dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    "carried": {
        "no right edge": (windows, "advance_eligibility_vectors", counted_twice),
        "no left edge": (windows, "carry", lambda v, keep, rows, pre, left: carry(v, keep, rows, pre, 0 * left)),
        "nothing decays": (windows, "carry", lambda v, keep, rows, pre, left: carry(v, 0 * keep + 1, rows, pre, left)),
        "stale": (windows, "carry", lambda v, keep, rows, pre, left: carry(v.clone(), keep, rows, pre, left)),
    },
    "history": {
        "no right edge": (windows, "advance_eligibility_vectors", counted_twice),
        "no left edge": (History, "gradient", lambda self, d_cell: GRADIENT(self, 0 * d_cell)),
        "nothing decays": (History, "add", lambda self, keep, rows, pre: ADD(self, 0 * keep + 1, rows, pre)),
        "stale": (History, "add", lambda self, keep, rows, pre: ADD(self, keep, 0 * rows, pre)),
    },
}
BROKEN["history, then carried"] = BROKEN["history"]


@pytest.mark.parametrize("broken", BROKEN["carried"])
def test_controls_of_what_is_carried(layer: LSTMLayer, broken: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = printed_sum(layer, signals(layer, predicted=True), truncated=False)
    monkeypatch.setattr(*BROKEN[kept][broken])
    assert_differ(in_windows(layer, EProp3(), WINDOW, guessed(layer)), wanted)
    if broken.startswith("no "):  # otherwise, with ideal boundaries, neighbouring edges cancel whatever the vectors are
        assert_differ(in_windows(layer, EProp3(), WINDOW, ideal(layer)), by_autograd(layer))


def test_a_history_and_carried_vectors_are_one_gradient(layer: LSTMLayer, kept: str) -> None:
    """In float64 to 1e-12, in float32 to 1e-6; windows of 3 steps and one of 1, the vectors read in between."""
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        results = []
        for steps in KEPT.values():
            with pytest.MonkeyPatch.context() as patch:
                keep(steps, patch)
                results.append(sequence(layer, dtype))
        for result in results[1:]:
            assert_equal(result, results[0], tolerance)
        assert_differ(sequence(layer, dtype, forget=2), results[0])  # control: two windows are forgotten


def sequence(layer: LSTMLayer, dtype: torch.dtype, forget: int = 0) -> dict[str, Tensor]:
    """The gradient of the last window, and the vectors after it; the first windows may be forgotten."""
    layer, state = copy.deepcopy(layer).to(dtype), LSTMState(*(part.to(dtype) for part in START))
    layer.rule, vectors = EProp3(), layer.eligibility_vectors(BATCH)
    for number, x in enumerate(X.to(dtype)[:, :10].split(3, dim=1)):
        if number < forget:
            vectors.reset()
        layer.zero_grad()
        h, state = layer(x, state, eligibility_vectors=vectors, return_state=True)
        (h * h.detach().cos()).sum().backward()
    gradients: dict[str, Any] = {name: layer.get_parameter(name).grad for name in NAMES}
    return gradients | {"vectors": vectors.tensor}


def test_vectors_resume_to_the_bit_within_a_sequence(layer: LSTMLayer, kept: str) -> None:
    layer.rule = EProp3()
    whole = layer.eligibility_vectors(BATCH)
    _, state = windows_of(layer, X[:, :8], START, whole)
    saved = io.BytesIO()
    torch.save(whole.state_dict(), saved)
    wanted, _ = windows_of(layer, X[:, 8:], state, whole)
    saved.seek(0)
    resumed, fresh = layer.eligibility_vectors(BATCH), layer.eligibility_vectors(BATCH)
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    result, _ = windows_of(layer, X[:, 8:], state, resumed)
    assert all(torch.equal(result[name], wanted[name]) for name in NAMES)
    assert torch.equal(resumed.tensor, whole.tensor)
    assert_differ(windows_of(layer, X[:, 8:], state, fresh)[0], wanted)  # control: nothing was loaded
    with pytest.raises(UsageError, match="another layer, batch or machine"):
        layer.eligibility_vectors(BATCH + 1).load_state_dict(whole.state_dict())


def windows_of(
    layer: LSTMLayer, x: Tensor, state: LSTMState, vectors: EligibilityVectors
) -> tuple[dict[str, Tensor], LSTMState]:
    """The gradients of windows of two steps, added up, and the state after them."""
    layer.zero_grad()
    for window in x.split(2, dim=1):
        h, state = layer(window, state, eligibility_vectors=vectors, return_state=True)
        h.square().sum().backward()
    return {name: layer.get_parameter(name).grad.clone() for name in NAMES}, state


def test_the_predicted_boundary_is_autograds(layer: LSTMLayer) -> None:
    c, h = (part.clone().requires_grad_() for part in START)
    d_c, d_h = torch.autograd.grad((GUESSED[0] * cell(layer, X[:, 0], c, h)[0]).sum(), [c, h])
    boundary = windows.boundary_from_prediction(layer.neuron, layer.weights, START, X[:, 0], GUESSED[0])
    assert relative(boundary.d_c, d_c) < EXACT
    assert relative(boundary.d_h, d_h) < EXACT
    assert relative(boundary.d_h, d_c) > WRONG  # control
    zero = windows.zero_boundary(START)
    assert not zero.d_c.any()
    assert not zero.d_h.any()


def test_local_jacobians_are_autograds(layer: LSTMLayer) -> None:
    neuron: LSTM = layer.neuron
    c, currents = draw(BATCH, N, seed=8).requires_grad_(), draw(BATCH, 4 * N, seed=9).requires_grad_()
    state, local = neuron.step(c, currents)
    d_c, d_currents = torch.autograd.grad(state.c.sum(), [c, currents], retain_graph=True)
    assert relative(local.d, d_c) < EXACT
    assert relative(local.by_gate.flatten(start_dim=1), d_currents[:, : 3 * N]) < EXACT
    assert relative(local.by_gate[:, 0], d_currents[:, N : 2 * N]) > WRONG  # control: another gate
    after, gate = state.c.detach().requires_grad_(), currents[:, 3 * N :].sigmoid()
    h = gate * (after.tanh() if neuron.squash else after)
    d_after, d_direct = torch.autograd.grad(h.sum(), [after, currents])
    assert relative(local.output, d_after) < EXACT
    assert relative(local.direct, d_direct[:, 3 * N :]) < EXACT
