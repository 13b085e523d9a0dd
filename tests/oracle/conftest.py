"""A small network in float64 in which no two time constants are equal, and alive: it spikes, and h is not zero."""

import dataclasses

import pytest
import torch
from torch import Tensor

from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import Neuron
from repro.eprop.neurons.rate import Rate
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.training.seeds import generator
from tests.oracle.tools import assert_model_is_live


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, its inputs [batch, time, input] and targets [batch, time, readout]."""

    network: RecurrentNetwork
    inputs: Tensor
    target: Tensor

    def error(self, readout: Tensor) -> Tensor:
        """dE/dy of E = half the sum of squares."""
        return readout - self.target

    def objective(self, readout: Tensor) -> Tensor:
        """E = half the sum of squares."""
        return 0.5 * (readout - self.target).square().sum()


NEURONS: dict[str, Neuron] = {
    "lif": LIF(tau_m_ms=15.0, v_th=0.6, refractory_ms=3, dampening=0.3),
    # A threshold that moves by a third of itself within the trial: what it does to a gradient cannot be overlooked.
    "alif": ALIF(tau_m_ms=15.0, v_th=0.6, refractory_ms=3, dampening=0.3, beta=0.1, tau_a_ms=90.0, n_adaptive=7),
}


def make_case(
    batch: int = 3, steps: int = 60, n_rec: int = 12, dtype: torch.dtype = torch.float64, neuron: Neuron | None = None
) -> Case:
    """tau_m = 15 ms, tau_out = 40 ms, refractory 3 ms, v_th = 0.6 (so that 1 / v_th matters); LIF by default."""
    random = generator(7, "oracle")
    neuron = neuron or NEURONS["lif"]
    network = RecurrentNetwork(neuron, Readout(40.0, one_minus_kappa=True), 5, n_rec, 2, random).to(dtype)
    inputs = (torch.rand(batch, steps, 5, generator=random) < 0.15).to(dtype)
    target = torch.randn(batch, steps, 2, generator=random, dtype=dtype)
    case = Case(network, inputs, target)
    trajectory, _ = network.simulate(inputs)
    assert_model_is_live(trajectory.z, slopes=trajectory.h, bound=1.0 if isinstance(neuron, Rate) else None)
    return case


@pytest.fixture(params=NEURONS)
def case(request: pytest.FixtureRequest) -> Case:
    """The network of most oracle tests: once of LIF neurons, once with adaptive thresholds among them."""
    return make_case(neuron=NEURONS[request.param])


@pytest.fixture
def lif_case() -> Case:
    """LIF neurons only, for what is defined for them alone."""
    return make_case()


def autograd(case: Case, detach_recurrence: bool = False, detach_reset: bool = False) -> dict[str, Tensor]:
    """Gradients by autograd through the unrolled network."""
    network = case.network
    z, _ = network.unroll(case.inputs, detach_recurrence, detach_reset)
    loss = case.objective(network.read_out(z))
    names = ["w_in", "w_rec", "w_out"]
    found = torch.autograd.grad(loss, [network.get_parameter(name) for name in names])
    return dict(zip(names, found, strict=True))


def unrolled(neuron: IntegrateAndFire, current: Tensor, w_rec: Tensor) -> tuple[Tensor, Tensor]:
    """z and h [batch, time, neuron] on the tape, step by step; h as the function of the neuron's variables that it is.

    `w_rec` [post, pre], or [batch, post, pre] where each trial has weights of its own.
    """
    batch, _, n = current.shape
    state, outputs, slopes = neuron.initial_state(batch, n, current), [], []
    for arriving in current.unbind(dim=1):
        state = neuron.step(state, arriving + torch.einsum("bi,bji->bj", state.z, w_rec.expand(batch, n, n)))
        v = state.variables[0]
        threshold = neuron.v_th + neuron.adaptation(v) * state.variables[1] if len(state.variables) > 1 else neuron.v_th
        triangle = torch.clamp(1 - torch.abs((v - threshold) / neuron.v_th), min=0)
        slopes.append((state.refractory == 0) * neuron.dampening / neuron.v_th * triangle)
        outputs.append(state.z)
    return torch.stack(outputs, dim=1), torch.stack(slopes, dim=1)


def relative(found: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    return float((found - wanted).abs().max() / wanted.abs().max())
