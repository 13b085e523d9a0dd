"""An LSTM layer against torch.nn.LSTM and autograd, and what torch expects of a layer, in float64 unless stated."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Frozen, Rule
from repro.eprop.rules.windows import BoundaryGradient
from repro.gated import GatedNetwork
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


@pytest.mark.parametrize("rule", [BPTT(), Frozen(), EProp(trace="truncated")], ids=str)
def test_other_rules_leave_vectors_as_they_are(rule: Rule) -> None:
    layer = make_layer(rule=rule)
    vectors = layer.eligibility_vectors(BATCH)
    for _ in range(2):
        h = layer(X, START, eligibility_vectors=vectors)
    if rule.plastic:
        error(h).backward()
    assert not vectors.tensor.any()


def test_each_forward_pass_has_its_one_backward_pass() -> None:
    layer = make_layer(rule=EProp3())
    vectors = layer.eligibility_vectors(BATCH)
    first = error(layer(X, START, eligibility_vectors=vectors))
    with pytest.raises(UsageError, match="wait for the backward pass"):
        layer(X, START, eligibility_vectors=vectors)
    first.backward(retain_graph=True)
    advanced = vectors.tensor.clone()
    with pytest.raises(UsageError, match="passed this window already"):
        first.backward()
    assert torch.equal(vectors.tensor, advanced)
    late = error(layer(X, START, eligibility_vectors=vectors))
    vectors.reset()
    with pytest.raises(UsageError, match="or were reset"):
        late.backward()
    twice = error(make_layer(rule=BPTT())(X, START))
    twice.backward(retain_graph=True)
    twice.backward()  # without vectors nothing forbids it


def test_a_gradient_reaches_no_state_and_no_second_order() -> None:
    layer = make_layer()
    with pytest.raises(UsageError, match="no gradient passes into state"):
        layer(X, LSTMState(START.c, START.h.clone().requires_grad_()))
    with pytest.raises(UsageError, match="no gradient passes into boundary"):
        layer(X, START, boundary=BOUNDARY._replace(d_c=BOUNDARY.d_c.clone().requires_grad_()))
    (once,) = torch.autograd.grad(error(layer(X, START)), layer.w_in, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()


@pytest.mark.parametrize(
    ("x", "options", "sentence"),
    [
        (X[0], {}, r"x is \[12, 4\]"),
        (X[:, :, :3], {}, r"it must be \[batch, time, 4\]"),
        (X[:, :0], {}, "one step or more"),
        (X, {"state": LSTMState(START.c[:2], START.h[:2])}, r"each part must be \[3, 6\]"),
        (X, {"eligibility_vectors": EligibilityVectors(torch.zeros(6, 2, 3, 11))}, "make them by"),
        (X, {"lengths": torch.tensor([3, 2, 1])}, "takes no lengths"),
    ],
)
def test_wrong_use_is_a_sentence(x: Tensor, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_layer(rule=EProp3())(x, **options)


def test_a_rule_is_checked_when_it_is_given() -> None:
    layer = make_layer()
    wrong: Any
    for wrong, sentence in ((EProp(trace="clopath"), "not defined for LSTM"), ("bptt", "no learning rule")):
        with pytest.raises(UsageError, match=sentence):
            layer.rule = wrong
    assert layer.rule == BPTT()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_rule_is_in_the_checkpoint(rule: Rule) -> None:
    saved, layer = io.BytesIO(), make_layer(rule=rule)
    torch.save(layer.state_dict(), saved)
    saved.seek(0)
    other = LSTMLayer(LSTM(True, 0.7), N_IN, N, rule=EProp3() if rule != EProp3() else BPTT()).double()
    assert other.rule != rule
    other.load_state_dict(torch.load(saved, weights_only=True))
    assert other.rule == rule == copy.deepcopy(layer).rule
    assert all(torch.equal(one, two) for one, two in zip(other.weights, layer.weights, strict=True))
    assert str(rule) in repr(other)


def test_weights_are_drawn_as_before() -> None:
    scale, draws = N**-0.5, [torch.Generator().manual_seed(8) for _ in range(2)]
    layer = LSTMLayer(LSTM(), N_IN, N, generator=draws[0])
    old = GatedNetwork(LSTM(), N_IN, N, 2, scale, draws[1])
    for name in NAMES:
        assert torch.equal(layer.get_parameter(name), old.get_parameter(name))
    assert [name for name, _ in layer.named_parameters()] == list(NAMES)


def test_reduced_precision_is_refused_and_autocast_computes_in_float32() -> None:
    with pytest.raises(UsageError, match="torch.bfloat16"):
        make_layer().bfloat16()(X.bfloat16())
    layer = make_layer(rule=EProp3()).float()
    for dtype in (torch.float32, torch.bfloat16):
        x = X.to(dtype).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            h = layer(x)
            assert h.dtype == torch.float32
            h.square().sum().backward()  # also inside
        (wanted_x, *wanted) = torch.autograd.grad(layer(x.float()).square().sum(), [x, *layer.parameters()])
        assert x.grad is not None
        assert x.grad.dtype == dtype
        assert torch.equal(x.grad, wanted_x)
        for parameter, gradient in zip(layer.parameters(), wanted, strict=True):
            assert torch.equal(parameter.grad, gradient)
            parameter.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        rounded = unroll(layer, X.float(), LSTMState(*(part.float() for part in START))).h
    assert relative(rounded, layer(X, LSTMState(*(part.float() for part in START)))) > WRONG  # control: it would matter


def test_accumulated_gradients_are_those_of_the_sum() -> None:
    layer = make_layer(rule=EProp3())
    totals = []
    for factor in (1.0, 0.5):
        layer.zero_grad()
        vectors, state = layer.eligibility_vectors(BATCH), START
        for first in (0, 6):
            h, state = layer(X[:, first : first + 6], state, eligibility_vectors=vectors, return_state=True)
            (factor * error(h, first)).backward()
        totals.append({name: layer.get_parameter(name).grad.clone() for name in NAMES})
        assert relative(vectors.tensor.permute(1, 2, 0, 3), vectors_forward(layer)[-1].vectors) < EXACT
    assert_equal(totals[1], {name: gradient / 2 for name, gradient in totals[0].items()})


def test_weights_changed_before_the_backward_pass_are_an_error() -> None:
    layer = make_layer()
    total = error(layer(X, START))
    with torch.no_grad():
        layer.w_rec.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


class Net(nn.Module):
    """A user's network: an encoder before the layer, a readout behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.layer, self.readout = nn.Linear(N_IN, N_IN), make_layer(rule=EProp3()), nn.Linear(N, 2)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.layer(self.encoder(x).tanh(), START)).square().mean()


def test_compiled_networks_are_eager_ones() -> None:
    torch.manual_seed(0)
    net = Net()
    net(X).backward()
    wanted = {name: p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    torch.compile(net, backend="aot_eager")(X).backward()
    assert_equal({name: p.grad for name, p in net.named_parameters() if p.grad is not None}, wanted)
    net.layer.rule = EProp()  # control, and a rule that changes after compilation
    net.zero_grad()
    torch.compile(net, backend="aot_eager")(X).backward()
    assert relative(net.layer.w_rec.grad, wanted["layer.w_rec"]) > WRONG


def test_the_tape_is_alive() -> None:
    """Whatever these tests compare: gates move, cells remember, and the error depends on all of it."""
    layer = make_layer()
    tape = unroll(layer, X)
    assert tape.h.std() > 0.1
    c, h = cell(layer, X[:, 0], *START)
    assert torch.equal(torch.stack([c, h]), torch.stack([tape.cells[0], tape.outputs[0]]))
    assert_differ(by_autograd(layer), by_autograd(layer, detach=True))
