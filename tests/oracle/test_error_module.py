"""e-prop 2's outer gradient, through both trials and the update between them, against autograd through every step."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.eprop.kernels import events
from repro.eprop.neurons.lif import LIF
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.rules import error_module
from repro.rules.error_module import ErrorModule, Heard, LinearErrorModule, SpikingErrorModule, Taught
from tests.oracle.conftest import relative, unrolled
from tests.oracle.tools import assert_gradients_differ, assert_model_is_live

EXACT, WRONG = 1e-10, 1e-3
BATCH, STEPS, N_IN, N, N_MODULE, FEATURES = 3, 40, 5, 8, 6, 2
RATE, DECAY = 0.02, 0.8  # decay of the learning signal: neither alpha nor kappa


def make(kind: str) -> tuple[RecurrentNetwork, ErrorModule, Tensor, Tensor]:
    random = torch.Generator().manual_seed(4)
    neuron = LIF(tau_m_ms=15.0, v_th=0.6, refractory_ms=2, dampening=0.3)
    network = RecurrentNetwork(neuron, Readout(40.0, one_minus_kappa=True), N_IN, N, FEATURES, random).double()
    inputs = (torch.rand(BATCH, STEPS, N_IN, generator=random) < 0.25).double()
    target = torch.randn(BATCH, STEPS, FEATURES, generator=random, dtype=torch.float64)
    module: ErrorModule = LinearErrorModule(N_IN, FEATURES, N, DECAY, random)
    if kind == "spiking":
        unit = LIF(tau_m_ms=11.0, v_th=0.4, refractory_ms=3, dampening=0.3)
        module = SpikingErrorModule(unit, N_IN + N + FEATURES, N_MODULE, N, DECAY, random)
    return network, module.double(), inputs, target


def filtered(x: Tensor, decay: float) -> Tensor:
    last, out = torch.zeros_like(x[:, 0]), []
    for row in x.unbind(dim=1):
        last = decay * last + row
        out.append(last)
    return torch.stack(out, dim=1)


def each(w: Tensor) -> Tensor:
    return w.expand(BATCH, *w.shape)


def reference(
    network: RecurrentNetwork, module: Any, inputs: Tensor, target: Tensor, trace: str, detach: str = ""
) -> Tensor:
    """The outer loss as Eq. 7, 58 and 59 are printed, an outer product of each synapse at each step."""
    neuron, mask = network.neuron, 1 - torch.eye(N, dtype=torch.float64)
    assert isinstance(neuron, LIF) and network.w_rec is not None
    w_in, w_rec = each(network.w_in), each(network.w_rec * mask)
    z, h = unrolled(neuron, torch.einsum("bji,bti->btj", w_in, inputs), w_rec)
    if isinstance(module, LinearErrorModule):
        signal = filtered(inputs, DECAY) @ module.w_in.T + filtered(z, DECAY) @ module.w_rec.T
        signal, zeta = signal + target @ module.w_target.T, z[:, :, :0]
    else:
        heard = torch.cat([inputs, z, target], dim=2) @ module.w_in.T
        zeta, _ = unrolled(module.neuron, heard, each(module.w_rec * (1 - torch.eye(N_MODULE, dtype=torch.float64))))
        signal = filtered(zeta @ module.w_out.T, DECAY)
    signal = signal.detach() if detach == "signal" else signal
    h = h.detach() if detach == "h" else h
    pre_in, pre_rec = (
        (inputs, z) if trace == "truncated" else (filtered(inputs, neuron.alpha), filtered(z, neuron.alpha))
    )
    moved_in, moved_rec = torch.zeros_like(w_in), torch.zeros_like(w_rec)
    for t in range(STEPS):
        post = (signal[:, t] * h[:, t])[:, :, None]
        moved_in = moved_in + post * pre_in[:, t][:, None, :]
        if t:
            moved_rec = moved_rec + post * pre_rec[:, t - 1][:, None, :]
    w_in, w_rec = w_in - RATE * moved_in, w_rec - RATE * moved_rec * mask
    z_test, _ = unrolled(neuron, torch.einsum("bji,bti->btj", w_in, inputs), w_rec)
    readout = network.readout.scale * filtered(z_test @ network.w_out.T, network.readout.kappa)
    return objective(readout, target, z, z_test, zeta)


def objective(readout: Tensor, target: Tensor, *spikes: Tensor) -> Tensor:
    """A test error, and a term in the rates of everything, both trials."""
    return (readout - target).square().sum() + sum((z.mean(dim=1) - 0.02).square().sum() for z in spikes)


def gradients(loss: Callable[[], Tensor], *modules: torch.nn.Module) -> dict[str, Tensor]:
    named = {f"{i}.{name}": p for i, module in enumerate(modules) for name, p in module.named_parameters()}
    return dict(zip(named, torch.autograd.grad(loss(), list(named.values())), strict=True))


@pytest.mark.parametrize("few", [0.0, 1.0], ids=["whole products", "where they are heard"])
@pytest.mark.parametrize("trace", ["full", "truncated"])
@pytest.mark.parametrize("kind", ["spiking", "linear"])
def test_the_outer_gradient_is_autograds(kind: str, trace: str, few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FEW_WANTED", few)
    network, module, inputs, target = make(kind)

    def ours() -> Tensor:
        done = error_module.one_shot(network, module, inputs, target, RATE, trace)
        for trial in (done.training, done.test):
            assert_model_is_live(trial.activity.z, slopes=trial.activity.h)
        if kind == "spiking":
            assert_model_is_live(done.taught.spikes)
        assert not torch.equal(done.training.activity.z, done.test.activity.z), "the update changed no spike"
        return objective(done.test.readout, target, done.training.activity.z, done.test.activity.z, done.taught.spikes)

    found = gradients(ours, network, module)
    wanted = gradients(lambda: reference(network, module, inputs, target, trace), network, module)
    assert len(found) == 6
    for name in found:
        assert relative(found[name], wanted[name]) < EXACT, name
    other = "full" if trace == "truncated" else "truncated"
    wrong = gradients(lambda: reference(network, module, inputs, target, other), network, module)
    assert_gradients_differ(found, wrong, WRONG, ["0.w_in", "0.w_rec"])  # control: the other trace


@pytest.mark.parametrize("held", ["signal", "h"])
def test_control_a_learning_signal_or_a_pseudo_derivative_held_constant(held: str) -> None:
    network, module, inputs, target = make("linear")

    def ours() -> Tensor:
        done = error_module.one_shot(network, module, inputs, target, RATE)
        return objective(done.test.readout, target, done.training.activity.z, done.test.activity.z, done.taught.spikes)

    found = gradients(ours, network)
    wrong = gradients(lambda: reference(network, module, inputs, target, "full", detach=held), network)
    assert_gradients_differ(found, wrong, WRONG, ["0.w_in", "0.w_rec"])


def test_an_error_module_is_told_no_error_and_no_readout() -> None:
    """What it hears has three parts, and what the readout's weights are changes none of what it says."""
    assert Heard._fields == ("inputs", "activity", "target")
    network, module, inputs, target = make("spiking")
    first = error_module.one_shot(network, module, inputs, target, RATE)
    with torch.no_grad():
        network.w_out.mul_(-3)
    second = error_module.one_shot(network, module, inputs, target, RATE)
    assert torch.equal(first.taught.signal, second.taught.signal)
    assert torch.equal(first.weights.w_rec, second.weights.w_rec)
    third = error_module.one_shot(network, module, inputs, target + 1, RATE)  # control: what it may hear does change it
    assert not torch.equal(first.taught.signal, third.taught.signal)


def test_each_trial_learns_its_own_task_alone() -> None:
    network, module, inputs, target = make("spiking")
    together = error_module.one_shot(network, module, inputs, target, RATE)
    alone = error_module.one_shot(network, module, inputs[1:2], target[1:2], RATE)
    torch.testing.assert_close(together.test.readout[1:2], alone.test.readout)
    assert not torch.allclose(together.test.readout[0:1], alone.test.readout)
    assert isinstance(together.taught, Taught)
    assert torch.equal(torch.diagonal(together.weights.w_rec, dim1=1, dim2=2), torch.zeros(BATCH, N))
