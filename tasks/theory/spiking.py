"""Eq. 1 for spiking neurons, and the neuron without memory: our rules on one side, autograd on the other."""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels.events import delayed
from repro.eprop.layers.readout import Readout
from repro.eprop.layers.recurrent import RecurrentLayer
from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import Neuron, Trajectory
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules.rule import EProp
from repro.eprop.rules.synapses import synapses_onto
from repro.runs.seeds import generator
from tasks.theory.config import TheoryConfig
from tasks.theory.networks import relative, typical

INPUT_RATE = 0.15  # spikes a step of each input: the networks are alive


class Spiking(NamedTuple):
    """A layer, its readout, inputs [batch, step, input] and targets [batch, step, readout]."""

    layer: RecurrentLayer
    readout: Readout
    inputs: Tensor
    target: Tensor

    def error(self, z: Tensor) -> Tensor:
        """Half the sum of squares, from the outputs z [batch, step, neuron]."""
        error: Tensor = self.readout(z) - self.target
        return 0.5 * error.square().sum()

    def by_outputs(self, z: Tensor) -> Tensor:
        """dE/dz through the readout alone, [batch, step, neuron]."""
        leaf = z.clone().requires_grad_()
        (partial,) = torch.autograd.grad(self.error(leaf), leaf)
        return partial


def spiking(neuron: Neuron, config: TheoryConfig, seed: int) -> Spiking:
    """A case in float64 in which no two time constants are equal."""
    random = generator(seed, "theory", "spiking")
    layer, readout = network(neuron, config, config.n_rec, config.n_out, random)
    shape = config.batch_size, config.steps
    inputs = (torch.rand(*shape, config.n_in, generator=random) < INPUT_RATE).double()
    return Spiking(layer, readout, inputs, torch.randn(*shape, config.n_out, generator=random, dtype=torch.float64))


def network(
    neuron: Neuron, config: TheoryConfig, n: int, n_out: int, random: torch.Generator
) -> tuple[RecurrentLayer, Readout]:
    """`n` neurons and `n_out` readouts in float64; the weights alone are drawn with `random`."""
    layer = RecurrentLayer(neuron, config.n_in, n, generator=random)
    readout = Readout(n, n_out, config.tau_out_ms, one_minus_kappa=True, generator=torch.Generator())
    with torch.no_grad():
        readout.w_out.copy_(torch.randn(n_out, n, generator=random) / n**0.5)
    return layer.double(), readout.double()


def eq1(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Eq. 1 summed forward in time with the traces of Eq. 22-28, and with learning signals that do not see the
    recurrence and the reset (which must be seen)."""
    common = config.tau_m_ms, config.v_th, config.refractory_ms, config.dampening
    lif = LIF(*common)
    alif = ALIF(*common, beta=config.beta, tau_a_ms=config.tau_a_ms, n_adaptive=config.n_rec // 2)
    errors: dict[str, float] = {}
    partial = []
    for name, neuron in {"lif": lif, "alif": alif}.items():
        case = spiking(neuron, config, seed)
        z, _ = case.layer.unroll(case.inputs)
        assert case.layer.w_rec is not None
        wanted = torch.cat(torch.autograd.grad(case.error(z), [case.layer.w_in, case.layer.w_rec]), dim=1)
        trajectory, _ = case.layer.simulate(case.inputs)
        errors[f"eq1_{name}"] = relative(sum_of_traces(case, trajectory, total_signal(case, trajectory)), wanted)
        partial.append(relative(sum_of_traces(case, trajectory, case.by_outputs(trajectory.z)), wanted))
    return {**errors, "eq1_partial": min(partial)}


def total_signal(case: Spiking, trajectory: Trajectory) -> Tensor:
    """L = dE/dz^t in total [batch, step, neuron]: by the readout, by the recurrence and by the reset."""
    neuron, (_, w_rec) = case.layer.neuron, case.layer.weights()
    assert isinstance(neuron, IntegrateAndFire)
    partial = case.by_outputs(trajectory.z)
    delta = neuron.bptt_delta(trajectory, partial, w_rec)
    later = torch.nn.functional.pad(delta[:, 1:], (0, 0, 0, 1))
    return partial + later @ w_rec - neuron.v_th * later


def sum_of_traces(case: Spiking, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """sum_t L^t e^t with traces that go forward in time, [neuron, input and neuron]."""
    batch, _, n = trajectory.z.shape
    gradients = []
    for presynaptic in (case.inputs, delayed(trajectory.z, trajectory.before.z)):
        synapses = synapses_onto(case.layer.neuron, batch, n, presynaptic.shape[2], trajectory.z)
        synapses.advance(trajectory, signal, presynaptic, 0.0)
        gradients.append(synapses.gradient)
    gradients[1].fill_diagonal_(0)  # no autapses
    return torch.cat(gradients, dim=1)


def alpha0(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Full against truncated traces of rate neurons without memory, and of those with it (which must differ)."""
    keep = 1 - 1 / typical(config)[0]
    errors = []
    for alpha in (0.0, keep):
        case = spiking(Rate(alpha), config, seed)
        full, truncated = (by_trace(case, kind) for kind in ("full", "truncated"))
        errors.append(relative(truncated, full))
    return {"alpha0": errors[0], "alpha0_with_memory": errors[1]}


def by_trace(case: Spiking, kind: str) -> Tensor:
    """e-prop's gradient of the recurrent weights [neuron, neuron] with a trace of this kind."""
    case.layer.rule = EProp(kind)
    assert case.layer.w_rec is not None
    (gradient,) = torch.autograd.grad(case.error(case.layer(case.inputs)), case.layer.w_rec)
    return gradient
