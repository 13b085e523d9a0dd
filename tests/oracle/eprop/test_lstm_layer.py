"""An LSTM layer against torch.nn.LSTM and autograd, and what torch expects of a layer, in float64 unless stated."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Frozen, Rule
from repro.eprop.rules.windows import BoundaryGradient
from tests.oracle.eprop.lstm_tape import (
    BATCH,
    EXACT,
    N_IN,
    NAMES,
    START,
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

Gradients = dict[str, Tensor]
RULES = [BPTT(), EProp(), EProp(trace="truncated"), EProp3(), EProp3(trace="truncated"), Frozen()]
BOUNDARY = BoundaryGradient(draw(BATCH, N, seed=10), draw(BATCH, N, seed=11))


def gradients(layer: LSTMLayer, rule: Rule, factor: float = 1.0, **options: Any) -> Gradients:
    """One call over the whole sequence; the input's gradient is named x."""
    layer.rule = rule
    layer.zero_grad()
    x = X.clone().requires_grad_()
    (factor * error(layer(x, START, **options))).backward()
    named = {name: layer.get_parameter(name).grad for name in NAMES} | {"x": x.grad}
    return {name: gradient.clone() for name, gradient in named.items() if gradient is not None}


def taped(layer: LSTMLayer, detach: bool = False, boundary: bool = False) -> Gradients:
    x = X.clone().requires_grad_()
    tape = unroll(layer, x, detach=detach)
    total = error(tape.h)
    if boundary:
        total = total + (BOUNDARY.d_h * tape.outputs[-1]).sum() + (BOUNDARY.d_c * tape.cells[-1]).sum()
    wanted = [*(layer.get_parameter(name) for name in NAMES), x]
    return dict(zip((*NAMES, "x"), torch.autograd.grad(total, wanted), strict=True))


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("rule", [BPTT(), EProp3()], ids=str)
def test_bptt_is_autograd(rule: Rule, squash: bool) -> None:
    layer = make_layer(squash)
    assert_equal(gradients(layer, rule), taped(layer))
    assert_differ(gradients(layer, EProp()), taped(layer))  # control
    layer.rule = rule
    h, after = layer(X, START, return_state=True)
    tape = unroll(layer, X)
    assert relative(h, tape.h) < EXACT
    assert relative(after.c, tape.cells[-1]) < EXACT
    assert relative(after.h, tape.outputs[-1]) < EXACT
    assert not after.c.requires_grad
    assert not after.h.requires_grad


def test_bptt_is_torchs_lstm() -> None:
    layer, theirs = make_layer(rule=BPTT()), nn.LSTM(N_IN, N, batch_first=True).double()
    with torch.no_grad():
        for copied, weights in zip(theirs.parameters(), layer.weights, strict=False):
            copied.copy_(weights)
        nn.init.zeros_(theirs.bias_hh_l0)[N : 2 * N] = layer.neuron.forget_bias
    x = X.clone().requires_grad_()
    h, (h_after, c_after) = theirs(x, (START.h[None], START.c[None]))
    error(h).backward()
    wanted = {"w_in": theirs.weight_ih_l0.grad, "w_rec": theirs.weight_hh_l0.grad, "bias": theirs.bias_ih_l0.grad}
    assert_equal(gradients(layer, BPTT()), wanted | {"x": x.grad})
    ours, state = layer(X, START, return_state=True)
    assert max(relative(ours, h), relative(state.c, c_after[0]), relative(state.h, h_after[0])) < EXACT
    assert_differ(gradients(make_layer(squash=False), BPTT()), wanted)  # control: h = o c


@pytest.mark.parametrize("squash", [False, True])
def test_e_prop_is_autograd_without_the_recurrence(squash: bool) -> None:
    layer = make_layer(squash)
    assert_equal(gradients(layer, EProp()), taped(layer, detach=True))
    assert_differ(gradients(layer, EProp()), taped(layer))


@pytest.mark.parametrize("squash", [False, True])
def test_truncated_traces_step_by_step(squash: bool) -> None:
    layer = make_layer(squash)
    for recurrence, rule in ((False, EProp(trace="truncated")), (True, EProp3(trace="truncated"))):
        tape = unroll(layer, X, detach=not recurrence)
        signals = list(torch.autograd.grad(error(tape.h), tape.outputs))
        wanted, result = printed_sum(layer, signals, truncated=True), gradients(layer, rule)
        assert_equal({name: result[name] for name in NAMES}, wanted)
        assert_differ(result, printed_sum(layer, signals, truncated=False))  # control
        # dE/dI of every gate as the rule has it, times w_in
        at_cell = [(s * step.output)[:, None] * _by_gate(layer)[t] for t, (s, step) in _series(layer, signals)]
        at_output = [(s * step.direct)[:, None] for _, (s, step) in _series(layer, signals)]
        currents = torch.cat([torch.stack(at_cell, 1), torch.stack(at_output, 1)], dim=2).flatten(2)
        assert relative(result["x"], currents @ layer.w_in) < EXACT


def _series(layer: LSTMLayer, signals: list[Tensor]) -> Any:
    return enumerate(zip(signals, vectors_forward(layer), strict=True))


def _by_gate(layer: LSTMLayer) -> list[Tensor]:
    """dc^t/dI^t: what multiplies the presynaptic activity one, that of the bias."""
    return [step.alone[:, :, :, -1] for step in vectors_forward(layer)]


def test_a_boundary_is_the_gradient_of_the_last_output_and_cell() -> None:
    for squash in (False, True):
        layer = make_layer(squash)
        wanted = taped(layer, boundary=True)
        assert_equal(gradients(layer, BPTT(), boundary=BOUNDARY), wanted)
        assert_equal(gradients(layer, EProp3(), boundary=BOUNDARY), wanted)  # no vectors: all of it is in this window
        for part in (BOUNDARY._replace(d_h=0 * BOUNDARY.d_h), BOUNDARY._replace(d_c=0 * BOUNDARY.d_c)):
            assert_differ(gradients(layer, BPTT(), boundary=part), wanted)  # control
        vectors = layer.eligibility_vectors(BATCH)
        carried = gradients(layer, EProp3(), boundary=BOUNDARY, eligibility_vectors=vectors)
        assert relative(carried["x"], wanted["x"]) < EXACT  # inputs have no vectors
        assert_differ({name: carried[name] for name in NAMES}, {name: wanted[name] for name in NAMES})


def test_rules_that_do_not_look_ahead_take_no_boundary() -> None:
    with pytest.raises(UsageError, match="does not look ahead"):
        make_layer(rule=EProp())(X, START, boundary=BOUNDARY)


def test_frozen_weights_receive_nothing_and_inputs_all() -> None:
    layer = make_layer()
    assert_equal(gradients(layer, Frozen()), {"x": taped(layer)["x"]})
    assert not layer(X).requires_grad
    with_boundary = gradients(layer, Frozen(), boundary=BOUNDARY)
    assert_equal(with_boundary, {"x": taped(layer, boundary=True)["x"]})


def test_a_state_is_carried() -> None:
    for rule in RULES:
        layer = make_layer(rule=rule)
        whole, after = layer(X, START, return_state=True)
        first, state = layer(X[:, :5], START, return_state=True)
        second, last = layer(X[:, 5:], state, return_state=True)
        assert relative(torch.cat([first, second], dim=1), whole) < EXACT
        assert relative(last.c, after.c) < EXACT
        assert relative(layer(X[:, 5:]), second) > WRONG  # control: at rest
        assert torch.equal(layer(X), layer(X, layer.initial_state(BATCH)))


def test_vectors_are_those_of_equation_37_and_begin_anew_when_reset() -> None:
    layer = make_layer(rule=EProp3())
    vectors, wanted = layer.eligibility_vectors(BATCH), vectors_forward(layer)
    _, state = layer(X[:, :5], START, eligibility_vectors=vectors, return_state=True)
    assert not vectors.tensor.any()
    error(layer(X[:, :5], START)).backward()  # another call, without vectors
    vectors.reset()
    h, state = layer(X[:, :5], START, eligibility_vectors=vectors, return_state=True)
    error(h).backward()
    assert relative(vectors.tensor.permute(1, 2, 0, 3), wanted[4].vectors) < EXACT
    error(layer(X[:, 5:], state, eligibility_vectors=vectors), 5).backward()
    assert relative(vectors.tensor.permute(1, 2, 0, 3), wanted[-1].vectors) < EXACT
    vectors.reset()
    assert not vectors.tensor.any()
    with torch.no_grad():  # no backward pass will come
        layer(X, START, eligibility_vectors=vectors)
    assert relative(vectors.tensor.permute(1, 2, 0, 3), wanted[-1].vectors) < EXACT


def test_the_tape_is_alive() -> None:
    """Whatever these tests compare: gates move, cells remember, and the error depends on all of it."""
    layer = make_layer()
    tape = unroll(layer, X)
    assert tape.h.std() > 0.1
    c, h = cell(layer, X[:, 0], *START)
    assert torch.equal(torch.stack([c, h]), torch.stack([tape.cells[0], tape.outputs[0]]))
    assert_differ(by_autograd(layer), by_autograd(layer, detach=True))
