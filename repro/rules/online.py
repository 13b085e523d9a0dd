"""e-prop 1 run forward in time, as a chip would (Eq. 2, 45, 48): memory constant in the length of the trial."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from repro.eprop.kernels.events import delayed
from repro.eprop.neurons.neuron import NeuronState
from repro.eprop.rules.rate import RateTerm
from repro.eprop.rules.synapses import synapses_onto
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
