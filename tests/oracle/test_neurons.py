"""Any neuron: derivatives by torch.func against those written by hand, and both evaluators against autograd."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.local_jacobians import LocalJacobians, reverse
from repro.eprop.neurons.neuron import Neuron, NeuronState, Trajectory, Variables
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules.rate import RateTerm
from repro.eprop.rules.synapses import AnySynapses
from repro.eprop.rules.traces import Trace
from repro.rules.online import online_eprop
from repro.rules.rule import BPTT, EProp
from repro.rules.signals import BroadcastSignal
from tests.oracle.conftest import NEURONS, Case, autograd, make_case, relative

EXACT, WRONG = 1e-12, 1e-2
SYMMETRIC = EProp(Trace("full"), BroadcastSignal("symmetric"))
NO_RATE = RateTerm("sum_khz", 0.0, 10.0)


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

    def update(self, own: Variables, fired: Tensor, sent: Tensor, current: Tensor) -> Variables:
        return self.model.update(own, fired, sent, current)

    def output(self, own: Variables) -> Tensor:
        return self.model.output(own)


def derived(case: Case) -> tuple[Trajectory, NeuronState]:
    network = case.network
    drive = case.inputs @ network.w_in.detach().T
    return Derived(network.neuron).simulate(drive, network.recurrent_weights(), network.initial_state(len(drive)))


def by_rule(rule: EProp | BPTT, case: Case) -> dict[str, Tensor]:
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    error = case.error(network.read_out(trajectory.z).detach())
    signal = rule.signal(error, torch.empty(0), network.w_out, network.readout)
    return dict(rule.gradients(network, case.inputs, trajectory, signal))


def online(case: Case) -> dict[str, Tensor]:
    def error_of(readout: Tensor, first: int) -> Tensor:
        return readout - case.target[:, first : first + readout.shape[1]]

    weights = torch.empty(0)
    return dict(online_eprop(case.network, case.inputs, error_of, SYMMETRIC.signal, weights, NO_RATE).gradients)


@pytest.mark.parametrize("name", [*NEURONS, "rate"])
def test_derivatives_written_by_hand_are_those_of_torch_func(name: str) -> None:
    case = make_case(neuron=ALL[name])
    found, wanted = case.network.simulate(case.inputs)[0], derived(case)[0]
    by_hand, by_func = case.network.neuron.local(found), wanted.local
    assert by_func is not None
    assert torch.equal(found.z, wanted.z)
    assert relative(found.h, wanted.h) < EXACT
    assert by_func.output.any()
    for one, other in zip(by_hand, by_func, strict=True):
        # Before the first step nothing is known of h, and nothing asks for it.
        torch.testing.assert_close(one[:, 1:], other[:, 1:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_e_prop_of_any_neuron_is_autograd_without_recurrence_and_reset(name: str) -> None:
    case = make_case(neuron=ALL[name])
    wanted = autograd(case, detach_recurrence=True, detach_reset=True)
    for found in (by_rule(SYMMETRIC, case), online(case)):
        assert relative(found["w_rec"], wanted["w_rec"]) < 1e-11
        assert relative(found["w_in"], wanted["w_in"]) < 1e-11
    assert relative(by_rule(SYMMETRIC, case)["w_rec"], autograd(case)["w_rec"]) > WRONG  # control


@pytest.mark.parametrize("name", ALL)
def test_bptt_of_any_neuron_is_autograd(name: str) -> None:
    case = make_case(neuron=ALL[name])
    found, wanted = by_rule(BPTT(), case), autograd(case)
    assert relative(found["w_rec"], wanted["w_rec"]) < 1e-11
    assert relative(found["w_in"], wanted["w_in"]) < 1e-11
    if name != "rate":  # which has no reset
        assert relative(found["w_rec"], autograd(case, detach_reset=True)["w_rec"]) > WRONG  # control


@pytest.mark.parametrize("name", ALL)
def test_one_step_nudged_moves_a_neuron_as_its_derivatives_say(name: str) -> None:
    """Finite differences of the smooth part: how the variables after a step follow those before it and the current."""
    neuron = ALL[name]
    random = torch.Generator().manual_seed(5)
    own = tuple(torch.randn(1, 9, dtype=torch.float64, generator=random) for _ in neuron.names)
    current, zero = torch.randn(1, 9, dtype=torch.float64, generator=random), torch.zeros(1, 9, dtype=torch.float64)
    local = derive_at(neuron, own, zero, current)
    nudge = 1e-6

    def moved(*by: float) -> Tensor:
        nudged = tuple(x + d for x, d in zip(own, by, strict=False))
        return torch.stack(neuron.update(nudged, zero, zero, current + by[-1]), dim=-1)

    for k in range(len(own) + 1):
        up, down = ([sign * nudge * (i == k) for i in range(len(own) + 1)] for sign in (1, -1))
        wanted = (moved(*up) - moved(*down)) / (2 * nudge)
        found = local.d[..., k] if k < len(own) else local.by_current
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def derive_at(neuron: Neuron, own: Variables, fired: Tensor, current: Tensor) -> LocalJacobians:
    """The derivatives of a step from a point at which the neuron does not act on itself."""
    from repro.eprop.neurons.local_jacobians import derive

    silent, free = torch.zeros_like(current), torch.ones_like(current)
    return derive(neuron.update, neuron.output, own, own, silent, free, fired, current)


def test_control_adaptation_detached() -> None:
    """The threshold's path through the spikes that raised it, left out: D = [[alpha, 0], [0, rho]]."""
    case = make_case(neuron=NEURONS["alif"])
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    signal = torch.sin(torch.arange(trajectory.h.numel(), dtype=torch.float64)).reshape(trajectory.h.shape)
    local = network.neuron.local(trajectory)
    whole = network.neuron.e_prop_delta(trajectory, signal)
    assert relative(reverse(local, signal), whole) < EXACT
    cut = local.d.clone()
    cut[..., 1, 0], cut[..., 1, 1] = 0, network.neuron.rho
    assert relative(reverse(local._replace(d=cut), signal), whole) > WRONG


def test_control_one_over_threshold_missing() -> None:
    """h without 1 / v_th does not only scale the gradient: it changes rho - h beta."""
    case = make_case(neuron=NEURONS["alif"])
    unit, (trajectory, _) = case.network.neuron, case.network.simulate(case.inputs)
    signal = torch.sin(torch.arange(trajectory.h.numel(), dtype=torch.float64)).reshape(trajectory.h.shape)
    whole = unit.e_prop_delta(trajectory, signal)
    without = unit.e_prop_delta(trajectory._replace(h=unit.v_th * trajectory.h), signal) / unit.v_th
    assert relative(without, whole) > WRONG


def test_control_alpha_rho_and_kappa_are_told_apart() -> None:
    case = make_case(neuron=NEURONS["alif"])
    unit, (trajectory, _) = case.network.neuron, case.network.simulate(case.inputs)
    assert isinstance(unit, ALIF)
    signal = torch.sin(torch.arange(trajectory.h.numel(), dtype=torch.float64)).reshape(trajectory.h.shape)
    whole = unit.e_prop_delta(trajectory, signal)
    for swapped in ({"tau_a_ms": unit.tau_m_ms}, {"tau_m_ms": unit.tau_a_ms}, {"tau_a_ms": 40.0}):
        assert relative(dataclasses.replace(unit, **swapped).e_prop_delta(trajectory, signal), whole) > WRONG


def test_a_neuron_without_memory_has_the_truncated_trace() -> None:
    """alpha = 0: nothing is carried over, and the full trace equals the truncated one (below Eq. 30)."""
    case = make_case(neuron=Rate(alpha=0.0))
    truncated = EProp(Trace("truncated"), SYMMETRIC.signal)
    assert relative(by_rule(SYMMETRIC, case)["w_rec"], by_rule(truncated, case)["w_rec"]) < EXACT
    case = make_case(neuron=RATE)  # control
    assert relative(by_rule(SYMMETRIC, case)["w_rec"], by_rule(truncated, case)["w_rec"]) > WRONG


@pytest.mark.parametrize("name", NEURONS)
def test_fused_online_traces_are_those_of_any_neuron(name: str) -> None:
    """The eligibility traces themselves, kappa-filtered, after a chunk: by the kernel and by Eq. 2 as it stands."""
    case = make_case(neuron=NEURONS[name])
    network, unit = case.network, NEURONS[name]
    trajectory, _ = network.simulate(case.inputs)
    signal = torch.ones_like(trajectory.h)
    from repro.eprop.rules.synapses import FusedSynapses

    assert isinstance(unit, IntegrateAndFire)
    shape = len(case.inputs), network.n_rec, 5
    fused, plain = (kind(*shape, trajectory.h, unit) for kind in (FusedSynapses, AnySynapses))
    for synapses in (fused, plain):
        synapses.advance(trajectory, signal, case.inputs, 0.97)
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
