"""Recursions over time compiled by numba; `repro.eprop.kernels.reference` has what each computes.

Arrays are time-major, [time, batch, neuron], and the loops over batch and neuron are one: SIMD runs along neurons in a
large network and along trials in a large batch. A spike adds one row of the transposed weights, and nothing is done
for a neuron that is silent. `beta` [neuron] may have no elements: then no threshold adapts. Recurrent weights are of
all trials, [1, neuron, neuron], or of each, [batch, neuron, neuron], or have no elements.
"""

from typing import Any

import llvmlite.binding as llvm
import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled

# LLVM gives up vectorising a loop over more arrays than it likes to compare for overlap; ours never do.
llvm.set_option("", "-runtime-memory-check-threshold=128")

Array = np.ndarray[Any, Any]


@compiled
def bptt_reverse(
    h: Array,
    signal: Array,
    direct: Array,
    w_rec_t: Array,
    beta: Array,
    alpha: float,
    rho: float,
    v_th: float,
    delta: Array,
) -> None:  # pragma: no cover - compiled
    """Fills delta; `w_rec_t` is [..., pre, post], `direct` may have no elements.

    A neuron that cannot spike passes nothing on, so its row of the product is never needed.
    """
    n_time, n_batch, n = h.shape
    later, onward = np.zeros((n_batch, n), h.dtype), np.zeros((n_batch, n), h.dtype)
    through = np.zeros(n, h.dtype)
    strength = beta if beta.size else np.zeros(n, h.dtype)
    for b in range(n_batch):  # outside: a trial's own weights stay in the cache
        weight_set = b % max(w_rec_t.shape[0], 1)
        for t in range(n_time - 1, -1, -1):
            for i in range(n):
                through[i] = 0
                if h[t, b, i] != 0:
                    back = signal[t, b, i] + onward[b, i] - v_th * later[b, i]
                    if w_rec_t.size:
                        for j in range(n):
                            back += w_rec_t[weight_set, i, j] * later[b, j]
                    through[i] = h[t, b, i] * back
                    if direct.size:
                        through[i] += direct[t, b, i]
            for i in range(n):
                later[b, i] = alpha * later[b, i] + through[i]
                onward[b, i] = rho * onward[b, i] - strength[i] * through[i]
                delta[t, b, i] = later[b, i]


@compiled
def bptt_reverse_few(
    h: Array, signal: Array, w_rec: Array, beta: Array, alpha: float, rho: float, v_th: float, delta: Array
) -> None:  # pragma: no cover - compiled
    """Fills delta, as `bptt_reverse`, whole products at a time and SIMD along trials: [neuron, batch] inside.
    `through` holds the signal, then h dE/dz."""
    n_time, n_batch, n = h.shape
    later, onward = np.zeros((n, n_batch), h.dtype), np.zeros((n, n_batch), h.dtype)
    through, slope = np.empty((n, n_batch), h.dtype), np.empty((n, n_batch), h.dtype)
    back, strength = np.empty(n_batch, h.dtype), beta if beta.size else np.zeros(n, h.dtype)
    for t in range(n_time - 1, -1, -1):
        for b in range(n_batch):
            for i in range(n):
                through[i, b], slope[i, b] = signal[t, b, i], h[t, b, i]
        for i in range(n):
            for b in range(n_batch):
                back[b] = through[i, b] + onward[i, b] - v_th * later[i, b]
            if w_rec.size:
                for j in range(n):
                    w = w_rec[j, i]
                    for b in range(n_batch):
                        back[b] += w * later[j, b]
            for b in range(n_batch):
                through[i, b] = slope[i, b] * back[b]
        for i in range(n):
            for b in range(n_batch):
                later[i, b] = alpha * later[i, b] + through[i, b]
                onward[i, b] = rho * onward[i, b] - strength[i] * through[i, b]
        for b in range(n_batch):
            for i in range(n):
                delta[t, b, i] = later[i, b]


@compiled
def exponential_filter(x: Array, decay: float, reverse: bool, y: Array) -> None:  # pragma: no cover - compiled
    """Fills y [time, cell]; a cell is a trial's neuron."""
    n_time, cells = x.shape
    last = np.zeros(cells, x.dtype)
    for step in range(n_time):
        t = n_time - 1 - step if reverse else step
        for k in range(cells):
            last[k] = decay * last[k] + x[t, k]
            y[t, k] = last[k]


@compiled
def online_traces(
    h: Array,
    signal: Array,
    presynaptic: Array,
    beta: Array,
    trace: Array,
    adapted: Array,
    filtered: Array,
    gradient: Array,
    summed: Array,
    alpha: float,
    rho: float,
    kappa: float,
) -> None:  # pragma: no cover - compiled
    """Arrays are [batch, ...]; advances trace, adapted, filtered, gradient and summed in place.

    Where h is zero a neuron's traces are too, and what is carried on of them only decays. So its synapses are left
    alone until h is not: `late_kappa` and `late_rho` are the decays since then, `owed` is what the learning signals
    since then add to the gradient, in units of the filtered trace as it was.
    """
    n_batch, n_time, n_post = h.shape
    n_pre, one, zero = presynaptic.shape[2], h.dtype.type(1), h.dtype.type(0)
    late_kappa, late_rho, owed = np.empty(n_post, h.dtype), np.empty(n_post, h.dtype), np.empty(n_post, h.dtype)
    for b in range(n_batch):
        late_kappa[:], late_rho[:], owed[:] = one, one, zero
        for t in range(n_time):
            for i in range(n_pre):
                trace[b, i] = alpha * trace[b, i] + presynaptic[b, t, i]
            for j in range(n_post):
                hj, lj = h[b, t, j], signal[b, t, j]
                late_kappa[j] *= kappa
                if hj == 0:
                    owed[j] += lj * late_kappa[j]
                    late_rho[j] *= rho
                    continue
                strength = beta[j] if beta.size else zero
                for i in range(n_pre):
                    old = filtered[b, j, i]
                    e = hj * trace[b, i]
                    if strength != zero:
                        memory = late_rho[j] * adapted[b, j, i]
                        e -= hj * strength * memory
                        adapted[b, j, i] = rho * memory + e
                    filtered[b, j, i] = late_kappa[j] * old + e
                    gradient[j, i] += owed[j] * old + lj * filtered[b, j, i]
                    summed[b, j, i] += e
                late_kappa[j], late_rho[j], owed[j] = one, one, zero
        for j in range(n_post):
            for i in range(n_pre):
                gradient[j, i] += owed[j] * filtered[b, j, i]
                filtered[b, j, i] *= late_kappa[j]
                if adapted.size:
                    adapted[b, j, i] *= late_rho[j]
