"""Algorithm 1 as a loss, against autograd through the same computation written down as the paper states it."""

import pytest
import torch
from torch import Tensor

from repro.eprop.neurons.lstm import LSTMState
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Rule
from tests.oracle.eprop.lstm_tape import assert_equal, relative
from tests.oracle.eprop.window_net import BATCH, FACTOR, START, STEPS, TARGET, Gradients, N, Net, X

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


def stated(
    net: Net, into_network: bool = True, second_ends: bool = False, units: int = 1, cell_path: bool = True
) -> Gradients:
    """Gradients of E_m + eta SG c^(t_m + 1) + E_SG by all parameters, as means over the batch; without `cell_path`
    c^(t_m + 1) is a function of the last outputs alone."""
    w = net.layer.w_in, net.layer.w_rec, net.layer.bias
    fixed = w[0].detach(), w[1].detach(), w[2].detach()
    assert net.predictor is not None
    x, predictor = X * net.gain.detach(), net.predictor
    after, error = simulate(net, START, 0, w)
    last_cell = after.c if cell_path else after.c.detach()
    boundary = (FACTOR * predictor(after.h).detach() * cell(fixed, x[:, STEPS], last_cell, after.h)[0]).sum()
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
    after, error = simulate(net, START, 0, net.layer.weights)
    assert max(relative(result.error, error / BATCH), relative(result.state.h, after.h)) < EXACT
    assert result.prediction_error > 0
    assert relative(result.loss, result.error + result.prediction_error) < EXACT
    other = stated(net, not into_network, second_ends, units)
    assert relative(gradients["layer.w_rec"], other["layer.w_rec"]) > WRONG  # control
    other = stated(net, into_network, not second_ends, units)
    assert (
        relative(gradients["predictor.out"], other["predictor.out"]) > WRONG
    )  # control: the target has its own boundary


@pytest.mark.parametrize("into_network", [False, True])
def test_inputs_have_no_traces_to_truncate(into_network: bool) -> None:
    """With truncated traces of the weights, what makes the inputs receives the gradient of its window by autograd."""
    net = Net(EProp3(trace="truncated"), into_network=into_network)
    net.learn(net.window(0), net.window(1), START).loss.backward()
    wanted, gradients = stated(net, into_network), net.gradients()
    assert relative(gradients["gain"], wanted["gain"]) < EXACT
    assert relative(gradients["layer.w_in"], wanted["layer.w_in"]) > WRONG  # control: those of the weights are


@pytest.mark.parametrize("into_network", [False, True])
def test_inputs_may_leave_out_the_boundary_through_the_cells(into_network: bool) -> None:
    net = Net(EProp3(), into_network=into_network, whole_at_input=False)
    net.learn(net.window(0), net.window(1), START).loss.backward()
    wanted, gradients = stated(net, into_network, cell_path=False), net.gradients()
    assert relative(gradients["gain"], wanted["gain"]) < EXACT
    assert relative(gradients["gain"], stated(net, into_network)["gain"]) > WRONG  # control: the whole boundary


RULES = [BPTT(), EProp3(), EProp3(trace="truncated"), EProp()]


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
