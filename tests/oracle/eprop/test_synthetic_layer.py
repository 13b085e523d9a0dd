"""Algorithm 1 as a loss, against autograd through the same computation written down as the paper states it."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from repro.eprop.errors import UsageError
from repro.eprop.kernels.cuda_graph import Replayed, _Recorded, map_tensors
from repro.eprop.layers import algorithm_1
from repro.eprop.layers.algorithm_1 import Algorithm1Loss
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Frozen, Rule
from repro.eprop.rules.synthetic import Algorithm1, Algorithm1Options, SyntheticGradient, Window, window_gradients
from repro.gated import GatedNetwork
from repro.rules import synthetic, windows
from tests.oracle.eprop.lstm_tape import NAMES, assert_differ, assert_equal, draw, relative

EXACT, EQUAL, WRONG = 1e-10, 1e-12, 1e-4
BATCH, STEPS, N_IN, N, N_OUT, HIDDEN, FACTOR = 3, 4, 4, 6, 2, 9, 0.3
X, TARGET = draw(BATCH, 3 * STEPS + 1, N_IN, seed=1), draw(BATCH, 3 * STEPS, N_OUT, seed=2)
START = LSTMState(0.3 * draw(BATCH, N, seed=3), 0.3 * draw(BATCH, N, seed=4))
Gradients = dict[str, Tensor]


class Net(nn.Module):
    """A layer, a readout, a predictor whose predictions are not zero, and what makes the inputs."""

    def __init__(self, rule: Rule | None = None, predicts: bool = True, **options: Any) -> None:
        super().__init__()
        self.layer = LSTMLayer(LSTM(True), N_IN, N, rule=rule, scale=0.7, generator=torch.Generator().manual_seed(5))
        self.readout = nn.Linear(N, N_OUT)
        self.gain = nn.Parameter(torch.ones(N_IN))
        self.predictor = SyntheticGradient(N, HIDDEN, torch.Generator().manual_seed(6)) if predicts else None
        self.double()
        with torch.no_grad():
            self.readout.weight.copy_(0.7 * draw(N_OUT, N, seed=8))
            self.readout.bias.copy_(draw(N_OUT, seed=9))
            if self.predictor is not None:
                self.predictor.out.copy_(0.4 * draw(N, HIDDEN, seed=7))
        chosen = Algorithm1Options(**{"factor": FACTOR, **options})
        self.learn = Algorithm1Loss(self.layer, self.errors, self.readout.parameters(), self.predictor, chosen)

    def errors(self, h: Tensor, target: Tensor) -> Tensor:
        return (self.readout(h) - target).square().sum()

    def window(self, number: int, ends: bool = False) -> Window:
        first, after = number * STEPS, (number + 1) * STEPS
        x = X * self.gain
        return Window(x[:, first:after], TARGET[:, first:after], None if ends else x[:, after])

    def gradients(self, factor: float = 1.0) -> Gradients:
        found = {name: factor * p.grad for name, p in self.named_parameters() if p.grad is not None}
        self.zero_grad()
        return found


Weights = tuple[Tensor, Tensor, Tensor]


def walk(net: Net, state: LSTMState, number: int, w: Weights, nudge: Tensor | None = None) -> tuple[LSTMState, Tensor]:
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
    after, error = walk(net, START, 0, w)
    boundary = (FACTOR * predictor(after.h).detach() * cell(fixed, x[:, STEPS], *after)[0]).sum()
    nudge = torch.zeros(BATCH, N, dtype=torch.float64, requires_grad=True)
    second, later = walk(net, LSTMState(after.c.detach(), after.h.detach()), 1, fixed, nudge)
    if not second_ends:
        later = later + (FACTOR * predictor(second.h).detach() * cell(fixed, x[:, 2 * STEPS], *second)[0]).sum()
    (target,) = torch.autograd.grad(later, nudge)
    squares = 0.5 * (predictor(after.h if into_network else after.h.detach()) - target).square().sum()
    named = dict(net.named_parameters())
    found = torch.autograd.grad((error + boundary + squares / units) / BATCH, list(named.values()))
    return dict(zip(named, found, strict=True))


@pytest.mark.parametrize("second_ends", [False, True], ids=["goes on", "then ends"])
@pytest.mark.parametrize("into_network", [False, True])
@pytest.mark.parametrize("mean", [False, True])
def test_a_window_of_algorithm_1(mean: bool, into_network: bool, second_ends: bool) -> None:
    net = Net(into_network=into_network, mean_over_units=mean)
    result = net.learn(net.window(0), net.window(1, second_ends), START)
    result.loss.backward()
    units = N if mean else 1
    wanted, found = stated(net, into_network, second_ends, units), net.gradients()
    assert_equal(found, wanted, EXACT)
    other = stated(net, not into_network, second_ends, units)
    assert relative(found["layer.w_rec"], other["layer.w_rec"]) > WRONG  # control
    other = stated(net, into_network, not second_ends, units)
    assert relative(found["predictor.out"], other["predictor.out"]) > WRONG  # control: the target has its own boundary


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
    found, wanted = net.gradients(), plain.gradients()
    assert not last.prediction_error
    assert set(found) == set(wanted), "an optimizer with momentum would move a predictor with a gradient of zero"
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_loss_is_scaled_and_added_up_as_any_loss() -> None:
    net = Net(EProp3())
    totals = []
    for factor, together in ((1.0, False), (0.25, False), (1.0, True)):
        vectors, state, losses = net.layer.eligibility_vectors(BATCH), START, []
        for number in (0, 1):
            loss, state, *_ = net.learn(net.window(number), net.window(number + 1, number == 1), state, vectors)
            losses.append(factor * loss)
            if not together:
                losses.pop().backward()
        if together:
            sum(losses).backward()
        totals.append(net.gradients(1 / factor))
    assert_equal(totals[1], totals[0])
    assert_equal(totals[2], totals[0])
    net.learn(net.window(0), net.window(1), START, net.layer.eligibility_vectors(BATCH)).loss.backward()
    assert_differ(net.gradients(), totals[0])  # control: two windows are more than one


def test_frozen_weights_and_fixed_inputs() -> None:
    net = Net(Frozen())
    net.gain.requires_grad_(False)
    net.readout.bias.requires_grad_(False)
    net.learn(net.window(0), net.window(1), START).loss.backward()
    assert {name for name in net.gradients() if not name.startswith("predictor")} == {"readout.weight"}


def test_autocast_changes_nothing() -> None:
    net = Net(EProp3()).float()
    data = [_single(net.window(number)) for number in (0, 1)]
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            net.learn(*data).loss.backward()
        found.append(net.gradients())
    assert all(torch.equal(found[1][name], found[0][name]) for name in found[0])


def _single(window: Window) -> Window:
    return map_tensors(window, lambda x: x.float().detach())


def test_wrong_use_is_a_sentence() -> None:
    net = Net(EProp3())
    forgets = Algorithm1Loss(net.layer, net.errors, [net.readout.bias], net.predictor)
    with pytest.raises(UsageError, match=r"a parameter of shape \[2, 6\] that is not in readout"):
        forgets(net.window(0), None)
    with pytest.raises(UsageError, match="does not look ahead"):
        Net(EProp()).learn(net.window(0), None)
    with pytest.raises(UsageError, match="wait for the backward pass"):
        vectors = net.layer.eligibility_vectors(BATCH)
        net.layer(X, START, eligibility_vectors=vectors)
        net.learn(net.window(0), None, START, vectors)
    with pytest.raises(UsageError, match="torch.bfloat16"):
        net.bfloat16().learn(net.window(0), None)


def test_a_copy_learns_by_itself() -> None:
    net = Net(EProp3())
    other = copy.deepcopy(net)
    assert other.learn.layer is other.layer
    other.learn(other.window(0), other.window(1), START).loss.backward()
    assert not net.gradients()
    assert_equal(other.gradients(), _once(net))


def _once(net: Net) -> Gradients:
    net.learn(net.window(0), net.window(1), START).loss.backward()
    return net.gradients()


class NothingLeavesTheDevice(TorchDispatchMode):
    """Raises where a graph could not be captured: a number read by Python, a shape that depends on the data."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in ("_local_scalar_dense", "nonzero", "masked_select", "unique"))
        return func(*args, **(kwargs or {}))


def test_a_window_can_be_captured() -> None:
    net = Net(EProp3())
    algorithm = Algorithm1(
        net.layer.neuron,
        net.layer.weights,
        EProp3().window_rule(),
        net.errors,
        tuple(net.readout.parameters()),
        net.predictor,
    )
    tensor = net.layer.eligibility_vectors(BATCH).tensor
    with NothingLeavesTheDevice():
        window_gradients(algorithm, net.window(0), net.window(1), START, tensor)
        with pytest.raises(AssertionError):  # control
            float(X.sum())


def tensors(tree: Any) -> list[Tensor]:
    """The tensors in nested tuples."""
    leaves: list[Tensor] = []
    map_tensors(tree, leaves.append)
    return leaves


class Emulated(Replayed):
    """Replays on the CPU what a CUDA graph would: the recorded work again, on the memory of the recorded arguments,
    its results where the last ones were. Recording computes nothing, so that it advances no vectors."""

    replays = 0

    def _record(self, shape: Any, arguments: Any) -> _Recorded:
        mine = map_tensors(arguments, torch.clone)
        without_vectors = (*mine[:3], None, *mine[4:])
        result = map_tensors(self.function(*without_vectors), torch.zeros_like)

        def replay() -> None:
            Emulated.replays += 1
            torch._foreach_copy_(tensors(result), tensors(self.function(*mine)))

        self._seen[shape] = recorded = _Recorded(SimpleNamespace(replay=replay), tensors(mine), result)
        return recorded


def three_updates(net: Net) -> Gradients:
    """The gradients of three windows together, delivered after the last; three times, with an update after each."""
    vectors, totals = net.layer.eligibility_vectors(BATCH), Gradients()
    for update in range(3):
        state, losses = START, []
        vectors.reset()
        for number in range(3):
            following = None if number == 2 else net.window(number + 1, number == 1)
            loss, state, *_ = net.learn(net.window(number, number == 2), following, state, vectors)
            losses.append(loss)
        torch.stack(losses).sum().backward()
        found = net.gradients()
        totals |= {f"{name} {update}": gradient for name, gradient in found.items()}
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.sub_(0.05 * found[name])
    return totals


def test_replayed_windows_are_those_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = three_updates(Net(EProp3()))
    monkeypatch.setattr(algorithm_1, "Replayed", Emulated)
    monkeypatch.setattr(algorithm_1, "GRAPH_DEVICES", ("cpu",))
    assert_equal(three_updates(Net(EProp3())), wanted)
    assert Emulated.replays == 6, "each of three windows was computed, recorded with its first replay, and replayed"
    differ = relative(wanted["layer.w_rec 2"], wanted["layer.w_rec 1"])
    assert differ > WRONG  # control: a stale result would show


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants CUDA")


@cuda
@pytest.mark.parametrize("rule", [BPTT(), EProp3(), EProp3(trace="truncated")], ids=str)
def test_windows_on_cuda_are_those_of_the_cpu(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = three_updates(Net(rule))
    for name in ("X", "TARGET"):
        monkeypatch.setitem(globals(), name, globals()[name].cuda())
    monkeypatch.setitem(globals(), "START", LSTMState(*(part.cuda() for part in START)))
    found = three_updates(Net(rule).cuda())
    assert_equal({name: gradient.cpu() for name, gradient in found.items()}, wanted, 1e-9)
