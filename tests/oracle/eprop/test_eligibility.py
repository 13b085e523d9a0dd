"""Eligibility traces as arrays: against Eq. 21 to 28 written out, and against autograd."""

import pytest
import torch
from torch import Tensor

from repro.eprop import (
    ALIF,
    LIF,
    LSTM,
    LSTMLayer,
    Neuron,
    NotFiniteError,
    Rate,
    RecurrentLayer,
    UsageError,
    eligibility_traces,
)
from repro.eprop.kernels.events import delayed, spike_trains
from tests.oracle.conftest import relative

BATCH, TIME, INPUTS, N = 3, 60, 5, 4
ADAPTING = ALIF(n_adaptive=2, beta=0.3, tau_m_ms=12.0, tau_a_ms=90.0, v_th=0.4)
SPIKING = LIF(tau_m_ms=15.0, v_th=0.4)


def layer_of(neuron: Neuron, recurrent: bool = True) -> RecurrentLayer:
    random = torch.Generator().manual_seed(3)
    return RecurrentLayer(neuron, n_in=INPUTS, n=N, recurrent=recurrent, generator=random).double()


@pytest.fixture
def x() -> Tensor:
    return (torch.rand(BATCH, TIME, INPUTS, generator=torch.Generator().manual_seed(4)) < 0.3).double()


def written_out(layer: RecurrentLayer, x: Tensor, presynaptic: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """epsilon_a and e [batch, time, post, pre] by Eq. 22, 27 and 28, one synapse at a time."""
    h, (alpha, rho) = layer.simulate(x)[0].h, (layer.neuron.alpha, getattr(layer.neuron, "rho", 0.0))
    slow, e = torch.zeros(2, BATCH, TIME, N, presynaptic.shape[2], dtype=torch.float64)
    for j in range(N):
        for i in range(presynaptic.shape[2]):
            z_hat, epsilon_a, h_before = torch.zeros(3, BATCH, dtype=torch.float64)
            for t in range(TIME):
                epsilon_a = h_before * z_hat + (rho - h_before * beta[j]) * epsilon_a
                z_hat = alpha * z_hat + presynaptic[:, t, i]
                slow[:, t, j, i] = epsilon_a
                e[:, t, j, i] = h[:, t, j] * (z_hat - beta[j] * epsilon_a)
                h_before = h[:, t, j]
    return slow, e


@pytest.mark.parametrize("neuron", [SPIKING, ADAPTING], ids=["LIF", "ALIF"])
def test_against_the_equations(neuron: Neuron, x: Tensor) -> None:
    layer = layer_of(neuron)
    beta = torch.tensor([0.0, 0.0, 0.3, 0.3] if neuron is ADAPTING else [0.0] * 4, dtype=torch.float64)
    z = layer.simulate(x)[0].z
    assert z.sum() > 20
    for found, presynaptic in zip(
        eligibility_traces(layer, x), (x, delayed(z, torch.zeros_like(z[:, 0]))), strict=True
    ):
        assert found is not None
        slow, e = written_out(layer, x, presynaptic, beta)
        assert relative(found.traces, e) < 1e-12
        if neuron is ADAPTING:
            assert relative(found.vectors[..., 1], slow) < 1e-12
            assert relative(found.traces, written_out(layer, x, presynaptic, 0 * beta)[1]) > 1e-3  # control


@pytest.mark.parametrize("neuron", [SPIKING, ADAPTING, Rate()], ids=["LIF", "ALIF", "Rate"])
def test_against_autograd(neuron: Neuron, x: Tensor) -> None:
    layer = layer_of(neuron)
    weight = torch.randn(BATCH, TIME, N, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    z, _ = layer.unroll(x, detach_recurrence=True, detach_reset=True)
    by_inputs, by_neurons = torch.autograd.grad((weight * z).sum(), [layer.w_in, layer.w_rec])
    inputs, neurons = eligibility_traces(layer, x)
    assert neurons is not None
    assert relative(torch.einsum("btj,btji->ji", weight, inputs.traces), by_inputs) < 1e-10
    off = 1 - torch.eye(N, dtype=torch.float64)  # there are no autapses
    assert relative(off * torch.einsum("btj,btji->ji", weight, neurons.traces), off * by_neurons) < 1e-10
    whole = torch.autograd.grad((weight * layer.unroll(x)[0]).sum(), layer.w_in)[0]
    assert relative(whole, by_inputs) > 1e-3  # control: what goes through other neurons is no part of a trace


def test_events_states_and_layers_without_recurrence(x: Tensor) -> None:
    layer = layer_of(ADAPTING, recurrent=False)
    found, none = eligibility_traces(layer, x)
    assert none is None
    assert torch.equal(eligibility_traces(layer, spike_trains(x))[0].traces, found.traces)
    assert found.vectors.shape == (BATCH, TIME, N, INPUTS, 2)
    assert not found.traces.requires_grad


def test_a_state_moves_the_neurons_and_vectors_begin_at_zero(x: Tensor) -> None:
    layer = layer_of(SPIKING)
    whole, _ = layer.simulate(x)
    cut = next(t for t in range(20, 50) if whole.z[:, t - 1].any())
    _, neurons = eligibility_traces(layer, x[:, cut:], layer.simulate(x[:, :cut])[1])
    assert neurons is not None
    z_hat = torch.zeros(BATCH, N, dtype=torch.float64)
    for t in range(cut, TIME):
        z_hat = layer.neuron.alpha * z_hat + whole.z[:, t - 1]
        wanted = whole.h[:, t, :, None] * z_hat[:, None]
        assert float((neurons.traces[:, t - cut] - wanted).abs().max()) < 1e-12
    _, at_rest = eligibility_traces(layer, x[:, cut:])
    assert at_rest is not None and not torch.equal(at_rest.traces, neurons.traces)  # control


def test_half_precision_around_it_and_inputs_that_are_not_numbers(x: Tensor) -> None:
    layer = layer_of(ADAPTING).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        around, _ = eligibility_traces(layer, x.float())
    assert torch.equal(around.traces, eligibility_traces(layer, x.float())[0].traces)
    with pytest.raises(NotFiniteError):
        eligibility_traces(layer, x.float() * torch.nan)


def test_wrong_use(x: Tensor) -> None:
    with pytest.raises(UsageError, match="takes a RecurrentLayer, not LSTMLayer"):
        eligibility_traces(LSTMLayer(LSTM(), n_in=5, n=4), x)
    with pytest.raises(UsageError):
        eligibility_traces(layer_of(SPIKING), x[..., :2])
