"""LIF and ALIF neurons over a whole sequence, with their inputs and their readout where these are wanted: compiled by
numba, one kernel forward and one back. `repro.eprop.kernels.reference.lif_forward` and `.local_reverse` have what the
neurons compute, `repro.eprop.layers.readout` what the readout does.

Arrays are time-major, [time, batch, neuron]. What belongs to all neurons of a step runs along batch and neuron in one
loop; a spike adds one row of weights, or of a gradient. All weights and their gradients are [pre, post]. An array
without elements leaves its part out: inputs, recurrence, adaptation, readout.
"""

from typing import Any, NamedTuple

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.recursions import Array


class Events(NamedTuple):
    """Spikes of size one: `channel` [event] and `start` [time * batch + 1], as in `SpikeTrains`; and the trial of each
    event, which the forward pass fills: loops over the few events of a trial end where a processor does not expect
    it."""

    channel: Array
    trial: Array
    start: Array


class Weights(NamedTuple):
    """Of inputs, [pre, post]; of the layer, [1 or batch, pre, post]; of the readout, [neuron, readout]; and beta of all
    trials' neurons, [batch * neuron]."""

    w_in: Array
    w_rec: Array
    w_out: Array
    strength: Array


class State(NamedTuple):
    """Of the neurons, [batch * neuron], and of the readout, [batch, readout]; becomes that after the last step."""

    v: Array
    a: Array
    z: Array
    refractory: Array
    y: Array


class Constants(NamedTuple):
    """Of the neurons and of the readout; `slope` is the height of the pseudo-derivative."""

    alpha: Any
    rho: Any
    v_th: Any
    refractory_steps: Any
    slope: Any
    kappa: Any
    gain: Any


class Series(NamedTuple):
    """What the forward pass fills: z, h, and v and y or not, each time-major; and the spikes, as far as there are."""

    z: Array
    h: Array
    v: Array
    y: Array
    spikes: Events


@compiled
def forward(
    current: Array, inputs: Events, weights: Weights, state: State, c: Constants, out: Series
) -> int:  # pragma: no cover - compiled
    """Fills `out` from the inputs, given as events or as `current`, of which each row lasts for as many steps as there
    are to a row; returns the number of spikes."""
    n_time, n_batch, n = out.z.shape
    held = n_time // max(len(current), 1)
    drive, threshold = np.empty((n_batch, n), out.z.dtype), np.full(n_batch * n, c.v_th, out.z.dtype)
    trial, neuron = np.empty(n_batch * n + 1, np.int32), np.empty(n_batch * n + 1, np.int32)
    start, total = out.spikes.start, 0
    start[:] = 0
    count = _active(state.z, n, trial, neuron, start[:n_batch])
    start[:n_batch] = 0
    for t in range(n_time):
        if inputs.start.size:
            drive[:] = 0
            _add_inputs(drive, inputs, t * n_batch, weights.w_in)
        else:
            _copy(current[t // held].reshape(-1), drive.reshape(-1))
        if weights.w_rec.size:
            for s in range(count):
                b, i = trial[s], neuron[s]
                size, weight_set = state.z[b * n + i], b % weights.w_rec.shape[0]
                for j in range(n):
                    drive[b, j] += size * weights.w_rec[weight_set, i, j]
        _step(drive.reshape(-1), weights.strength, threshold, state, c, out.z[t].reshape(-1), out.h[t].reshape(-1))
        if out.v.size:
            out.v[t].reshape(-1)[:] = state.v
        count = _active(state.z, n, trial, neuron, start[t * n_batch + 1 : (t + 1) * n_batch + 1])
        for s in range(count):  # a copy of a slice costs more than the few spikes
            out.spikes.channel[total + s], out.spikes.trial[total + s] = neuron[s], trial[s]
        total += count
        if out.y.size:
            _read(count, trial, neuron, weights.w_out, state.y, c, out.y[t])
    for row in range(n_time * n_batch):
        start[row + 1] += start[row]
    return total


@compiled
def _copy(source: Array, target: Array) -> None:  # pragma: no cover - compiled
    """A loop over one axis, which numba makes faster code of than of an assignment of two."""
    for k in range(target.size):
        target[k] = source[k]


@compiled
def _add_inputs(drive: Array, inputs: Events, row: int, w_in: Array) -> None:  # pragma: no cover - compiled
    """Add the weights of the channels that spike to drive [batch, neuron]; `row` is the step's first. Fills the step's
    part of `inputs.trial`, and for now the place behind it."""
    first, stop, trial = inputs.start[row], inputs.start[row + drive.shape[0]], inputs.trial
    trial[first:stop] = 0
    for b in range(1, drive.shape[0]):
        trial[inputs.start[row + b]] += 1
    for s in range(first, stop):
        if s > first:
            trial[s] += trial[s - 1]
        b, i = trial[s], inputs.channel[s]
        for j in range(drive.shape[1]):
            drive[b, j] += w_in[i, j]


@compiled
def _step(
    drive: Array, strength: Array, threshold: Array, state: State, c: Constants, z_out: Array, h_out: Array
) -> None:  # pragma: no cover - compiled
    """Eq. 20, 21, 25, 26 for all neurons of a step; `threshold` stays v_th where `strength` has no elements."""
    v, a, z, refractory = state.v, state.a, state.z, state.refractory
    one, zero = v.dtype.type(1), v.dtype.type(0)
    for k in range(strength.size):
        a[k] = c.rho * a[k] + z[k]
        threshold[k] = c.v_th + strength[k] * a[k]
    for k in range(v.size):
        vk = c.alpha * v[k] + drive[k] - c.v_th * z[k]
        rk = max(refractory[k] + c.refractory_steps * z[k] - one, zero)
        free = one if rk == zero else zero
        v[k], refractory[k] = vk, rk
        z[k] = free if vk > threshold[k] else zero
        z_out[k] = z[k]
        h_out[k] = free * c.slope * max(zero, one - abs((vk - threshold[k]) / c.v_th))


@compiled
def _active(z: Array, n: int, trial: Array, neuron: Array, counts: Array) -> int:  # pragma: no cover - compiled
    """List the neurons of z [batch * neuron] that are not silent; returns their number, adds to `counts` [batch]."""
    count = 0
    for k in range(z.size):
        neuron[count] = k
        count += z[k] != 0
    for s in range(count):
        trial[s] = neuron[s] // n
        neuron[s] -= trial[s] * n
        counts[trial[s]] += 1
    return count


@compiled
def _read(
    count: int, trial: Array, neuron: Array, w_out: Array, y: Array, c: Constants, y_out: Array
) -> None:  # pragma: no cover - compiled
    """Eq. 41 for a step's spikes; y [batch, readout]."""
    for b in range(y.shape[0]):
        for o in range(y.shape[1]):
            y[b, o] *= c.kappa
    for s in range(count):
        for o in range(y.shape[1]):
            y[trial[s], o] += c.gain * w_out[neuron[s], o]
    for b in range(y.shape[0]):
        for o in range(y.shape[1]):
            y_out[b, o] = y[b, o]
