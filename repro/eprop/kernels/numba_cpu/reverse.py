"""The way back through LIF and ALIF neurons by e-prop, with readout, feedback and gradients where these are wanted:
compiled by numba, one kernel. `repro.eprop.kernels.reference.local_reverse` has the recursion,
`repro.eprop.rules.signals` the feedback.

Arrays are time-major, [time, batch, neuron]. No learning signal is kept: what each step has of it is made from the
filtered error and used at once. An array without elements leaves its part out.
"""

from typing import Any, NamedTuple

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.forward import Events
from repro.eprop.kernels.numba_cpu.recursions import Array


class Signal(NamedTuple):
    """Where the learning signal comes from: dE/dz beside the readout, [time, batch, neuron] or the same at all times,
    [1, batch, neuron]; dE/dy [time, batch, readout]; and B [neuron, readout]."""

    by_z: Array
    by_y: Array
    feedback: Array


class Decays(NamedTuple):
    """Of the neurons and of the readout."""

    alpha: Any
    rho: Any
    kappa: Any
    gain: Any


class Gradients(NamedTuple):
    """What the kernel adds to, each [pre, post]; and delta [time, batch, neuron], which it fills."""

    w_in: Array
    w_rec: Array
    w_out: Array
    delta: Array


@compiled
def reverse(
    post: Array, signal: Signal, inputs: Events, spikes: Events, strength: Array, c: Decays, out: Gradients
) -> Array:  # pragma: no cover - compiled
    """Fills `out`, `post` being dz/dv and `strength` beta of all trials' neurons [batch * neuron], or of no elements;
    returns delta of the first step [batch, neuron]."""
    n_time, n_batch, n = post.shape
    onto = _in_pairs(signal.feedback)
    total, later, onward = np.zeros(n_batch * n, post.dtype), np.zeros(n_batch * n, post.dtype), np.zeros_like(strength)
    error = np.zeros((n_batch, len(onto)), post.dtype)
    delta = later.reshape(n_batch, n)
    for t in range(n_time - 1, -1, -1):
        if error.size:
            _filter(signal.by_y[t], error, c)
        if out.w_rec.size:  # delta is still that of the next step
            _add_spikes(delta, error, spikes, t * n_batch, out)
        total[:] = signal.by_z[min(t, len(signal.by_z) - 1)].reshape(-1)
        _project(error, onto, total.reshape(n_batch, n))
        _step(post[t].reshape(-1), total, strength, later, onward, c)
        if out.w_in.size:
            _add_inputs(delta, inputs, t * n_batch, out.w_in)
        if out.delta.size:
            out.delta[t] = delta
    return delta


@compiled
def _in_pairs(feedback: Array) -> Array:  # pragma: no cover - compiled
    """B transposed, with a row of zeros where the number of readouts is odd."""
    n, outs = feedback.shape
    onto = np.zeros((outs + outs % 2, n), feedback.dtype)
    for j in range(n):
        for o in range(outs):
            onto[o, j] = feedback[j, o]
    return onto


@compiled
def _filter(by_y: Array, error: Array, c: Decays) -> None:  # pragma: no cover - compiled
    """The reverse kappa filter (Eq. 45): advances error [batch, readout]."""
    for b in range(by_y.shape[0]):
        for o in range(by_y.shape[1]):
            error[b, o] = c.kappa * error[b, o] + c.gain * by_y[b, o]


@compiled
def _project(error: Array, onto: Array, total: Array) -> None:  # pragma: no cover - compiled
    """Adds B error to total [batch, neuron]; two readouts at a time, since a loop over few neurons costs as much."""
    for b in range(total.shape[0]):
        for o in range(0, onto.shape[0], 2):
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
