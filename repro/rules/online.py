"""e-prop 1 run forward in time, as a chip would (Eq. 2, 45, 48): memory constant in the length of the trial."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from repro.kernels.ops import online_traces
from repro.network import RecurrentNetwork
from repro.rules.rate import RateTerm
from repro.rules.rule import Gradients
from repro.rules.signals import BroadcastSignal

CHUNK = 50  # steps between two looks at the readout; changes nothing but the time it takes


class Online(NamedTuple):
    """What one trial gave: gradients by parameter name, spikes a neuron and trial, readout, spikes of a few neurons."""

    gradients: Gradients
    rates_hz: Tensor
    readout: Tensor
    spikes: Tensor


class _Synapses:
    """Traces of all synapses onto the network from one source (inputs, or the network itself)."""

    def __init__(self, batch: int, post: int, pre: int, like: Tensor) -> None:
        self.trace = like.new_zeros(batch, pre)
        self.filtered = like.new_zeros(batch, post, pre)
        self.gradient = like.new_zeros(post, pre)
        self.summed = like.new_zeros(batch, post, pre)

    def advance(self, h: Tensor, signal: Tensor, presynaptic: Tensor, alpha: float, kappa: float) -> None:
        arrays = (self.trace, self.filtered, self.gradient, self.summed)
        online_traces(h, signal, presynaptic.contiguous(), *arrays, alpha=alpha, kappa=kappa)

    def total(self, rate_signal: Tensor) -> Tensor:
        """The gradient with the rate term, whose learning signal [neuron] is known only after the last step."""
        return self.gradient + rate_signal[:, None] * self.summed.sum(dim=0)


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
) -> Online:
    """Gradients of one batch of trials, `inputs` [batch, time, input], in one pass forward in time.

    `error_of(readout, first_step)` gives dE/dy of a chunk [batch, steps, readout]; `weights` are the feedback weights
    [window, neuron, readout]; `shared_rates` averages the mean rates with those of other processes. The readout
    [batch, time, readout] and the spikes of the first `watch` neurons are returned for the record.
    """
    batch, time, _ = inputs.shape
    n, neuron, kappa, scale = network.n_rec, network.neuron, network.readout.kappa, network.readout.scale
    like = inputs.new_zeros(0, dtype=network.recurrent_weights().dtype)
    onto = {"w_in": _Synapses(batch, n, inputs.shape[2], like)}
    if network.w_rec is not None:
        onto["w_rec"] = _Synapses(batch, n, n, like)
    w_out_gradient, z_filtered = torch.zeros_like(network.w_out, dtype=like.dtype), like.new_zeros(batch, n)
    spikes, before, state = like.new_zeros(n), None, None
    # Made before the loop: small arrays left behind in it would fragment the heap, and memory would grow with time.
    readouts = like.new_empty(batch, time, network.w_out.shape[0])
    watched = like.new_empty(batch, time, min(watch, n))
    for start in range(0, time, CHUNK):
        chunk = inputs[:, start : start + CHUNK]
        last_z = like.new_zeros(batch, n) if state is None else state.z
        (z, _, h), state = network.simulate(chunk, state)
        readout = network.read_out(z, before)
        error = error_of(readout, start)
        heard = scale * signal.project(error, weights, network.w_out, start)
        sent = {"w_in": chunk.to(like.dtype), "w_rec": torch.cat([last_z[:, None], z[:, :-1]], dim=1)}
        for name, synapses in onto.items():
            synapses.advance(h, heard, sent[name], neuron.alpha, kappa)
        for t in range(z.shape[1]):  # Eq. 48
            z_filtered = kappa * z_filtered + scale * z[:, t]
            w_out_gradient += error[:, t].T @ z_filtered
        before = readout[:, -1]
        spikes += z.sum(dim=(0, 1))
        readouts[:, start : start + CHUNK] = readout
        watched[:, start : start + CHUNK] = z[:, :, :watch]
    rates = shared_rates(spikes / (batch * time) * (1000 / neuron.dt_ms))
    rate_signal = rate.signal(rates, batch * time)
    found = {name: synapses.total(rate_signal) for name, synapses in onto.items()}
    if "w_rec" in found:
        found["w_rec"].fill_diagonal_(0)
    return Online(found | {"w_out": w_out_gradient}, rates, readouts, watched)
