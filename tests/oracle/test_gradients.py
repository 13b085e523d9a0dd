"""Every rule against autograd in float64, and each check against a control that must fail."""

import dataclasses

import pytest
import torch

from repro.eprop.kernels import dispatch, reference
from repro.eprop.kernels.events import delayed_outer, outer, spike_trains
from repro.eprop.rules.traces import Trace
from repro.rules.rule import BPTT, EProp, Gradients
from repro.rules.signals import BroadcastSignal
from tests.oracle.conftest import NEURONS, Case, autograd, make_case, relative
from tests.oracle.tools import assert_gradients_differ

EXACT = 1e-12
WRONG = 1e-2
SYMMETRIC = EProp(Trace("full"), BroadcastSignal("symmetric"))


def by_rule(rule: EProp | BPTT, case: Case) -> Gradients:
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    error = case.error(network.read_out(trajectory.z).detach())
    signal = rule.signal(error, torch.empty(0), network.w_out, network.readout)
    return rule.gradients(network, case.inputs, trajectory, signal)


def test_fused_simulation_is_the_unrolled_network(case: Case) -> None:
    fused, _ = case.network.simulate(case.inputs)
    z, own = case.network.unroll(case.inputs)
    assert torch.equal(fused.z, z)
    torch.testing.assert_close(fused.variables[0], own[0], rtol=0, atol=1e-12)


def test_e_prop_symmetric_is_autograd_without_recurrence_and_reset(case: Case) -> None:
    wanted = autograd(case, detach_recurrence=True, detach_reset=True)
    found = by_rule(SYMMETRIC, case)
    assert relative(found["w_rec"], wanted["w_rec"]) < EXACT
    assert relative(found["w_in"], wanted["w_in"]) < EXACT


@pytest.mark.parametrize("kept", ["reset", "recurrence"])
def test_control_reset_or_recurrence_left_attached(case: Case, kept: str) -> None:
    wanted = autograd(case, detach_recurrence=kept != "recurrence", detach_reset=kept != "reset")
    assert_gradients_differ(by_rule(SYMMETRIC, case), wanted, WRONG, ["w_in", "w_rec"])


def test_control_alpha_for_kappa(case: Case) -> None:
    wanted = autograd(case, detach_recurrence=True, detach_reset=True)
    network = case.network
    same = dataclasses.replace(network.readout, tau_out_ms=network.neuron.tau_m_ms)
    trajectory, _ = network.simulate(case.inputs)
    error = case.error(network.read_out(trajectory.z).detach())
    signal = SYMMETRIC.signal(error, torch.empty(0), network.w_out, same) * network.readout.scale / same.scale
    found = SYMMETRIC.gradients(network, case.inputs, trajectory, signal)
    assert_gradients_differ(found, wanted, WRONG, ["w_in", "w_rec"])


def test_control_one_over_threshold_missing(case: Case) -> None:
    wanted = autograd(case)
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    error = case.error(network.read_out(trajectory.z).detach())
    signal = BPTT().signal(error, torch.empty(0), network.w_out, network.readout)
    without = trajectory._replace(h=trajectory.h * network.neuron.v_th)
    found = BPTT().gradients(network, case.inputs, without, signal)
    assert_gradients_differ(found, wanted, WRONG, ["w_in", "w_rec"])


def test_fused_bptt_is_autograd_with_the_reset_attached(case: Case) -> None:
    wanted, found = autograd(case), by_rule(BPTT(), case)
    assert relative(found["w_rec"], wanted["w_rec"]) < EXACT
    assert relative(found["w_in"], wanted["w_in"]) < EXACT
    assert_gradients_differ(found, autograd(case, detach_reset=True), WRONG, ["w_in", "w_rec"])  # control


def test_eq_1_with_the_total_derivative_is_bptt(case: Case) -> None:
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    wanted = autograd(case)
    # dE/dz^t in total: by the readout, by the reset and by the recurrence, hence the derivative by each step's spikes
    z = trajectory.z.clone().requires_grad_()
    (partial,) = torch.autograd.grad(case.objective(network.read_out(z)), z)
    delta = network.neuron.bptt_delta(trajectory, partial, network.recurrent_weights())
    later = torch.nn.functional.pad(delta[:, 1:], (0, 0, 0, 1))
    total = partial + later @ network.recurrent_weights() - network.neuron.v_th * later
    rule = EProp(Trace("full"), BroadcastSignal("symmetric"))
    assert relative(rule.gradients(network, case.inputs, trajectory, total)["w_rec"], wanted["w_rec"]) < EXACT
    assert relative(rule.gradients(network, case.inputs, trajectory, partial)["w_rec"], wanted["w_rec"]) > WRONG


def test_the_readout_learns_by_its_own_gradient(case: Case) -> None:
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    (found,) = torch.autograd.grad(case.objective(network.read_out(trajectory.z)), network.w_out)
    assert relative(found, autograd(case)["w_out"]) < EXACT


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(("batch", "n_rec"), [(2, 12), (9, 12), (2, 70)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_compiled_kernels_equal_the_fallback(
    neuron: str, batch: int, n_rec: int, dtype: torch.dtype, tolerance: float
) -> None:
    """Few and many trials, few and many neurons; from a state in the middle of something."""
    case = make_case(batch, 40, n_rec, dtype, NEURONS[neuron])
    network, unit = case.network, case.network.neuron
    state = network.simulate(case.inputs)[1]
    trajectory, after = network.simulate(case.inputs, state)
    beta, w_rec, z, h = unit.adaptation(state.z), network.recurrent_weights(), trajectory.z, trajectory.h
    numbers = unit.alpha, unit.rho, unit.v_th, unit.refractory_steps, unit.dampening
    before = state.variables[0], state.variables[-1], state.z, state.refractory
    assert trajectory.events is not None
    assert torch.equal(trajectory.events.dense(dtype), z)
    slow = reference.lif_forward(network.drive(case.inputs), w_rec, beta, *before, *numbers)
    assert torch.equal(z, slow[0])
    assert relative(h, slow[1]) < tolerance
    assert relative(trajectory.variables[0], slow[2]) < tolerance
    assert relative(after.variables[-1], slow[4] if neuron == "alif" else slow[3]) < tolerance
    assert torch.equal(after.refractory, slow[5])
    signal = torch.sin(torch.arange(h.numel(), dtype=dtype)).reshape(h.shape)
    for name, arguments in {
        "local_reverse": (h, signal, beta, 0.9, 0.97),
        "bptt_reverse": (h, signal, signal[:0], w_rec, beta, 0.9, 0.97, 0.6),
        "exponential_filter": (signal, 0.9, True),
    }.items():
        compiled = getattr(dispatch.operators("cpu"), name)
        assert compiled is not getattr(reference, name)
        assert relative(compiled(*arguments), getattr(reference, name)(*arguments)) < tolerance, name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_spike_trains_are_their_dense_array(dtype: torch.dtype) -> None:
    """The same currents and the same gradients from events as from zeros and ones."""
    case = make_case(4, 50, dtype=dtype, neuron=NEURONS["alif"])
    trains = spike_trains(case.inputs)
    assert torch.equal(trains.dense(dtype), case.inputs)
    network, tolerance = case.network, 1e-12 if dtype == torch.float64 else 1e-5
    assert relative(network.drive(trains), network.drive(case.inputs)) < tolerance
    trajectory, _ = network.simulate(case.inputs)
    signal = torch.sin(torch.arange(trajectory.h.numel(), dtype=dtype)).reshape(trajectory.h.shape)
    by_input = [BPTT().gradients(network, x, trajectory, signal)["w_in"] for x in (trains, case.inputs)]
    assert relative(*by_input) < tolerance
    recurrent = [delayed_outer(signal, x, torch.ones(4, 12, dtype=dtype)) for x in (trajectory.z, trajectory.events)]
    assert relative(*recurrent) < tolerance
    assert relative(outer(signal, trajectory.z), recurrent[0]) > WRONG  # control: not delayed
    by_events, by_array = (network.read_out(z).square().sum() for z in (trajectory.events, trajectory.z))
    found, wanted = (torch.autograd.grad(loss, network.w_out)[0] for loss in (by_events, by_array))
    assert relative(found, wanted) < tolerance
    late = spike_trains(case.inputs.roll(1, dims=1))
    assert relative(BPTT().gradients(network, late, trajectory, signal)["w_in"], by_input[1]) > WRONG  # control


def test_fused_bptt_is_the_finite_difference_of_a_smooth_network(lif_case: Case) -> None:
    """z = sigmoid(v) in place of the step: the reverse recursion, given the true dz/dv, is the true gradient."""
    case, network = lif_case, lif_case.network
    alpha, v_th, w_rec = network.neuron.alpha, network.neuron.v_th, network.recurrent_weights()

    def run(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        drive = case.inputs @ network.w_in.detach().T
        v = z = torch.zeros_like(drive[:, 0])
        steps = []
        for t in range(drive.shape[1]):
            v = alpha * v + drive[:, t] + z @ weights.T - v_th * z
            z = torch.sigmoid(v)
            steps.append(z)
        z_all = torch.stack(steps, dim=1)
        return case.objective(network.read_out(z_all)), z_all

    z = run(w_rec)[1].detach().requires_grad_()
    (signal,) = torch.autograd.grad(case.objective(network.read_out(z)), z)
    z = z.detach()
    delta = dispatch.of(z).bptt_reverse(z * (1 - z), signal, z.new_empty(0), w_rec, z.new_empty(0), alpha, 0.0, v_th)
    found = delayed_outer(delta, z, torch.zeros_like(z[:, 0]))
    step = 1e-5
    for j, i in [(0, 1), (3, 2), (11, 5)]:
        nudge = torch.zeros_like(w_rec)
        nudge[j, i] = step
        wanted = (run(w_rec + nudge)[0] - run(w_rec - nudge)[0]) / (2 * step)
        assert abs(found[j, i] - wanted) < 1e-6 * abs(wanted) + 1e-8
        assert abs(1.01 * found[j, i] - wanted) > 1e-6 * abs(wanted) + 1e-8  # control: one per cent off is seen
