"""Any neuron: derivatives by autograd against those written by hand, and both evaluators against autograd."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from repro.eprop import ALIF, BPTT, EProp, Neuron, Rate, Rule, online_eprop
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.local_jacobians import LocalJacobians, derive, reverse
from repro.eprop.neurons.neuron import NeuronState, Trajectory, Variables
from repro.eprop.rules.synapses import AnySynapses, FusedSynapses
from tests.oracle.conftest import relative
from tests.oracle.eprop.conftest import N_IN, Case, make, of_layer, unrolled, wave
from tests.oracle.eprop.conftest import NEURONS as EVERY

EXACT, WRONG = 1e-12, 1e-2
NEURONS: dict[str, Neuron] = {name: EVERY[name] for name in ("lif", "alif")}


def from_the_docs() -> Neuron:
    """The neuron that docs/extending.md shows, from its own text."""
    text = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "(Neuron)" in block]
    found: dict[str, Any] = {"__name__": "docs.extending"}
    exec(compile(code, "docs/extending.md", "exec"), found)
    return found["Synaptic"]()


RATE = Rate(alpha=0.85)
ALL: dict[str, Neuron] = NEURONS | {"rate": RATE, "docs": from_the_docs()}


@dataclasses.dataclass(frozen=True)
class Derived(Neuron):
    """A neuron without what it can do by itself: only its names, update and output are left."""

    model: Neuron
    names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", self.model.names)

    @property
    def refractory_steps(self) -> int:
        return self.model.refractory_steps

    def update(self, variables: Variables, z_prev_local: Tensor, z_prev: Tensor, current: Tensor) -> Variables:
        return self.model.update(variables, z_prev_local, z_prev, current)

    def output(self, variables: Variables) -> Tensor:
        return self.model.output(variables)


def alive(neuron: str | Neuron) -> Case:
    return make(ALL[neuron] if isinstance(neuron, str) else neuron, x_learns=False)


def derived(case: Case) -> tuple[Trajectory, NeuronState]:
    neuron, (w_in, w_rec) = Derived(case.layer.neuron), case.layer.weights()
    return neuron.simulate(case.x @ w_in.T, w_rec, neuron.initial_state(len(case.x), case.layer.n, w_in))


def by_rule(rule: Rule, case: Case) -> dict[str, Tensor]:
    """The gradients of the layer's weights, of half the sum of squares."""
    case.layer.rule = rule
    y, _ = case.forward("pair")
    return of_layer(0.5 * (y - case.target).square().sum(), case.layer)


def by_autograd(case: Case, detach: bool = False) -> dict[str, Tensor]:
    y, _ = unrolled(case, detach)
    return of_layer(0.5 * (y - case.target).square().sum(), case.layer)


def online(case: Case) -> dict[str, Tensor]:
    case.layer.rule = EProp()

    def loss_at(y: Tensor, first: int) -> Tensor:
        return 0.5 * (y - case.target[:, first : first + y.shape[1]]).square().sum()

    return of_layer(online_eprop(case.layer, case.readout, case.x, loss_at).loss, case.layer)


@pytest.mark.parametrize("name", [*NEURONS, "rate"])
def test_derivatives_written_by_hand_are_those_of_autograd(name: str) -> None:
    case = alive(name)
    found, wanted = case.layer.simulate(case.x)[0], derived(case)[0]
    by_hand, automatic = case.layer.neuron.local(found), wanted.local
    assert automatic is not None
    assert torch.equal(found.z, wanted.z)
    assert relative(found.h, wanted.h) < EXACT
    assert automatic.output.any()
    for one, other in zip(by_hand, automatic, strict=True):
        # Before the first step nothing is known of h, and no rule reads it.
        torch.testing.assert_close(one[:, 1:], other[:, 1:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_e_prop_of_any_neuron_is_autograd_without_recurrence_and_reset(name: str) -> None:
    case = alive(name)
    wanted = by_autograd(case, detach=True)
    for found in (by_rule(EProp(), case), online(case)):
        assert relative(found["w_rec"], wanted["w_rec"]) < 1e-11
        assert relative(found["w_in"], wanted["w_in"]) < 1e-11
    assert relative(by_rule(EProp(), case)["w_rec"], by_autograd(case)["w_rec"]) > WRONG  # control


@pytest.mark.parametrize("name", ALL)
def test_bptt_of_any_neuron_is_autograd(name: str) -> None:
    case = alive(name)
    found, wanted = by_rule(BPTT(), case), by_autograd(case)
    assert relative(found["w_rec"], wanted["w_rec"]) < 1e-11
    assert relative(found["w_in"], wanted["w_in"]) < 1e-11
    assert relative(found["w_rec"], by_autograd(case, detach=True)["w_rec"]) > WRONG  # control


@pytest.mark.parametrize("name", ALL)
def test_one_step_nudged_moves_a_neuron_as_its_derivatives_say(name: str) -> None:
    """Finite differences of the smooth part: how the variables after a step follow those before it and the current."""
    neuron = ALL[name]
    random = torch.Generator().manual_seed(5)
    before = tuple(torch.randn(1, 9, dtype=torch.float64, generator=random) for _ in neuron.names)
    current, zero = torch.randn(1, 9, dtype=torch.float64, generator=random), torch.zeros(1, 9, dtype=torch.float64)
    local = derive_at(neuron, before, zero, current)
    nudge = 1e-6

    def moved(*by: float) -> Tensor:
        nudged = tuple(x + d for x, d in zip(before, by, strict=False))
        return torch.stack(neuron.update(nudged, zero, zero, current + by[-1]), dim=-1)

    for k in range(len(before) + 1):
        up, down = ([sign * nudge * (i == k) for i in range(len(before) + 1)] for sign in (1, -1))
        wanted = (moved(*up) - moved(*down)) / (2 * nudge)
        found = local.d[..., k] if k < len(before) else local.by_current
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def derive_at(neuron: Neuron, variables: Variables, z_prev: Tensor, current: Tensor) -> LocalJacobians:
    """The derivatives of a step from a point at which the neuron does not act on itself."""
    silent, free = torch.zeros_like(current), torch.ones_like(current)
    return derive(neuron.update, neuron.output, variables, variables, silent, free, z_prev, current)


def test_control_adaptation_detached() -> None:
    """The threshold's path through the spikes that raised it, left out: D = [[alpha, 0], [0, rho]]."""
    case = alive("alif")
    unit, (trajectory, _) = case.layer.neuron, case.layer.simulate(case.x)
    assert isinstance(unit, ALIF)
    signal, local = wave(trajectory.h), unit.local(trajectory)
    whole = unit.e_prop_delta(trajectory, signal)
    assert relative(reverse(local, signal), whole) < EXACT
    cut = local.d.clone()
    cut[..., 1, 0], cut[..., 1, 1] = 0, unit.rho
    assert relative(reverse(local._replace(d=cut), signal), whole) > WRONG


def test_control_one_over_threshold_missing() -> None:
    """h without 1 / v_th does not only scale the gradient: it changes rho - h beta, and BPTT through the reset."""
    case = alive("alif")
    unit, (trajectory, _) = case.layer.neuron, case.layer.simulate(case.x)
    assert isinstance(unit, ALIF)
    signal, without = wave(trajectory.h), trajectory._replace(h=unit.v_th * trajectory.h)
    whole = unit.e_prop_delta(trajectory, signal)
    assert relative(unit.e_prop_delta(without, signal) / unit.v_th, whole) > WRONG
    _, w_rec = case.layer.weights()
    whole = unit.bptt_delta(trajectory, signal, w_rec)
    assert relative(unit.bptt_delta(without, signal, w_rec) / unit.v_th, whole) > WRONG


def test_control_alpha_rho_and_kappa_differ() -> None:
    case = alive("alif")
    unit, (trajectory, _) = case.layer.neuron, case.layer.simulate(case.x)
    assert isinstance(unit, ALIF)
    signal = wave(trajectory.h)
    whole = unit.e_prop_delta(trajectory, signal)
    for swapped in ({"tau_a_ms": unit.tau_m_ms}, {"tau_m_ms": unit.tau_a_ms}, {"tau_a_ms": 40.0}):
        assert relative(dataclasses.replace(unit, **swapped).e_prop_delta(trajectory, signal), whole) > WRONG


def test_a_neuron_without_memory_has_the_truncated_trace() -> None:
    """alpha = 0: nothing is carried over, and the full trace equals the truncated one (below Eq. 30)."""
    case, truncated = alive(Rate(alpha=0.0)), EProp("truncated")
    assert relative(by_rule(EProp(), case)["w_rec"], by_rule(truncated, case)["w_rec"]) < EXACT
    case = alive("rate")  # control
    assert relative(by_rule(EProp(), case)["w_rec"], by_rule(truncated, case)["w_rec"]) > WRONG


@pytest.mark.parametrize("name", NEURONS)
def test_fused_online_traces_are_those_of_any_neuron(name: str) -> None:
    """The eligibility traces themselves, kappa-filtered, after a chunk: by the kernel and by Eq. 2 as it stands."""
    case, unit = alive(name), NEURONS[name]
    trajectory, _ = case.layer.simulate(case.x)
    signal = torch.ones_like(trajectory.h)
    assert isinstance(unit, IntegrateAndFire)
    shape = len(case.x), case.layer.n, N_IN
    fused, plain = (kind(*shape, trajectory.h, unit) for kind in (FusedSynapses, AnySynapses))
    for synapses in (fused, plain):
        synapses.advance(trajectory, signal, case.x, 0.97)
    assert relative(fused.filtered, plain.filtered) < EXACT
    assert relative(fused.summed, plain.summed) < EXACT
    if name == "alif":  # Eq. 27 as a filter of e
        assert relative(fused.adapted[:, 5:], _after(unit, plain, trajectory)[:, 5:]) < EXACT


def _after(unit: Neuron, synapses: AnySynapses, trajectory: Trajectory) -> Tensor:
    """epsilon_a one step on, which the kernel keeps: (27) once more, from the vector at the last step."""
    h, vector = trajectory.h[:, -1, :, None], synapses.vector
    assert isinstance(unit, ALIF)
    beta = unit.adaptation(h[..., 0])[:, None]
    return (unit.rho - h * beta) * vector[..., 1] + h * vector[..., 0]


def test_alif_is_what_the_paper_prints() -> None:
    """Two steps by hand: a spike raises the threshold by beta, which decays by rho, and the reset takes v_th away."""
    unit = ALIF(20.0, 0.5, 0, 0.3, beta=0.03, tau_a_ms=1200.0, n_adaptive=1)
    state = unit.initial_state(1, 2, torch.zeros(1, dtype=torch.float64))
    state = unit.step(state, torch.tensor([[0.6, 0.6]], dtype=torch.float64))
    assert state.z.tolist() == [[1, 1]]
    for expected in (1.0, math.exp(-1 / 1200)):
        state = unit.step(state, torch.zeros(1, 2, dtype=torch.float64))
        assert state.variables[1][0, 1] == pytest.approx(expected)
    threshold = unit.threshold(state.variables[1])[0]
    assert threshold.tolist() == pytest.approx([0.5, 0.5 + 0.03 * math.exp(-1 / 1200)])
    assert state.variables[0][0, 0] == pytest.approx((0.6 * math.exp(-1 / 20) - 0.5) * math.exp(-1 / 20))
