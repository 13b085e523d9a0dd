"""What torch promises of any layer: precisions, autocast, second derivatives, inference mode, compile, memory."""

import copy
import gc
import io
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop import BPTT, EProp, Frozen, Rule, SpikeTrains, SpikingNetwork, UsageError, spike_trains
from repro.eprop.kernels.padding import known_spikes
from repro.eprop.layers import network, recurrent
from repro.eprop.layers import readout as readout_module
from tests.oracle.eprop.conftest import (
    EXACT,
    LOSSES,
    N_IN,
    NEURONS,
    WRONG,
    Case,
    assert_differ,
    assert_equal,
    make,
    relative,
    unrolled,
)
from tests.oracle.eprop.test_own_neuron_and_surrogate import FastSigmoid, unit

RULES = pytest.mark.parametrize("rule", [BPTT(), EProp()])


def run(case: Case, way: str) -> dict[str, Tensor]:
    return case.gradients(LOSSES["squared_error"](case, *case.forward(way)))


@RULES
def test_single_precision_is_double_precision_but_for_rounding(way: str, neuron: str, rule: Rule) -> None:
    double, single = make(neuron, rule), make(neuron, rule, dtype=torch.float32)
    for one, two in zip(single.layer.parameters(), double.layer.parameters(), strict=True):
        two.data = one.data.double()
    double.readout.w_out.data = single.readout.w_out.data.double()
    assert torch.equal(single.layer(single.x) > 0.5, double.layer(double.x) > 0.5)
    found, wanted = run(single, way), run(double, way)
    assert all(g.dtype == torch.float32 for g in found.values())
    assert max(relative(found[n], wanted[n]) for n in found) < 2e-5
    assert max(relative(found[n], wanted[n]) for n in found) > EXACT  # control: it is computed in float32
    double.layer.w_in.data *= 1.1
    assert relative(run(double, way)["w_rec"], found["w_rec"]) > WRONG


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_inputs_are_widened(way: str, dtype: torch.dtype) -> None:
    case = make("lif", BPTT(), dtype=torch.float32)
    half = case._replace(x=(case.x.detach() * 0.7).to(dtype).requires_grad_())
    wide = case._replace(x=half.x.detach().float().requires_grad_())
    found, wanted = run(half, way), run(wide, way)
    assert found["x"].dtype == dtype
    assert relative(found.pop("x"), wanted.pop("x").to(dtype)) < 1e-6
    assert_equal(found, wanted, 1e-6)
    other = run(case._replace(x=(case.x.detach() * 0.7).requires_grad_()), way)
    assert relative(other["w_in"], found["w_in"]) > 1e-5  # control: 0.7 is rounded in half precision


@RULES
def test_autocast_changes_nothing(way: str, neuron: str, rule: Rule) -> None:
    case = make(neuron, rule, dtype=torch.float32)
    wanted = run(case, way)
    with torch.autocast("cpu", torch.bfloat16):
        y, z = case.forward(way)
        assert y.dtype == z.dtype == torch.float32
        loss = LOSSES["squared_error"](case, y, z)
        inside = case.gradients(loss, retain_graph=True)
    assert all(torch.equal(inside[n], wanted[n]) for n in wanted)
    assert all(torch.equal(g, wanted[n]) for n, g in case.gradients(loss).items())
    with torch.autocast("cpu", torch.bfloat16):
        rough = nn.functional.linear(case.x, case.layer.w_in)
    assert rough.dtype == torch.bfloat16  # control: autocast is on


def test_autocast_behind_an_encoder_in_half_precision(way: str) -> None:
    case, encoder = make("lif", BPTT(), dtype=torch.float32), nn.Linear(4, N_IN)
    seen = torch.randn(3, 60, 4)
    with torch.autocast("cpu", torch.bfloat16):
        x = encoder(seen)
        assert x.dtype == torch.bfloat16
        y, _ = case._replace(x=x).forward(way)
    (found,) = torch.autograd.grad(y.sin().sum(), encoder.weight)
    wide = x.detach().float().requires_grad_()
    (by_x,) = torch.autograd.grad(case._replace(x=wide).forward(way)[0].sin().sum(), wide)
    wanted = torch.einsum("btj,bti->ji", by_x, seen)
    assert relative(found, wanted) < 0.02  # the encoder's own backward pass is in bfloat16
    assert relative(found, 1.1 * wanted) > 0.02


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_are_refused(way: str, dtype: torch.dtype) -> None:
    case = make("lif", dtype=torch.float32)
    case.network.to(dtype)
    with pytest.raises(UsageError, match="w_in is .*float16: a learning rule computes in float32 or float64"):
        case.forward(way)
    case.layer.float()
    with pytest.raises(UsageError, match="w_out is .*float16"):
        case.forward(way)


@pytest.mark.parametrize("rule", [BPTT(), EProp(), Frozen()])
def test_second_derivatives_raise_a_sentence(way: str, rule: Rule) -> None:
    case = make("alif", rule)
    weights = [w for name, w in case.weights.items() if rule.plastic or name not in ("w_in", "w_rec")]
    wanted = torch.autograd.grad(LOSSES["squared_error"](case, *case.forward(way)), weights)
    loss = LOSSES["squared_error"](case, *case.forward(way))
    found = torch.autograd.grad(loss, weights, create_graph=True)
    for one, two in zip(found, wanted, strict=True):
        assert relative(one, two) < EXACT
        assert one.requires_grad
    for gradient in found:
        with pytest.raises(UsageError, match="cannot be differentiated again"):
            gradient.square().sum().backward(retain_graph=True)


MODES = pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
ALL = {**NEURONS, "surrogate": unit("alif", FastSigmoid)}


@MODES
@pytest.mark.parametrize("name", ALL)
def test_values_are_the_same_without_a_tape(name: str, way: str, mode: Any) -> None:
    """Lightning validates in inference mode."""
    case = make(ALL[name], x_learns=False)
    y, z = case.forward(way)
    with mode():
        x = case.x.clone()
        lengths = torch.tensor([60, 20, 5])
        found = case._replace(x=x).forward(way)
        case.forward(way, lengths=lengths)
        _, _, state = case.network(x[:, :20], return_state=True)
        rest, _ = case.network(x[:, 20:], state=state, y_before=found[0][:, 19] - case.weights["b_out"])
    assert torch.equal(found[0], y)
    assert torch.equal(found[1], z)
    assert not found[0].requires_grad
    assert relative(rest, y[:, 20:]) < EXACT
    assert relative(rest, y[:, :40]) > WRONG  # control


def test_a_state_made_in_inference_mode_begins_a_trial_that_learns(way: str) -> None:
    case = make("alif", EProp())
    with torch.inference_mode():
        _, state = case.layer(case.x[:, :20], return_state=True)
    with torch.no_grad():
        _, same = case.layer(case.x[:, :20], return_state=True)

    def gradient(state: Any) -> Tensor:
        options = {"state": state}
        z = case.layer(case.x[:, 20:], **options) if way == "two" else case.network(case.x[:, 20:], **options)[1]
        return torch.autograd.grad(z.sin().sum(), case.layer.w_rec)[0]

    assert torch.equal(gradient(state), gradient(same))
    assert relative(gradient(None), gradient(same)) > WRONG  # control


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("rule", [EProp(), BPTT()])
def test_torch_compile_gives_the_same_gradients(way: str, backend: str, rule: Rule) -> None:
    case = make("alif", rule, "random")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(4, N_IN).double()
            self.network = case.network

        def forward(self, seen: Tensor) -> Tensor:
            x = self.encoder(seen).relu()
            y = self.network(x)[0] if way == "pair" else self.network.readout(self.network.layer(x))
            return y.mean(dim=1).exp()

    model, seen = Model(), torch.randn(3, 60, 4).double()
    parameters = list(model.parameters())
    wanted = torch.autograd.grad(model(seen).sin().sum(), parameters)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=backend)
    found = torch.autograd.grad(compiled(seen).sin().sum(), parameters)
    for one, two in zip(found, wanted, strict=True):
        assert relative(one, two) < 1e-6
    assert relative(found[0], torch.autograd.grad(model(seen.flip(1)).sin().sum(), parameters)[0]) > WRONG


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


LENGTHS = torch.tensor([60, 10, 30])
RUNS: dict[str, Callable[[Case], Any]] = {
    "layer": lambda c: c.layer(c.x),
    "readout": lambda c: c.readout(c.layer(c.x).detach()),
    "pair": lambda c: c.network(c.x),
    "state": lambda c: c.network(c.x, return_state=True),
    "ragged": lambda c: c.forward("two", lengths=LENGTHS),
    "ragged_pair": lambda c: c.forward("pair", lengths=LENGTHS),
    "stacked": lambda c: c.readout(c.readout(c.layer(c.x)) @ c.readout.w_out),
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("what", RUNS)
def test_nothing_is_left_when_loss_and_outputs_are_gone(
    name: str, what: str, backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cycle keeps a pass alive: its memory is free before any garbage is collected."""
    alive: list[weakref.ref] = []
    for kind in (recurrent.Pass, readout_module.ReadoutPass, network._Whole):
        watch(kind, alive, monkeypatch)
    case = make(ALL[name], EProp())
    outputs = RUNS[what](case)
    tensors = [outputs] if isinstance(outputs, Tensor) else list(outputs[:2])
    loss = sum(t.sin().sum() for t in tensors)
    alive += [weakref.ref(t) for t in tensors]
    state = outputs[2] if what == "state" else None
    assert all(ref() is not None for ref in alive[-len(tensors) :])  # control: something is alive
    if backward:
        loss.backward()
    del outputs, tensors, loss
    assert len(alive) > 1
    assert not [ref for ref in alive if ref() is not None]
    assert state is None or not state.z.requires_grad


def watch(kind: type, alive: list[weakref.ref], monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember every object of a kind that is made."""
    plain: Any = getattr(kind, "__init__")  # noqa: B009

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        alive.append(weakref.ref(self))
        plain(self, *arguments, **options)

    monkeypatch.setattr(kind, "__init__", init)


@pytest.mark.usefixtures("no_collector")
def test_control_a_cycle_would_be_seen() -> None:
    case = make("lif", EProp())
    z = case.layer(case.x)
    z.grad_fn.metadata["outputs"] = z  # output -> its function -> output
    ref = weakref.ref(z)
    del z
    assert ref() is not None
    gc.collect()


def test_events_of_a_layer_are_no_array_that_lives_longer() -> None:
    case = make("lif")
    z = case.layer(case.x)
    known = known_spikes(z)
    assert known is not None
    assert isinstance(known.events, SpikeTrains)
    assert torch.equal(known.events.dense(torch.float64), z)
    assert isinstance(spike_trains(z.detach()), SpikeTrains)


def test_copies_and_pickles_of_a_network_are_equal_networks() -> None:
    case = make("alif", EProp(), "random", x_learns=False)
    twin = copy.deepcopy(case.network)
    file = io.BytesIO()
    torch.save(case.network, file)
    file.seek(0)
    other: SpikingNetwork = torch.load(file, weights_only=False)
    wanted = run(case, "pair")
    for net in (twin, other):
        found = run(case._replace(layer=net.layer, readout=net.readout), "pair")
        assert_equal(found, wanted)
        net.readout.seed_feedback(1)
        assert_differ(run(case._replace(layer=net.layer, readout=net.readout), "pair"), wanted, "w_in", "w_rec")


class Whole(nn.Module):
    """A network as a module of one output."""

    def __init__(self, case: Case, way: str) -> None:
        super().__init__()
        self.network, self.way = case.network, way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "pair":
            return self.network(x)[0]
        return self.network.readout(self.network.layer(x))


@RULES
def test_functional_call_uses_the_weights_that_it_is_given(way: str, rule: Rule) -> None:
    """In the backward pass too, when the module has its own weights back."""
    case = make("alif", rule)
    model = Whole(case, way)
    given = {name: (p.detach() * 1.3 + 0.01).requires_grad_() for name, p in model.named_parameters()}
    y = torch.func.functional_call(model, given, (case.x,))
    found = torch.autograd.grad(y.sin().sum(), [*given.values(), case.x])
    before = torch.autograd.grad(model(case.x).sin().sum(), [*model.parameters(), case.x])
    with torch.no_grad():
        for name, weights in given.items():
            model.get_parameter(name).copy_(weights)
    wanted = torch.autograd.grad(unrolled(case, isinstance(rule, EProp))[0].sin().sum(), [*model.parameters(), case.x])
    diagonal = found[1].diagonal()
    assert not diagonal.any()
    for one, two, three in zip(found, wanted, before, strict=True):
        assert relative(one, two) < EXACT
        assert relative(one, three) > WRONG or torch.equal(two, three)  # control: the module's own weights


class Dropped(nn.Module):
    """Weights of which others are left out each time."""

    def forward(self, weights: Tensor) -> Tensor:
        return nn.functional.dropout(weights, 0.3)


@RULES
def test_weights_that_a_parametrization_draws_anew_are_the_same_in_both_passes(way: str, rule: Rule) -> None:
    case = make("alif", rule)
    original = [case.layer.w_in, case.layer.w_rec, case.readout.w_out]
    for module, name in ((case.layer, "w_in"), (case.layer, "w_rec"), (case.readout, "w_out")):
        nn.utils.parametrize.register_parametrization(module, name, Dropped())
    torch.manual_seed(6)
    found = torch.autograd.grad(Whole(case, way)(case.x).sin().sum(), original)
    torch.manual_seed(6)
    with nn.utils.parametrize.cached():
        drawn = [case.layer.w_in, case.layer.w_rec, case.readout.w_out]
        assert all(weights.eq(0).any() for weights in drawn)
        y = unrolled(case, isinstance(rule, EProp))[0]
        wanted = torch.autograd.grad(y.sin().sum(), original)
    for one, two in zip(found, wanted, strict=True):
        assert relative(one, two) < EXACT


def test_weights_that_change_before_the_backward_pass_are_an_error(way: str) -> None:
    for module, name in (("layer", "w_in"), ("layer", "w_rec"), ("readout", "w_out")):
        case = make("lif", BPTT())
        y, _ = case.forward(way)
        with torch.no_grad():
            getattr(getattr(case, module), name).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
