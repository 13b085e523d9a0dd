"""Neurons in plain torch, and pseudo-derivatives of the user's, against autograd through the unrolled network."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop import ALIF, BPTT, LIF, EProp, Neuron, Rate, RecurrentLayer, Rule, Trace, UsageError
from repro.eprop.neurons.neuron import NeuronState
from tests.oracle.eprop.conftest import (
    BETA,
    EXACT,
    GAMMA,
    LOSSES,
    N_ADAPTIVE,
    REFRACTORY,
    TAU_A_MS,
    TAU_M_MS,
    V_TH,
    WRONG,
    Own,
    assert_differ,
    assert_equal,
    make,
    read,
    relative,
    unrolled,
)

RULES = pytest.mark.parametrize("rule", [BPTT(), EProp()])


class FastSigmoid(torch.autograd.Function):
    """H(x), with 0.4 / (1 + 3 |x|)^2 as its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * 0.4 / (1 + 3 * x.abs()) ** 2


class Triangle(torch.autograd.Function):
    """H(x), with the paper's triangle as its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * GAMMA * (1 - x.abs()).relu()


def steep(x: Tensor) -> Tensor:
    """A function: the value of H, the derivative of a sigmoid."""
    smooth = torch.sigmoid(4 * x)
    return smooth + ((x > 0).to(x.dtype) - smooth).detach()


def never(x: Tensor) -> Tensor:
    """A wrong one: a sigmoid, not 0 or 1."""
    return torch.sigmoid(x)


def late(x: Tensor) -> Tensor:
    """A wrong one: its threshold lies higher."""
    return FastSigmoid.apply(x - 0.1)


def unit(kind: str, surrogate: Any) -> LIF | ALIF:
    if kind == "lif":
        return LIF(TAU_M_MS, V_TH, REFRACTORY, GAMMA, surrogate=surrogate)
    return ALIF(TAU_M_MS, V_TH, REFRACTORY, GAMMA, BETA, TAU_A_MS, N_ADAPTIVE, surrogate=surrogate)


class HardReset(LIF):
    """A LIF neuron whose voltage a spike sets to zero: the kernels have no such neuron."""

    def update(self, variables: Any, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Any:
        return (self.alpha * variables[0] * (1 - z_prev_local) + current,)


class Simulated(HardReset):
    """The same with its own simulation."""

    def simulate(self, *arguments: Any, **options: Any) -> Any:
        return Neuron.simulate(self, *arguments, **options)


def test_dynamics_that_the_kernels_would_not_see_are_refused() -> None:
    with pytest.raises(UsageError, match="HardReset.update would not be called: LIF is simulated by kernels"):
        RecurrentLayer(HardReset(), 3, 4)
    layer = RecurrentLayer(Simulated(), 5, 4)  # control
    x = (torch.rand(2, 40, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    plain = RecurrentLayer(LIF(), 5, 4)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), layer.unroll(x)[0]) and not torch.equal(layer(x), plain(x))


@RULES
def test_a_leak_of_each_neuron(rule: Rule) -> None:
    leaks, cut = torch.linspace(0.1, 0.9, 12, dtype=torch.float64), isinstance(rule, EProp)
    case, other = make(Rate(leaks), rule), make(Rate(0.5), rule)
    found = case.gradients(LOSSES["squared_error"](case, *case.forward("two")))
    assert_equal(found, case.gradients(LOSSES["squared_error"](case, *unrolled(case, cut))))
    assert_differ(found, other.gradients(LOSSES["squared_error"](other, *other.forward("two"))), "w_in", "w_rec")


@RULES
@pytest.mark.parametrize("kind", ["lif", "alif"])
@pytest.mark.parametrize("surrogate", [FastSigmoid, FastSigmoid.apply, steep], ids=["class", "apply", "function"])
def test_any_surrogate_is_autograd(surrogate: Any, kind: str, rule: Rule, way: str) -> None:
    case, cut = make(unit(kind, surrogate), rule), isinstance(rule, EProp)
    found = case.gradients(LOSSES["of_z_beside_y"](case, *case.forward(way)))
    assert_equal(found, case.gradients(LOSSES["of_z_beside_y"](case, *unrolled(case, cut))))
    plain = make(unit(kind, None), rule)
    assert torch.equal(plain.layer(plain.x), case.layer(case.x))
    wrong = plain.gradients(LOSSES["of_z_beside_y"](plain, *plain.forward(way)))
    assert_differ(found, wrong, "w_in", "w_rec", "x")  # control: the triangle


@RULES
@pytest.mark.parametrize("kind", ["lif", "alif"])
def test_the_triangle_as_a_surrogate_is_the_default(kind: str, rule: Rule, way: str) -> None:
    one, two, three = (make(unit(kind, s), rule) for s in (Triangle, None, FastSigmoid))
    found, wanted, wrong = (c.gradients(LOSSES["squared_error"](c, *c.forward(way))) for c in (one, two, three))
    assert_equal(found, wanted)
    assert_differ(found, wrong, "w_in", "w_rec", "x")


@pytest.mark.parametrize("kind", ["lif", "alif"])
@pytest.mark.parametrize("surrogate", [never, late])
def test_a_surrogate_whose_value_is_no_step_is_refused(kind: str, surrogate: Any) -> None:
    case = make(unit(kind, None))
    case.layer.neuron = unit(kind, surrogate)
    with pytest.raises(UsageError, match="has to return 1 where its argument is positive and 0 elsewhere"):
        case.layer(case.x)


@RULES
@pytest.mark.parametrize("kind", ["lif", "alif", "own"])
def test_a_state_in_the_middle_of_a_refractory_period(kind: str, rule: Rule) -> None:
    """Every state of a trial is the beginning of another: threshold, silence and h go on as they were."""
    neuron: Neuron = Own() if kind == "own" else unit(kind, FastSigmoid)
    case, cut = make(neuron, rule), isinstance(rule, EProp)
    whole, _ = case.layer.simulate(case.x)
    silent, differs = 0, 0.0
    for first in range(20, 50, 3):
        _, state = case.layer(case.x[:, :first], return_state=True)
        silent += int((state.refractory + neuron.refractory_steps * state.z > 1).sum())
        rest = case._replace(x=case.x[:, first:])
        trajectory, _ = rest.layer.simulate(rest.x, state)
        assert relative(trajectory.z, whole.z[:, first:]) < EXACT
        assert relative(trajectory.h, whole.h[:, first:]) < EXACT
        if first == 20:
            continue
        found = case.gradients(case.readout(case.layer(rest.x, state)).sin().sum())
        now, series = state, []
        for step in (rest.x @ case.layer.w_in.T).unbind(dim=1):
            now = neuron.step(now, step + (now.z.detach() if cut else now.z) @ case.layer.w_rec.T, cut)
            series.append(now.z)
        wanted = case.gradients(read(case.readout, torch.stack(series, dim=1)).sin().sum())
        wanted["w_rec"].fill_diagonal_(0)
        assert_equal(found, wanted)
        rested = NeuronState(state.variables, state.z * 0, state.refractory * 0)
        differs = max(differs, relative(case.layer.simulate(rest.x, rested)[0].h, trajectory.h))
    assert silent > 10
    assert differs > WRONG  # control: the refractory period ends with the first piece


@RULES
def test_the_clopath_rule_and_truncated_traces_with_a_surrogate(rule: Rule) -> None:
    """The Clopath rule does not read h; a truncated trace does."""
    for trace, same in (("clopath", True), ("truncated", False)):
        one, two = (make(unit("lif", s), EProp(Trace(trace)), x_learns=False) for s in (FastSigmoid, None))
        found, wanted = (c.gradients(LOSSES["squared_error"](c, *c.forward("two"))) for c in (one, two))
        if same:
            assert_equal(found, wanted)
        else:
            assert_differ(found, wanted, "w_in", "w_rec")


def test_a_rate_neuron_is_also_what_plain_torch_makes_of_it(way: str) -> None:
    """The closed form of Eq. 30 and automatic differentiation of the same neuron."""

    @dataclasses.dataclass(frozen=True)
    class Plain(Neuron):
        names = ("s",)

        def update(self, variables: Any, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> tuple[Tensor, ...]:
            return (0.8 * variables[0] + current,)

        def output(self, variables: Any) -> Tensor:
            return variables[0].sigmoid()

    for rule in (BPTT(), EProp(), EProp(trace="truncated")):
        one, two = make(Plain(), rule), make(Rate(0.8), rule)
        found, wanted = (c.gradients(LOSSES["squared_error"](c, *c.forward(way))) for c in (one, two))
        assert_equal(found, wanted)
    other = make(Rate(0.7), rule)
    assert_differ(found, other.gradients(LOSSES["squared_error"](other, *other.forward(way))), "w_in", "w_rec")


def test_an_effect_through_z_prev_local_belongs_to_d() -> None:
    """With the same effect through z_prev, the reset's way, e-prop leaves it out and BPTT does not."""

    @dataclasses.dataclass(frozen=True)
    class Other(Own):
        def update(self, variables: Any, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> tuple[Tensor, ...]:
            return super().update(variables, z_prev, z_prev, current)

    for rule, equal in ((BPTT(), True), (EProp(), False)):
        one, two = make(Own(), rule), make(Other(), rule)
        found, wanted = (c.gradients(LOSSES["squared_error"](c, *c.forward("two"))) for c in (one, two))
        if equal:
            assert_equal(found, wanted)
        else:
            assert_differ(found, wanted, "w_in", "w_rec", "x")
