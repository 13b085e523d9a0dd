"""What torch expects of a layer, and an LSTM layer of its user: order of calls, checkpoints, precision, compilation."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError
from repro.eprop.kernels.history import empty_history
from repro.eprop.layers.eligibility_vectors import EligibilityVectors
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.lightning import LearnsByRule
from repro.eprop.neurons.lstm import LSTM, LSTMState
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
    assert_equal,
    draw,
    error,
    make_layer,
    relative,
    unroll,
    vectors_forward,
)

RULES = [BPTT(), EProp(), EProp(trace="truncated"), EProp3(), EProp3(trace="truncated"), Frozen()]
BOUNDARY = BoundaryGradient(draw(BATCH, N, seed=10), draw(BATCH, N, seed=11))


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


def test_a_state_is_no_boundary() -> None:
    layer = make_layer()
    with pytest.raises(UsageError, match="boundary is a LSTMState: it is a BoundaryGradient"):
        layer(X, START, boundary=START)
    with pytest.raises(UsageError, match="state is a BoundaryGradient: it is an LSTMState"):
        layer(X, BOUNDARY)


def test_a_gradient_reaches_no_state_and_no_second_order() -> None:
    layer = make_layer()
    with pytest.raises(UsageError, match="no gradient passes into state"):
        layer(X, LSTMState(START.c, START.h.clone().requires_grad_()))
    with pytest.raises(UsageError, match="no gradient passes into boundary"):
        layer(X, START, boundary=BOUNDARY._replace(d_c=BOUNDARY.d_c.clone().requires_grad_()))
    (once,) = torch.autograd.grad(error(layer(X, START)), layer.w_in, create_graph=True)
    with pytest.raises(UsageError, match="cannot be differentiated again"):
        once.sum().backward()


@pytest.mark.parametrize(
    ("x", "options", "sentence"),
    [
        (X[0], {}, r"x is \[12, 4\]"),
        (X[:, :, :3], {}, r"it must be \[batch, time, 4\]"),
        (X[:, :0], {}, "one step or more"),
        (X, {"state": LSTMState(START.c[:2], START.h[:2])}, r"each part must be \[3, 6\]"),
        (X, {"eligibility_vectors": EligibilityVectors(empty_history(torch.zeros(6, 0, 3, 11), 2))}, "make them by"),
        (X, {"lengths": torch.tensor([3, 2, 1])}, "takes no lengths"),
    ],
)
def test_wrong_use_is_a_sentence(x: Tensor, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_layer(rule=EProp3())(x, **options)


def test_a_rule_is_checked_when_it_is_given() -> None:
    layer = make_layer()
    wrong: Any
    for wrong, sentence in ((EProp(trace="clopath"), "not defined for LSTM"), ("bptt", "a rule is an object such as")):
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


def test_weights_are_uniform_and_drawn_in_a_fixed_order() -> None:
    layer, random = LSTMLayer(LSTM(), N_IN, N, generator=torch.Generator().manual_seed(8)), torch.Generator()
    random.manual_seed(8)
    for weights in (layer.w_in, layer.w_rec):
        assert torch.equal(weights, N**-0.5 * (2 * torch.rand(weights.shape, generator=random) - 1))
    assert not layer.bias.any()
    assert [name for name, _ in layer.named_parameters()] == list(NAMES)


def test_the_layer_counts_its_backward_passes() -> None:
    layer = make_layer()
    assert isinstance(layer, LearnsByRule)
    for passes in (1, 2):
        error(layer(X, START)).backward()
        assert layer.backward_passes == passes


def test_reduced_precision_is_refused_and_autocast_computes_in_float32() -> None:
    with pytest.raises(UsageError, match="w_in is bfloat16"):
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
