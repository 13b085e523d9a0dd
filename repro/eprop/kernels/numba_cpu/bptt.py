"""The recursion of BPTT compiled by numba; `repro.eprop.kernels.reference.bptt_reverse` has what it computes.

Arrays are time-major, [time, batch, neuron]. `beta` [neuron] may have no elements: then no threshold adapts. Recurrent
weights may have none either.
"""

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.few import dots, list_for, list_nonzero
from repro.eprop.kernels.numba_cpu.recursions import Array


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
    """Fills delta; `w_rec_t` is [1 or batch, pre, post], `direct` may have no elements, and `signal` may be the same at
    all times and in all trials, [1, 1, neuron].

    A neuron that cannot spike passes nothing on, so its row of the product is never needed.
    """
    n_time, n_batch, n = h.shape
    wanted = list_for(n)
    through, zero = np.zeros(wanted.size, h.dtype), h.dtype.type(0)
    later, onward = np.zeros((n_batch, n), h.dtype), np.zeros((n_batch, n), h.dtype)
    together = 1 if w_rec_t.shape[0] > 1 else max(n_batch, 1)  # a trial's own weights stay in the cache
    for first in range(0, n_batch, together):
        for t in range(n_time - 1, -1, -1):
            for b in range(first, first + together):
                slope, received = h[t, b], signal[min(t, signal.shape[0] - 1), min(b, signal.shape[1] - 1)]
                count = list_nonzero(slope, wanted)
                through[:] = zero
                if w_rec_t.size:
                    dots(w_rec_t[b % w_rec_t.shape[0]], later[b], wanted, count, through)
                for k in range(count):
                    i = wanted[k]
                    through[k] = slope[i] * (received[i] + onward[b, i] + through[k] - v_th * later[b, i])
                    if direct.size:
                        through[k] += direct[t, b, i]
                _advance(later[b], onward[b], through, wanted[:count], beta, alpha, rho)
                delta[t, b] = later[b]


@compiled
def _advance(
    later: Array, onward: Array, through: Array, wanted: Array, beta: Array, alpha: float, rho: float
) -> None:  # pragma: no cover - compiled
    """One step of the two filters of a trial, [neuron], which `through` enters where it is `wanted`."""
    later *= alpha
    for k in range(wanted.size):
        later[wanted[k]] += through[k]
    if beta.size:
        onward *= rho
        for k in range(wanted.size):
            onward[wanted[k]] -= beta[wanted[k]] * through[k]


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
