"""Learning signals and the online evaluator against sums written out as in the paper."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from repro.eprop.neurons.integrate_and_fire import refractory_mask
from repro.eprop.rules.rate import RateTerm
from repro.eprop.rules.traces import Trace
from repro.rules.online import online_eprop
from repro.rules.rule import EProp, Gradients
from repro.rules.signals import BroadcastSignal
from repro.training.seeds import generator
from tests.oracle.conftest import Case, make_case, relative

NO_RATE = RateTerm("sum_khz", 0.0, 10.0)
SIGNALS = {
    "random": BroadcastSignal("random"),
    "symmetric": BroadcastSignal("symmetric"),
    "global": BroadcastSignal("global"),
    "resampled": BroadcastSignal("random", window_steps=7),
}


def feedback(case: Case, signal: BroadcastSignal) -> Tensor:
    steps, (n_out, n_rec) = case.inputs.shape[1], case.network.w_out.shape
    return signal.draw(steps, n_rec, n_out, generator(3, "feedback")).to(case.inputs.dtype)


def factored(case: Case, signal: BroadcastSignal, rate: RateTerm = NO_RATE) -> Gradients:
    network, rule = case.network, EProp(Trace("full"), signal)
    trajectory, _ = network.simulate(case.inputs)
    error = case.error(network.read_out(trajectory.z).detach())
    heard = rule.signal(error, feedback(case, signal), network.w_out, network.readout)
    heard = heard + rate.signal(rate.rates_hz(trajectory.z), trajectory.z.shape[0] * trajectory.z.shape[1])
    return rule.gradients(network, case.inputs, trajectory, heard)


def online(case: Case, signal: BroadcastSignal, rate: RateTerm = NO_RATE) -> Gradients:
    def error_of(readout: Tensor, first: int) -> Tensor:
        return readout - case.target[:, first : first + readout.shape[1]]

    return online_eprop(case.network, case.inputs, error_of, signal, feedback(case, signal), rate).gradients


def written_out(case: Case, signal: BroadcastSignal, by_slice: bool = False) -> Tensor:
    """Eq. 45 for W_rec as printed: sum over t' of (sum_k B_jk error_k) at t' times the kappa-filtered e_ji."""
    network = case.network
    alpha, kappa, scale = network.neuron.alpha, network.readout.kappa, network.readout.scale
    z, h, *_ = network.simulate(case.inputs)[0]
    error = case.error(network.read_out(z).detach())
    steps, weights = z.shape[1], feedback(case, signal)

    def at(t: int) -> Tensor:
        if signal.kind == "symmetric":
            return network.w_out.detach().T
        return weights[t // signal.window_steps if signal.window_steps else 0]

    z_hat, e = torch.zeros_like(z[:, 0]), []
    for t in range(steps):
        z_hat = alpha * z_hat + (z[:, t - 1] if t else 0)
        e.append(h[:, t, :, None] * z_hat[:, None, :])
    total = torch.zeros_like(network.recurrent_weights())
    for later in range(steps):
        for t in range(later + 1):
            heard = scale * error[:, later] @ at(t if by_slice else later).T
            total += torch.einsum("bj,bji->ji", heard, kappa ** (later - t) * e[t])
    return total.fill_diagonal_(0)


@pytest.mark.parametrize("name", SIGNALS)
def test_factored_and_online_are_the_printed_sum(name: str) -> None:
    case = make_case(batch=2, steps=60)
    wanted = written_out(case, SIGNALS[name])
    assert relative(factored(case, SIGNALS[name])["w_rec"], wanted) < 1e-12
    assert relative(online(case, SIGNALS[name])["w_rec"], wanted) < 1e-12


def test_feedback_by_time_slice_is_another_sum() -> None:
    """Both readings of a resampled matrix are what they say, and feedback of the wrong time is seen."""
    case = make_case(batch=2, steps=60)
    by_error, by_slice = SIGNALS["resampled"], dataclasses.replace(SIGNALS["resampled"], by_slice=True)
    found = factored(case, by_slice)["w_rec"]
    assert relative(found, written_out(case, by_error, by_slice=True)) < 1e-12
    assert relative(found, written_out(case, by_error)) > 1e-2  # control


def test_control_another_feedback_matrix() -> None:
    case = make_case(batch=2, steps=60)
    assert relative(factored(case, SIGNALS["random"])["w_rec"], written_out(case, SIGNALS["symmetric"])) > 1e-2


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", SIGNALS)
def test_online_is_factored_with_the_rate_term(name: str, dtype: torch.dtype, tolerance: float) -> None:
    """Over more than one chunk of steps, for all weights."""
    case, rate = make_case(batch=2, steps=130, dtype=dtype), RateTerm("sum_hz", 0.01, 10.0)
    slow, fast = online(case, SIGNALS[name], rate), factored(case, SIGNALS[name], rate)
    for weights in ("w_in", "w_rec"):
        assert relative(slow[weights], fast[weights]) < tolerance
        assert relative(slow[weights], factored(case, SIGNALS[name])[weights]) > 1e-2  # control: no rate term
    z = case.network.simulate(case.inputs)[0].z
    (w_out,) = torch.autograd.grad(case.objective(case.network.read_out(z)), case.network.w_out)
    assert relative(slow["w_out"], w_out) < tolerance


@pytest.mark.parametrize("reading", ["sum_khz", "mean_hz", "population_hz"])
def test_rate_signal_is_the_derivative_of_the_rate_loss(case: Case, reading: str) -> None:
    rate = RateTerm(reading, 0.5, 10.0)
    z = case.network.simulate(case.inputs)[0].z.requires_grad_()
    (wanted,) = torch.autograd.grad(rate.loss(rate.rates_hz(z)), z)
    found = rate.signal(rate.rates_hz(z), z.shape[0] * z.shape[1])
    assert relative(found.expand_as(z), wanted) < 1e-12
    assert relative(found.expand_as(z) / 2, wanted) > 1e-2  # control: Eq. 55 as printed, without its factor 2


def test_units_of_the_rate_loss() -> None:
    rates = torch.tensor([12.0, 6.0])
    assert float(RateTerm("mean_hz", 0.5, 10.0).loss(rates)) == pytest.approx(0.5 * (4 + 16) / 2)
    assert float(RateTerm("sum_khz", 0.5, 10.0).loss(rates)) == pytest.approx(0.5 * (4 + 16) * 1e-6)
    assert float(RateTerm("population_hz", 0.5, 10.0).loss(rates)) == pytest.approx(0.5 * 1)


def test_clopath_factor_is_eq_57(lif_case: Case) -> None:
    """[v - v+]+ [v-hat - v-]+ step by step, and silent while refractory."""
    network = lif_case.network
    neuron, (trajectory, _) = network.neuron, network.simulate(lif_case.inputs)
    found = Trace("clopath").clopath_factor(trajectory, neuron)
    decay = math.exp(-1 / 10)  # 10 ms, below Eq. 57
    v_hat, wanted = torch.zeros_like(trajectory.h[:, 0]), torch.zeros_like(found)
    blocked = refractory_mask(trajectory.z, neuron.refractory_steps)
    for t in range(found.shape[1]):
        v = trajectory.variables[0][:, t]
        v_hat = decay * v_hat + (1 - decay) * v
        wanted[:, t] = v.clamp(min=0) * (v_hat - neuron.v_th / 4).clamp(min=0) * ~blocked[:, t]
    assert float(wanted.max()) > 0
    torch.testing.assert_close(found, wanted)
    assert relative(Trace("clopath", "swapped").clopath_factor(trajectory, neuron), wanted) > 1e-2  # control


def test_refractory_neurons_have_no_pseudo_derivative(lif_case: Case) -> None:
    case = lif_case
    trajectory, _ = case.network.simulate(case.inputs)
    blocked = refractory_mask(trajectory.z, case.network.neuron.refractory_steps)
    assert blocked.any()
    assert not trajectory.h[blocked].any()
    assert not trajectory.z[blocked].any()
    near = (trajectory.variables[0] > 0) & (trajectory.variables[0] < 2 * case.network.neuron.v_th)
    assert torch.equal(trajectory.h > 0, near & ~blocked)


@pytest.mark.parametrize("kind", ["truncated", "presynaptic"])
def test_simplified_traces(case: Case, kind: str) -> None:
    """e = h z and e = z, with the presynaptic spike of one step before."""
    network = case.network
    trajectory, _ = network.simulate(case.inputs)
    signal = torch.cos(torch.arange(trajectory.h.numel(), dtype=torch.float64)).reshape(trajectory.h.shape)
    rule = EProp(Trace(kind), SIGNALS["random"])
    post = trajectory.h if kind == "truncated" else torch.ones_like(trajectory.h)
    wanted = torch.einsum("btj,bti->ji", (post * signal)[:, 1:], trajectory.z[:, :-1]).fill_diagonal_(0)
    found = rule.gradients(network, case.inputs, trajectory, signal)["w_rec"]
    assert relative(found, wanted) < 1e-12
    full = EProp(Trace("full"), SIGNALS["random"]).gradients(network, case.inputs, trajectory, signal)["w_rec"]
    assert relative(found, full) > 1e-2  # control
