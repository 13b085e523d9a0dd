"""Eq. 1 for spiking neurons, and the neuron without memory: our rules on one side, autograd on the other."""

from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels.events import delayed
from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.neuron import Neuron, Trajectory
from repro.eprop.neurons.rate import Rate
from repro.eprop.rules.synapses import synapses_onto
from repro.eprop.rules.traces import Trace
from repro.network import RecurrentNetwork
from repro.readout import Readout
from repro.rules.rule import EProp
from repro.rules.signals import BroadcastSignal
from repro.training.seeds import generator
from tasks.theory.config import TheoryConfig
from tasks.theory.networks import relative, typical

INPUT_RATE = 0.15  # spikes a step of each input: the networks are alive


class Spiking(NamedTuple):
    """A network of `repro.network`, its inputs [batch, step, input] and targets [batch, step, readout]."""

    network: RecurrentNetwork
    inputs: Tensor
    target: Tensor

    def error(self, z: Tensor) -> Tensor:
        """Half the sum of squares, from the outputs z [batch, step, neuron]."""
        return 0.5 * (self.network.read_out(z) - self.target).square().sum()

    def by_outputs(self, z: Tensor) -> Tensor:
        """dE/dz through the readout alone, [batch, step, neuron]."""
        leaf = z.clone().requires_grad_()
        (partial,) = torch.autograd.grad(self.error(leaf), leaf)
        return partial


def spiking(neuron: Neuron, config: TheoryConfig, seed: int) -> Spiking:
    """A case in float64 in which no two time constants are equal."""
    random = generator(seed, "theory", "spiking")
    readout = Readout(config.tau_out_ms, one_minus_kappa=True)
    network = RecurrentNetwork(neuron, readout, config.n_in, config.n_rec, config.n_out, random).double()
    shape = config.batch_size, config.steps
    inputs = (torch.rand(*shape, config.n_in, generator=random) < INPUT_RATE).double()
    return Spiking(network, inputs, torch.randn(*shape, config.n_out, generator=random, dtype=torch.float64))


def eq1(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Eq. 1 summed forward in time with the traces of Eq. 22-28, and with learning signals that do not see the
    recurrence and the reset (which must be seen)."""
    common = config.tau_m_ms, config.v_th, config.refractory_ms, config.dampening
    lif = LIF(*common)
    alif = ALIF(*common, beta=config.beta, tau_a_ms=config.tau_a_ms, n_adaptive=config.n_rec // 2)
    found: dict[str, float] = {}
    partial = []
    for name, neuron in {"lif": lif, "alif": alif}.items():
        case = spiking(neuron, config, seed)
        z, _ = case.network.unroll(case.inputs)
        assert case.network.w_rec is not None
        wanted = torch.cat(torch.autograd.grad(case.error(z), [case.network.w_in, case.network.w_rec]), dim=1)
        trajectory, _ = case.network.simulate(case.inputs)
        found[f"eq1_{name}"] = relative(sum_of_traces(case, trajectory, total_signal(case, trajectory)), wanted)
        partial.append(relative(sum_of_traces(case, trajectory, case.by_outputs(trajectory.z)), wanted))
    return {**found, "eq1_partial": min(partial)}


def total_signal(case: Spiking, trajectory: Trajectory) -> Tensor:
    """L = dE/dz^t in total [batch, step, neuron]: by the readout, by the recurrence and by the reset."""
    network, neuron = case.network, case.network.neuron
    assert isinstance(neuron, IntegrateAndFire)
    partial = case.by_outputs(trajectory.z)
    delta = neuron.bptt_delta(trajectory, partial, network.recurrent_weights())
    later = torch.nn.functional.pad(delta[:, 1:], (0, 0, 0, 1))
    return partial + later @ network.recurrent_weights() - neuron.v_th * later


def sum_of_traces(case: Spiking, trajectory: Trajectory, signal: Tensor) -> Tensor:
    """sum_t L^t e^t with traces that go forward in time, [neuron, input and neuron]."""
    network = case.network
    batch, _, n = trajectory.z.shape
    sent = {"w_in": case.inputs, "w_rec": delayed(trajectory.z, trajectory.before.z)}
    gradients = []
    for presynaptic in sent.values():
        synapses = synapses_onto(network.neuron, batch, n, presynaptic.shape[2], trajectory.z)
        synapses.advance(trajectory, signal, presynaptic, 0.0)
        gradients.append(synapses.gradient)
    gradients[1].fill_diagonal_(0)  # no autapses
    return torch.cat(gradients, dim=1)


def alpha0(config: TheoryConfig, seed: int) -> dict[str, float]:
    """Full against truncated traces of rate neurons without memory, and of those with it (which must differ)."""
    keep = 1 - 1 / typical(config)[0]
    signal = BroadcastSignal("symmetric")
    found = []
    for alpha in (0.0, keep):
        case = spiking(Rate(alpha), config, seed)
        trajectory, _ = case.network.simulate(case.inputs)
        partial = case.by_outputs(trajectory.z)
        rules = [EProp(Trace(kind), signal) for kind in ("full", "truncated")]
        pair = [rule.gradients(case.network, case.inputs, trajectory, partial)["w_rec"] for rule in rules]
        found.append(relative(pair[1], pair[0]))
    return {"alpha0": found[0], "alpha0_with_memory": found[1]}
