"""e-prop 1 run forward in time, as a chip would (Eq. 2, 45, 48): memory constant in the length of the trial."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels import dispatch
from repro.eprop.kernels.events import delayed
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from repro.eprop.neurons.neuron import Neuron, NeuronState, Trajectory
from repro.eprop.rules.rate import RateTerm
from repro.network import RecurrentNetwork
from repro.rules.rule import Gradients
from repro.rules.signals import BroadcastSignal

CHUNK = 50  # steps between two looks at the readout; changes nothing but the time it takes


class Online(NamedTuple):
    """What one trial gave: gradients by parameter name, spikes a neuron and trial, readout, spikes of a few neurons."""

    gradients: Gradients
    rates_hz: Tensor
    readout: Tensor
    spikes: Tensor


class Synapses(abc.ABC):
    """Traces of all synapses onto the network from one source (inputs, or the network itself).

    `gradient` [post, pre] is sum_t L^t e-bar^t so far (Eq. 45), `summed` [batch, post, pre] the sum of e.
    """

    def __init__(self, batch: int, post: int, pre: int, like: Tensor) -> None:
        self.filtered = like.new_zeros(batch, post, pre)
        self.gradient = like.new_zeros(post, pre)
        self.summed = like.new_zeros(batch, post, pre)

    @abc.abstractmethod
    def advance(self, trajectory: Trajectory, signal: Tensor, presynaptic: Tensor, kappa: float) -> None:
        """Go through one chunk: `signal` [batch, steps, post], not filtered, and `presynaptic` [batch, steps, pre],
        delayed where it is the network's."""

    def total(self, rate_signal: Tensor) -> Tensor:
        """The gradient with the rate term, whose learning signal [neuron] is known only after the last step."""
        return self.gradient + rate_signal[:, None] * self.summed.sum(dim=0)


class FusedSynapses(Synapses):
    """Onto LIF and ALIF neurons, by a kernel (Eq. 22, 27, 28)."""

    def __init__(self, batch: int, post: int, pre: int, like: Tensor, neuron: IntegrateAndFire) -> None:
        super().__init__(batch, post, pre, like)
        self.neuron, self.beta = neuron, neuron.adaptation(like.new_empty(post))
        self.trace = like.new_zeros(batch, pre)
        self.adapted = like.new_zeros(self.filtered.shape if self.beta.numel() else (batch, 0, 0))

    def advance(self, trajectory: Trajectory, signal: Tensor, presynaptic: Tensor, kappa: float) -> None:
        """See `Synapses.advance`."""
        written = self.trace, self.adapted, self.filtered, self.gradient, self.summed
        dispatch.of(signal).online_traces(
            trajectory.h, signal, presynaptic, self.beta, *written, self.neuron.alpha, self.neuron.rho, kappa
        )


class AnySynapses(Synapses):
    """Onto any neuron, from its local derivatives alone (Eq. 2, 3)."""

    def __init__(self, batch: int, post: int, pre: int, like: Tensor, neuron: Neuron) -> None:
        super().__init__(batch, post, pre, like)
        self.neuron = neuron
        self.vector = like.new_zeros(batch, post, pre, len(neuron.names))

    def advance(self, trajectory: Trajectory, signal: Tensor, presynaptic: Tensor, kappa: float) -> None:
        """See `Synapses.advance`."""
        local = self.neuron.local(trajectory)
        for t in range(signal.shape[1]):
            fresh = local.by_current[:, t, :, None] * presynaptic[:, t, None, :, None]
            self.vector = torch.einsum("bnij,bnpj->bnpi", local.d[:, t], self.vector) + fresh
            e = torch.einsum("bnj,bnpj->bnp", local.output[:, t], self.vector)
            self.filtered.mul_(kappa).add_(e)
            self.gradient.add_(torch.einsum("bj,bji->ji", signal[:, t], self.filtered))
            self.summed.add_(e)


def synapses_onto(neuron: Neuron, batch: int, post: int, pre: int, like: Tensor) -> Synapses:
    """The fastest traces that there are for a neuron."""
    if isinstance(neuron, IntegrateAndFire):
        return FusedSynapses(batch, post, pre, like, neuron)
    return AnySynapses(batch, post, pre, like, neuron)


@torch.no_grad()
def online_eprop(
    network: RecurrentNetwork,
    inputs: Tensor,
    error_of: Callable[[Tensor, int], Tensor],
    signal: BroadcastSignal,
    weights: Tensor,
    rate: RateTerm,
    watch: int = 20,
    shared_rates: Callable[[Tensor], Tensor] = lambda rates: rates,
    state: NeuronState | None = None,
) -> Online:
    """Gradients of one batch of trials, `inputs` [batch, time, input], in one pass forward in time.

    `error_of(readout, first_step)` gives dE/dy of a chunk [batch, steps, readout]; `weights` are the feedback weights
    [window, neuron, readout]; `shared_rates` averages the mean rates with those of other processes. The readout
    [batch, time, readout] and the spikes of the first `watch` neurons are returned for the record.
    """
    batch, time, _ = inputs.shape
    n, kappa, scale = network.n_rec, network.readout.kappa, network.readout.scale
    like = inputs.new_zeros(0, dtype=network.recurrent_weights().dtype)
    onto = {"w_in": synapses_onto(network.neuron, batch, n, inputs.shape[2], like)}
    if network.w_rec is not None:
        onto["w_rec"] = synapses_onto(network.neuron, batch, n, n, like)
    w_out_gradient, z_filtered = torch.zeros_like(network.w_out, dtype=like.dtype), like.new_zeros(batch, n)
    spikes, before, state = like.new_zeros(n), None, state or network.initial_state(batch)
    # Made before the loop: small arrays left behind in it would fragment the heap, and memory would grow with time.
    readouts = like.new_empty(batch, time, network.w_out.shape[0])
    watched = like.new_empty(batch, time, min(watch, n))
    for start in range(0, time, CHUNK):
        chunk = inputs[:, start : start + CHUNK]
        trajectory, state = network.simulate(chunk, state)
        z = trajectory.z
        readout = network.read_out(z, before)
        error = error_of(readout, start)
        heard = scale * signal.project(error, weights, network.w_out, start)
        sent = {"w_in": chunk.to(like.dtype), "w_rec": delayed(z, trajectory.before.z)}
        for name, synapses in onto.items():
            synapses.advance(trajectory, heard, sent[name], kappa)
        for t in range(z.shape[1]):  # Eq. 48
            z_filtered = kappa * z_filtered + scale * z[:, t]
            w_out_gradient += error[:, t].T @ z_filtered
        before = readout[:, -1]
        spikes += z.sum(dim=(0, 1))
        readouts[:, start : start + CHUNK] = readout
        watched[:, start : start + CHUNK] = z[:, :, :watch]
    rates = shared_rates(spikes / (batch * time) * (1000 / rate.dt_ms))
    rate_signal = rate.signal(rates, batch * time)
    found = {name: synapses.total(rate_signal) for name, synapses in onto.items()}
    if "w_rec" in found:
        found["w_rec"].fill_diagonal_(0)
    return Online(found | {"w_out": w_out_gradient}, rates, readouts, watched)
