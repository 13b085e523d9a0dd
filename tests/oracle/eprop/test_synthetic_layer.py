"""Algorithm 1 as a loss, against autograd through the same computation written down as the paper states it."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Rule
from repro.eprop.rules.synthetic import Window
from repro.gated import GatedNetwork
from repro.rules import synthetic, windows
from tests.oracle.eprop.lstm_tape import NAMES, assert_equal, relative
from tests.oracle.eprop.window_net import BATCH, FACTOR, HIDDEN, N_IN, N_OUT, START, STEPS, TARGET, Gradients, N, Net, X

EXACT, EQUAL, WRONG = 1e-10, 1e-12, 1e-4
Weights = tuple[Tensor, Tensor, Tensor]


def simulate(
    net: Net, state: LSTMState, number: int, w: Weights, nudge: Tensor | None = None
) -> tuple[LSTMState, Tensor]:
    """The state after window `number` and its errors, on the tape; `nudge` is added to the first cell state."""
    first, outputs = number * STEPS, []
    c, h = state
    gain = net.gain if w[0].requires_grad else net.gain.detach()
    for t in range(first, first + STEPS):
        c, h = cell(w, gain * X[:, t], c, h, nudge if t == first else None)
        outputs.append(h)
    return LSTMState(c, h), net.errors(torch.stack(outputs, dim=1), TARGET[:, first : first + STEPS])


def cell(w: Weights, x: Tensor, c: Tensor, h: Tensor, nudge: Tensor | None = None) -> tuple[Tensor, Tensor]:
    i, f, g, o = (x @ w[0].T + h @ w[1].T + w[2]).split(N, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh() + (0.0 if nudge is None else nudge)
    return c, o.sigmoid() * c.tanh()


def stated(net: Net, into_network: bool = True, second_ends: bool = False, units: int = 1) -> Gradients:
    """Gradients of E_m + eta SG c^(t_m + 1) + E_SG by all parameters, as means over the batch."""
    w = net.layer.w_in, net.layer.w_rec, net.layer.bias
    fixed = w[0].detach(), w[1].detach(), w[2].detach()
    assert net.predictor is not None
    x, predictor = X * net.gain.detach(), net.predictor
    after, error = simulate(net, START, 0, w)
    boundary = (FACTOR * predictor(after.h).detach() * cell(fixed, x[:, STEPS], *after)[0]).sum()
    nudge = torch.zeros(BATCH, N, dtype=torch.float64, requires_grad=True)
    second, later = simulate(net, LSTMState(after.c.detach(), after.h.detach()), 1, fixed, nudge)
    if not second_ends:
        later = later + (FACTOR * predictor(second.h).detach() * cell(fixed, x[:, 2 * STEPS], *second)[0]).sum()
    (target,) = torch.autograd.grad(later, nudge)
    squares = 0.5 * (predictor(after.h if into_network else after.h.detach()) - target).square().sum()
    named = dict(net.named_parameters())
    gradients = torch.autograd.grad((error + boundary + squares / units) / BATCH, list(named.values()))
    return dict(zip(named, gradients, strict=True))


@pytest.mark.parametrize("second_ends", [False, True], ids=["goes on", "then ends"])
@pytest.mark.parametrize("into_network", [False, True])
@pytest.mark.parametrize("mean", [False, True])
def test_a_window_of_algorithm_1(mean: bool, into_network: bool, second_ends: bool) -> None:
    net = Net(into_network=into_network, mean_over_units=mean)
    result = net.learn(net.window(0), net.window(1, second_ends), START)
    result.loss.backward()
    units = N if mean else 1
    wanted, gradients = stated(net, into_network, second_ends, units), net.gradients()
    assert_equal(gradients, wanted, EXACT)
    other = stated(net, not into_network, second_ends, units)
    assert relative(gradients["layer.w_rec"], other["layer.w_rec"]) > WRONG  # control
    other = stated(net, into_network, not second_ends, units)
    assert (
        relative(gradients["predictor.out"], other["predictor.out"]) > WRONG
    )  # control: the target has its own boundary


def old_core(net: Net) -> tuple[GatedNetwork, synthetic.SyntheticGradient | None]:
    """The same weights in the first edition's network and predictor."""
    old = GatedNetwork(LSTM(True), N_IN, N, N_OUT, 0.7, torch.Generator().manual_seed(5)).double()
    with torch.no_grad():
        for name, weights in zip(
            (*NAMES, "w_out", "b_out"), (*net.layer.weights, net.readout.weight, net.readout.bias), strict=True
        ):
            old.get_parameter(name).copy_(weights)
    if net.predictor is None:
        return old, None
    predictor = synthetic.SyntheticGradient(N, HIDDEN, torch.Generator().manual_seed(6)).double()
    assert torch.equal(predictor.hidden, net.predictor.hidden), "equal seeds give equal weights"
    predictor.load_state_dict(net.predictor.state_dict())
    return old, predictor


OPTIONS = [{}, {"into_network": False}, {"mean_over_units": True}, {"whole_at_input": False}]
RULES = [BPTT(), EProp3(), EProp3(trace="truncated"), EProp()]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("predicts", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_three_windows_are_those_of_the_first_edition(rule: Rule, predicts: bool, options: dict[str, Any]) -> None:
    if predicts and rule == EProp():
        return
    net = Net(rule, predicts, **options)
    (network, predictor), state, old_state = old_core(net), START, START
    of_rule = windows.WindowRule(*rule.window_rule(), predicts)
    settings = synthetic.Algorithm(**{"factor": FACTOR, **options})
    vectors = net.layer.eligibility_vectors(BATCH)
    old_vectors = windows.no_vectors(network, BATCH) if of_rule.vectors == "carried" else None
    for number in range(3):
        last = number == 2
        this, following = net.window(number, last), None if last else net.window(number + 1, number == 1)
        vectors_before, state_before = copy.deepcopy(vectors), state
        result = net.learn(this, following, state, vectors)
        result.loss.backward()
        windows_ = _old_window(this), None if following is None else _old_window(following)
        learned = synthetic.learn(network, predictor, of_rule, *windows_, old_state, old_vectors, settings)
        wanted = {f"layer.{name}": learned.network[name] for name in NAMES}
        wanted |= {"readout.weight": learned.network["w_out"], "readout.bias": learned.network["b_out"]}
        wanted |= {f"predictor.{name}": gradient for name, gradient in learned.predictor.items()}
        wanted["gain"] = torch.einsum("bti,bti->i", learned.by_input, X[:, number * STEPS : (number + 1) * STEPS])
        assert_equal(net.gradients(), wanted, EQUAL)
        assert relative(result.error, learned.error) < EQUAL
        assert torch.isclose(result.prediction_error, learned.prediction_error, rtol=EQUAL, atol=0)
        assert relative(result.loss, learned.error + learned.prediction_error) < EQUAL
        state, old_state = result.state, learned.after
        assert max(relative(state.c, old_state.c), relative(state.h, old_state.h)) < EQUAL
        if old_vectors is not None:
            assert relative(vectors.tensor, old_vectors) < EQUAL
    other = Net(BPTT() if rule == EProp() else EProp(), predicts=False)  # control: another rule, what it carries also
    other.learn(other.window(2, ends=True), None, state_before, vectors_before).loss.backward()
    assert relative(other.gradients()["layer.w_rec"], wanted["layer.w_rec"]) > WRONG


def _old_window(window: Window) -> synthetic.Window:
    after = None if window.next_input is None else window.next_input.detach()
    return synthetic.Window(window.inputs.detach(), lambda y: (y - window.target).square().sum(), after)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_without_a_predictor_it_is_the_layer_and_an_ordinary_loss(rule: Rule) -> None:
    net = Net(rule, predicts=False)
    vectors, plain, state = net.layer.eligibility_vectors(BATCH), net.layer.eligibility_vectors(BATCH), START
    for number in range(3):
        window = net.window(number, number == 2)
        h, _ = net.layer(window.inputs, state, eligibility_vectors=plain, return_state=True)
        (net.errors(h, window.target) / BATCH).backward()
        wanted = net.gradients()
        result = net.learn(net.window(number), None, state, vectors)
        result.loss.backward()
        assert_equal(net.gradients(), wanted, EQUAL)
        state = result.state
    if rule in (EProp(), EProp3()):
        assert relative(vectors.tensor, plain.tensor) < EQUAL
        vectors.reset()
        net.learn(net.window(2), None, START, vectors).loss.backward()
        assert relative(net.gradients()["layer.w_rec"], wanted["layer.w_rec"]) > WRONG  # control: vectors matter


def test_learning_begins_as_truncated_bptt() -> None:
    fresh, plain = Net(into_network=False), Net(predicts=False)
    fresh.predictor.out.data.zero_()
    for net in (fresh, plain):
        net.learn(net.window(0), net.window(1), START).loss.backward()
    wanted, began = plain.gradients(), fresh.gradients()
    assert all(torch.equal(began[name], wanted[name]) for name in wanted)
    assert began["predictor.out_bias"].any()
    fresh.predictor.out_bias.data.fill_(0.1)  # control
    fresh.learn(fresh.window(0), fresh.window(1), START).loss.backward()
    assert relative(fresh.gradients()["layer.w_rec"], wanted["layer.w_rec"]) > WRONG


def test_at_the_end_of_the_sequences_nothing_is_predicted() -> None:
    net, plain = Net(), Net(predicts=False)
    last = net.learn(net.window(2, ends=True), None, START)
    plain.learn(plain.window(2, ends=True), None, START).loss.backward()
    last.loss.backward()
    gradients, wanted = net.gradients(), plain.gradients()
    assert not last.prediction_error
    assert set(gradients) == set(wanted), "an optimizer with momentum would move a predictor with a gradient of zero"
    assert all(torch.equal(gradients[name], wanted[name]) for name in wanted)
