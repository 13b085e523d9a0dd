"""What a reader of the paper would write of e-prop 2 in PyTorch: a loop over time on autograd's tape, through both
trials, the error module and the update between them.

Arrays are [task, ...], of a step; sums of outer products are [task, post, pre].
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks import eager
from repro.eprop.layers.error_module import LinearErrorModule, SpikingErrorModule
from repro.eprop.neurons.lif import LIF
from repro.eprop.neurons.surrogates import pseudo_derivative, spike


class UnrolledTrial(NamedTuple):
    """A trial: spikes of the network and of a spiking error module [task, time, neuron], and sum_t L-hat e of input and
    recurrent synapses [task, post, pre], zero where nothing is learned."""

    z: Tensor
    zeta: Tensor
    by_in: Tensor
    by_rec: Tensor


def loss(module: Any, batch: Any, inputs: Tensor) -> Tensor:
    """The outer loss of `ArmReachingModule` with rates over both trials, with autograd's whole tape behind it."""
    network, rate = module.network, module.config.inner_learning_rate
    inputs = inputs.expand(len(batch.target_input), -1, -1)
    w_in, w_rec = network.layer.w_in, _without_autapses(network.layer.w_rec)
    first = trial(module, w_in, w_rec, inputs, batch.target_input, learns=True)
    w_in, w_rec = w_in - rate * first.by_in, w_rec - rate * _without_autapses(first.by_rec)
    second = trial(module, w_in, w_rec, inputs, batch.test_target_input, learns=False)
    total: Tensor = module.loss_of(eager.read_out(network.readout, [second.z]), batch)
    per_step = 1000 / module.config.dt_ms
    total = total + module.rate.loss(per_step * (first.z.mean(dim=(0, 1)) + second.z.mean(dim=(0, 1))) / 2)
    if first.zeta.shape[2]:
        zeta = per_step * (first.zeta.mean(dim=(0, 1)) + second.zeta.mean(dim=(0, 1))) / 2
        total = total + module.module_rate.loss(zeta)
    return total


def trial(module: Any, w_in: Tensor, w_rec: Tensor, inputs: Tensor, targets: Tensor, learns: bool) -> UnrolledTrial:
    """A trial from rest with weights [post, pre] of all tasks or [task, post, pre] of each: network, error module,
    eligibility traces (Eq. 23) and what the update adds up (Eq. 7), step by step."""
    inputs, tasks, alpha = inputs.to(w_in.dtype), inputs.shape[0], module.network.layer.neuron.alpha
    network = Neurons(module.network.layer.neuron, w_rec, tasks)
    error_module = STEPWISE[type(module.error_module)](module.error_module, tasks)
    trace_in, trace_rec = inputs.new_zeros(tasks, inputs.shape[2]), network.z
    by_in, by_rec = inputs.new_zeros(tasks, *w_in.shape[-2:]), inputs.new_zeros(tasks, *w_rec.shape[-2:])
    series = []
    for x, current, target in zip(inputs.unbind(1), (inputs @ w_in.mT).unbind(1), targets.unbind(1), strict=True):
        z_prev, z = network.z, network.step(current)
        signal, zeta = error_module.step(x, z, target)
        series.append((z, zeta))
        if learns:
            trace_in, trace_rec = alpha * trace_in + x, alpha * trace_rec + z_prev
            # In place, which these products allow: of a new array a step the heap keeps a hole.
            post = (signal * network.h)[:, :, None]
            by_in.baddbmm_(post, trace_in[:, None])
            by_rec.baddbmm_(post, trace_rec[:, None])
    z, zeta = (torch.stack(each, dim=1) for each in zip(*series, strict=True))
    return UnrolledTrial(z, zeta, by_in, by_rec)


class Neurons:
    """LIF neurons (Eq. 20-22) in some step: spikes z and pseudo-derivatives h [task, neuron], both zero before it."""

    def __init__(self, neuron: LIF, w_rec: Tensor, tasks: int) -> None:
        self.neuron, self.w_rec, self.threshold = neuron, w_rec, w_rec.new_tensor(neuron.v_th)
        self.v = self.z = self.h = self.refractory = w_rec.new_zeros(tasks, w_rec.shape[-1])

    def step(self, current: Tensor) -> Tensor:
        """The spikes of the next step, in which a `current` [task, neuron] arrives from elsewhere."""
        of = self.neuron
        arriving = torch.einsum("bi,bji->bj" if self.w_rec.ndim == 3 else "bi,ji->bj", self.z, self.w_rec)
        self.v = of.alpha * self.v + current + arriving - of.v_th * self.z
        with torch.no_grad():
            self.refractory = torch.clamp(self.refractory + of.refractory_steps * self.z - 1, min=0)
            free = (self.refractory == 0).to(current.dtype)
        self.z = free * spike(self.v, self.threshold, of.v_th, of.dampening)
        self.h = free * pseudo_derivative(self.v, of.v_th, of.v_th, of.dampening)
        return self.z


class Spiking:
    """A spiking error module (Eq. 58) in some step."""

    def __init__(self, module: Any, tasks: int) -> None:
        self.module, self.neurons = module, Neurons(module.neuron, _without_autapses(module.w_rec), tasks)
        self.signal = module.w_out.new_zeros(tasks, module.w_out.shape[0])

    def step(self, x: Tensor, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Learning signals [task, neuron of the network] and the module's own spikes in the next step."""
        zeta = self.neurons.step(torch.cat([x, z, target], dim=1) @ self.module.w_in.T)
        self.signal = self.module.decay * self.signal + zeta @ self.module.w_out.T
        return self.signal, zeta


class Linear:
    """A linear error module in some step."""

    def __init__(self, module: Any, tasks: int) -> None:
        self.module = module
        self.x, self.z = (w.new_zeros(tasks, w.shape[1]) for w in (module.w_in, module.w_rec))

    def step(self, x: Tensor, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """As `Spiking.step`, of no spikes."""
        of = self.module
        self.x, self.z = of.decay * self.x + x, of.decay * self.z + z
        return self.x @ of.w_in.T + self.z @ of.w_rec.T + target @ of.w_target.T, z[:, :0]


STEPWISE: dict[type, Any] = {SpikingErrorModule: Spiking, LinearErrorModule: Linear}


def _without_autapses(w_rec: Tensor) -> Tensor:
    return w_rec * (1 - torch.eye(w_rec.shape[-1], dtype=w_rec.dtype))
