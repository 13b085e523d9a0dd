"""A small one-shot problem in float64, and its outer loss step by step on autograd's tape, as it is printed."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repro.eprop.layers.differentiable import DifferentiableLayer
from repro.eprop.layers.error_module import ErrorModule, LinearErrorModule, SpikingErrorModule, one_shot
from repro.eprop.neurons.lif import LIF
from repro.eprop.rules.one_shot import OneShot
from tests.oracle.eprop.unrolled import NEURONS, delayed, eprop_sum, filtered, unrolled, without_diagonal

BATCH, STEPS, N_IN, N, N_MODULE, FEATURES = 3, 40, 5, 12, 6, 2
RATE, DECAY, KAPPA = 0.02, 0.8, 0.95  # decays of the learning signal and of the readout: neither is alpha


class Leaky(nn.Module):
    """y^t = kappa y^(t-1) + (1 - kappa) W_out z^t."""

    def __init__(self, random: torch.Generator) -> None:
        super().__init__()
        self.w_out = nn.Parameter(torch.randn(FEATURES, N, generator=random) / N**0.5)

    def forward(self, z: Tensor) -> Tensor:
        return filtered((1 - KAPPA) * z @ self.w_out.T, KAPPA)


class Problem(NamedTuple):
    layer: Any  # a DifferentiableLayer
    readout: Leaky
    error_module: Any
    inputs: Tensor
    target: Tensor

    def one_shot(self, trace: str = "full", rate: Any = RATE, inputs: Any = None) -> OneShot:
        inputs = self.inputs if inputs is None else inputs
        return one_shot(self.layer, self.readout, self.error_module, inputs, self.target, rate, trace)

    def loss(self, trace: str = "full", rate: Any = RATE, inputs: Any = None) -> Tensor:
        result = self.one_shot(trace, rate, inputs)
        spikes = result.training.trajectory.z.expand(BATCH, -1, -1), result.test.trajectory.z, result.module_output.zeta
        return objective(result.test.y, self.target, *spikes)


def make(kind: str, neuron: str = "lif", dtype: torch.dtype = torch.float64) -> Problem:
    random = torch.Generator().manual_seed(4)
    layer = DifferentiableLayer(NEURONS[neuron], N_IN, N, generator=random).to(dtype)
    readout = Leaky(random).to(dtype)
    inputs = (torch.rand(BATCH, STEPS, N_IN, generator=random) < 0.25).to(dtype)
    target = torch.randn(BATCH, STEPS, FEATURES, generator=random, dtype=torch.float64).to(dtype)
    module: ErrorModule = LinearErrorModule(N_IN, N, FEATURES, decay=DECAY, generator=random)
    if kind == "spiking":
        unit = LIF(tau_m_ms=11.0, v_th=0.4, refractory_ms=2, dampening=0.3)
        module = SpikingErrorModule(unit, N_IN, N, FEATURES, N_MODULE, decay=DECAY, generator=random)
    return Problem(layer, readout, module.to(dtype), inputs, target)


def objective(y: Tensor, target: Tensor, *spikes: Tensor) -> Tensor:
    """A test error, and a term in the rates of everything, both trials."""
    return (y - target).square().sum() + sum((z.mean(dim=1) - 0.02).square().sum() for z in spikes)


def each(w: Tensor) -> Tensor:
    return w.expand(BATCH, *w.shape)


def current(w: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("bji,bti->btj", w, x)


def reference(problem: Problem, trace: str, rate: Any = RATE, inputs: Any = None, constant: str = "") -> Tensor:
    """The outer loss as Eq. 7, 58 and 59 are printed; the learning signal or h may be held `constant`."""
    layer, module, target = problem.layer, problem.error_module, problem.target
    x = problem.inputs if inputs is None else inputs
    w_in, w_rec = each(layer.w_in), each(without_diagonal(layer.w_rec))
    z, h, _ = unrolled(layer.neuron, current(w_in, x), w_rec)
    if isinstance(module, LinearErrorModule):
        signal = filtered(x, DECAY) @ module.w_in.T + filtered(z, DECAY) @ module.w_rec.T
        signal, zeta = signal + target @ module.w_target.T, z[:, :, :0]
    else:
        received = torch.cat([x, z, target], dim=2) @ module.w_in.T
        zeta, _, _ = unrolled(module.neuron, received, without_diagonal(module.w_rec))
        signal = filtered(zeta @ module.w_out.T, DECAY)
    signal = signal.detach() if constant == "signal" else signal
    h = h.detach() if constant == "h" else h
    w_in = w_in - rate * eprop_sum(layer.neuron, h, signal, x, trace)
    w_rec = w_rec - rate * without_diagonal(eprop_sum(layer.neuron, h, signal, delayed(z), trace))
    z_test, _, _ = unrolled(layer.neuron, current(w_in, x), w_rec)
    return objective(problem.readout(z_test), target, z, z_test, zeta)
