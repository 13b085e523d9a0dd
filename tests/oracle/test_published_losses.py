"""The authors' own code, from outside: the losses of its first five iterations, as NEST's e-prop tests publish them.

NEST's regression test of its eprop_*_bsshslm_2020 models carries these numbers of the original TensorFlow tutorial on
pattern generation: 100 inputs, 100 LIF neurons, one readout, 1000 ms, tau_m = tau_out = 30 ms, no refractory period.
The tutorial scales input currents by 1 - alpha, which is a threshold of 0.03 / (1 - alpha) in Eq. 20.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from repro.eprop import LIF, EProp, RateTerm, Readout, RecurrentLayer, SpikingNetwork

PUBLISHED = [101.964363, 103.466736, 103.340607, 103.680244, 104.412781]
N, T, LEARNING_RATE = 100, 1000, 1e-4


def draw(tau_m_ms: float) -> tuple[SpikingNetwork, Tensor, Tensor]:
    """The tutorial's network, whose feedback is the tutorial's too, inputs and target, in its order of drawing."""
    random = np.random.RandomState(1)
    w_in, w_rec, w_out, feedback = (
        torch.tensor((random.randn(N, n) / N**0.5).astype(np.float32).astype(float)) for n in (N, N, 1, 1)
    )
    inputs = torch.tensor((random.rand(T, N) < 0.05).astype(float))
    inputs[0] = 0
    amplitude, phase = random.uniform(0.5, 2, 4), random.uniform(0, 2 * np.pi, 4)
    periods = (1000, 500, 333, 200)
    target = sum(
        a * np.sin(np.linspace(p, p + 2 * np.pi * (T // period), T))
        for a, p, period in zip(amplitude, phase, periods, strict=True)
    )
    target = target - target[0]
    neuron = LIF(tau_m_ms, v_th=0.03 / (1 - np.exp(-1 / tau_m_ms)), refractory_ms=0, dampening=0.3)
    layer, readout = RecurrentLayer(neuron, N, N, rule=EProp()), Readout(N, 1, 30.0, one_minus_kappa=True)
    network = SpikingNetwork(layer, readout).double()
    layer.w_in.data, layer.w_rec.data, readout.w_out.data = w_in.T, w_rec.T.fill_diagonal_(0), w_out.T
    readout.feedback = "random"
    readout._drawn = feedback[None]
    return network, inputs[None], torch.tensor(target / np.abs(target).max())[None, :, None]


def losses(tau_m_ms: float = 30.0, rate_cost: float = 150.0, iterations: int = 5) -> list[float]:
    """Train with e-prop 1 and plain gradient descent; the task's loss before each update."""
    network, inputs, target = draw(tau_m_ms)
    rate, optimizer = RateTerm("sum_khz", rate_cost, 10.0), torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    found = []
    for _ in range(iterations):
        y, z = network(inputs)
        loss = 0.5 * (y - target).square().sum()
        found.append(float(loss.detach()))
        optimizer.zero_grad()
        (loss + rate(z)).backward()
        optimizer.step()
    return found


def test_five_published_losses() -> None:
    assert losses() == pytest.approx(PUBLISHED, rel=1e-7)


@pytest.mark.parametrize("change", [{"tau_m_ms": 20.0}, {"rate_cost": 0.0}])
def test_control_another_time_constant_or_no_rate_term(change: dict[str, float]) -> None:
    assert losses(**change) != pytest.approx(PUBLISHED, rel=1e-7)
