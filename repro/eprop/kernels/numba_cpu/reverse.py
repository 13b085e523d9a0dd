"""The way back through LIF and ALIF neurons by e-prop or BPTT, with readout, feedback and gradients where these are
wanted: compiled by numba, one kernel. `repro.eprop.kernels.reference.local_reverse` has the recursion of e-prop and
`.bptt_reverse` that of BPTT, `repro.eprop.rules.signals` the feedback.

Arrays are time-major, [time, batch, neuron]. No learning signal is kept: what each step has of it is made from the
filtered error and used at once. An array without elements leaves its part out.
"""

from typing import Any, NamedTuple

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.forward import Events
from repro.eprop.kernels.numba_cpu.recurrence import Through, add_through_network
from repro.eprop.kernels.numba_cpu.recursions import Array


class Signal(NamedTuple):
    """Where the learning signal comes from: dE/dz beside the readout, [time, batch, neuron] or the same at all times,
    [1, batch, neuron]; dE/dy [time, batch, readout], or of frames, each of which lasts for as many steps as there are
    to one; B transposed, with a row of zeros where the number of readouts is odd; and the `lengths` [batch]."""

    by_z: Array
    by_y: Array
    onto: Array
    lengths: Array


class Decays(NamedTuple):
    """Of the neurons and of the readout."""

    alpha: Any
    rho: Any
    kappa: Any
    gain: Any


class Scratch(NamedTuple):
    """The learning signal, delta and b of the present step, [batch, neuron] each; zeros at first. These are made by
    torch: an array that begins anywhere in a cache line makes a product half as fast."""

    total: Array
    later: Array
    onward: Array


class Gradients(NamedTuple):
    """What the kernel adds to, each [pre, post]; and delta [time, batch, neuron], which it fills, or its sums over
    frames."""

    w_in: Array
    w_rec: Array
    w_out: Array
    delta: Array


@compiled
def reverse(
    post: Array,
    signal: Signal,
    inputs: Events,
    spikes: Events,
    strength: Array,
    c: Decays,
    scratch: Scratch,
    net: Through,
    out: Gradients,
) -> None:  # pragma: no cover - compiled
    """Fills `out`, and leaves delta of the first step in `scratch.later`; `post` is dz/dv, `strength` beta of all
    trials' neurons [batch * neuron], or of no elements. With a `net` it is BPTT."""
    n_time, n_batch, _ = post.shape
    total, delta = scratch.total, scratch.later
    error = np.zeros((n_batch, len(signal.onto)), post.dtype)
    real = np.ones(n_batch, np.bool_)
    held_y, held_x = n_time // max(len(signal.by_y), 1), n_time // max(len(out.delta), 1)
    for t in range(n_time - 1, -1, -1):
        if error.size:
            _filter(signal.by_y[t // held_y], error, c)
        if out.w_rec.size:  # delta is still that of the next step
            _add_spikes(delta, error, spikes, t * n_batch, out)
        for b in range(len(signal.lengths)):
            real[b] = t < signal.lengths[b]
        _begin(signal.by_z[min(t, len(signal.by_z) - 1)], real, total)
        if net.pull.size:
            add_through_network(post[t], real, delta, error, net, total)
        else:
            _project(error, signal.onto, total)
        _step(post[t].reshape(-1), total.reshape(-1), strength, delta.reshape(-1), scratch.onward.reshape(-1), c)
        if out.w_in.size:
            _add_inputs(delta, inputs, t * n_batch, out.w_in)
        if out.delta.size:
            _sum_up(delta.reshape(-1), (t + 1) % held_x == 0, out.delta[t // held_x].reshape(-1))


@compiled
def _filter(by_y: Array, error: Array, c: Decays) -> None:  # pragma: no cover - compiled
    """The reverse kappa filter (Eq. 45): advances error [batch, readout]."""
    for b in range(by_y.shape[0]):
        for o in range(by_y.shape[1]):
            error[b, o] = c.kappa * error[b, o] + c.gain * by_y[b, o]


@compiled
def _begin(by_z: Array, real: Array, total: Array) -> None:  # pragma: no cover - compiled
    """The learning signal without the readout's: by_z, and zero in padding."""
    for b in range(total.shape[0]):
        for j in range(total.shape[1]):
            total[b, j] = by_z[b, j] if real[b] else 0


@compiled
def _sum_up(delta: Array, begins: bool, out: Array) -> None:  # pragma: no cover - compiled
    """Adds delta to the sum of a frame, which `begins` with it or not."""
    if begins:
        for k in range(out.size):
            out[k] = delta[k]
    else:
        for k in range(out.size):
            out[k] += delta[k]


@compiled
def _project(error: Array, onto: Array, total: Array) -> None:  # pragma: no cover - compiled
    """Adds B error to total [batch, neuron]; eight readouts at a time, then two, since a loop over few neurons costs as
    much."""
    eights = onto.shape[0] // 8 * 8
    for o in range(0, eights, 8):
        w_0, w_1, w_2, w_3, w_4, w_5, w_6, w_7 = (
            *(onto[o], onto[o + 1], onto[o + 2], onto[o + 3]),
            *(onto[o + 4], onto[o + 5], onto[o + 6], onto[o + 7]),
        )
        for b in range(total.shape[0]):
            y, e = total[b], error[b, o : o + 8]
            e_0, e_1, e_2, e_3, e_4, e_5, e_6, e_7 = e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7]
            for j in range(total.shape[1]):
                y[j] += e_0 * w_0[j] + e_1 * w_1[j] + e_2 * w_2[j] + e_3 * w_3[j]
                y[j] += e_4 * w_4[j] + e_5 * w_5[j] + e_6 * w_6[j] + e_7 * w_7[j]
    for b in range(total.shape[0]):
        for o in range(eights, onto.shape[0], 2):
            e_0, e_1 = error[b, o], error[b, o + 1]
            for j in range(total.shape[1]):
                total[b, j] += e_0 * onto[o, j] + e_1 * onto[o + 1, j]


@compiled
def _step(
    post: Array, total: Array, strength: Array, later: Array, onward: Array, c: Decays
) -> None:  # pragma: no cover - compiled
    """The recursion of `local_reverse` for all neurons of a step; `later` is delta."""
    if strength.size:
        for k in range(post.size):
            through = post[k] * (total[k] + onward[k])
            later[k] = c.alpha * later[k] + through
            onward[k] = c.rho * onward[k] - strength[k] * through
    else:
        for k in range(post.size):
            later[k] = c.alpha * later[k] + post[k] * total[k]


@compiled
def _add_spikes(
    delta: Array, error: Array, spikes: Events, row: int, out: Gradients
) -> None:  # pragma: no cover - compiled
    """What a step's spikes add to the gradients of w_rec and w_out; delta is that of the next step."""
    for s in range(spikes.start[row], spikes.start[row + delta.shape[0]]):
        i, b = spikes.channel[s], spikes.trial[s]
        for j in range(delta.shape[1]):
            out.w_rec[i, j] += delta[b, j]
        for o in range(out.w_out.shape[1]):
            out.w_out[i, o] += error[b, o]


@compiled
def _add_inputs(delta: Array, inputs: Events, row: int, w_in: Array) -> None:  # pragma: no cover - compiled
    """What a step's input spikes add to the gradient of w_in."""
    for s in range(inputs.start[row], inputs.start[row + delta.shape[0]]):
        i, b = inputs.channel[s], inputs.trial[s]
        for j in range(delta.shape[1]):
            w_in[i, j] += delta[b, j]
