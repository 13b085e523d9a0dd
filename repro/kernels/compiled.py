"""The kernels compiled by numba, in two layouts; `repro.kernels.fallback` says what each computes.

*event*: one trial at a time, neurons side by side; a spike adds one row of the transposed weights, and nothing is done
for a silent neuron. For large networks and small batches. *flat*: neurons in turn, trials side by side; for small
networks and large batches. Arrays are [batch, time, neuron] outside and [time, neuron, batch] inside the flat ones.
"""

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]
# NaN and infinity keep their meaning: no "nnan", no "ninf".
FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, fastmath=FAST, error_model="numpy")
def lif_forward_event(
    current: Array,
    w_rec_t: Array,
    v0: Array,
    z0: Array,
    r0: Array,
    alpha: float,
    v_th: float,
    refractory_steps: float,
    scale: float,
    z: Array,
    v: Array,
    h: Array,
) -> Array:  # pragma: no cover - compiled
    """A spike adds one row of `w_rec_t` [pre, post]; fills z, v, h and returns the refractory counters."""
    n_batch, n_time, n = current.shape
    one, zero = current.dtype.type(1), current.dtype.type(0)
    left = r0.copy()
    drive = np.empty(n, current.dtype)
    active = np.empty(n, np.int64)
    for b in range(n_batch):
        vb, zb, rb = v0[b].copy(), z0[b].copy(), left[b]
        for t in range(n_time):
            drive[:] = current[b, t]
            if w_rec_t.size:
                count = 0
                for i in range(n):
                    if zb[i] != zero:
                        active[count] = i
                        count += 1
                for k in range(count):
                    row = w_rec_t[active[k]]
                    for j in range(n):
                        drive[j] += row[j]
            zt, vt, ht = z[b, t], v[b, t], h[b, t]
            for j in range(n):
                vj = alpha * vb[j] + drive[j] - v_th * zb[j]
                rj = max(rb[j] + refractory_steps * zb[j] - one, zero)
                free = one if rj == zero else zero
                zj = free if vj > v_th else zero
                vb[j], rb[j], zb[j] = vj, rj, zj
                vt[j], zt[j] = vj, zj
                ht[j] = free * scale * max(zero, one - abs((vj - v_th) / v_th))
    return left


@njit(cache=True, fastmath=FAST, error_model="numpy")
def lif_forward_flat(
    current: Array,
    w_rec: Array,
    v0: Array,
    z0: Array,
    r0: Array,
    alpha: float,
    v_th: float,
    refractory_steps: float,
    scale: float,
    z: Array,
    v: Array,
    h: Array,
) -> Array:  # pragma: no cover - compiled
    """Arrays are [time, neuron, batch]; fills z, v, h and returns the refractory counters [neuron, batch]."""
    n_time, n, n_batch = current.shape
    one, zero = current.dtype.type(1), current.dtype.type(0)
    vb, left = v0.copy(), r0.copy()
    drive = np.empty(n_batch, current.dtype)
    for t in range(n_time):
        before = z[t - 1] if t else z0
        for j in range(n):
            drive[:] = current[t, j]
            if w_rec.size:
                for i in range(n):
                    w = w_rec[j, i]
                    for b in range(n_batch):
                        drive[b] += w * before[i, b]
            for b in range(n_batch):
                vj = alpha * vb[j, b] + drive[b] - v_th * before[j, b]
                rj = max(left[j, b] + refractory_steps * before[j, b] - one, zero)
                free = one if rj == zero else zero
                vb[j, b], left[j, b] = vj, rj
                v[t, j, b] = vj
                z[t, j, b] = free if vj > v_th else zero
                h[t, j, b] = free * scale * max(zero, one - abs((vj - v_th) / v_th))
    return left


@njit(cache=True, fastmath=FAST, error_model="numpy")
def local_reverse(post: Array, signal: Array, decay: float, delta: Array) -> None:  # pragma: no cover - compiled
    """Fills delta [batch, time, neuron]."""
    n_batch, n_time, n = post.shape
    later = np.empty(n, post.dtype)
    for b in range(n_batch):
        later[:] = 0
        for t in range(n_time - 1, -1, -1):
            for j in range(n):
                later[j] = decay * later[j] + post[b, t, j] * signal[b, t, j]
                delta[b, t, j] = later[j]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def bptt_reverse_event(
    h: Array, signal: Array, w_rec_t: Array, alpha: float, v_th: float, delta: Array
) -> None:  # pragma: no cover - compiled
    """Fills delta [batch, time, neuron]; `w_rec_t` is [pre, post]."""
    n_batch, n_time, n = h.shape
    later, total = np.empty(n, h.dtype), np.empty(n, h.dtype)
    for b in range(n_batch):
        later[:] = 0
        for t in range(n_time - 1, -1, -1):
            for i in range(n):
                total[i] = 0
                # A neuron that cannot spike passes nothing on, so its row of the product is never needed.
                if h[b, t, i] != 0:
                    back = signal[b, t, i] - v_th * later[i]
                    if w_rec_t.size:
                        row = w_rec_t[i]
                        for j in range(n):
                            back += row[j] * later[j]
                    total[i] = back
            for i in range(n):
                later[i] = h[b, t, i] * total[i] + alpha * later[i]
                delta[b, t, i] = later[i]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def bptt_reverse_flat(
    h: Array, signal: Array, w_rec_t: Array, alpha: float, v_th: float, delta: Array
) -> None:  # pragma: no cover - compiled
    """Fills delta [time, neuron, batch]; `w_rec_t` is [pre, post]."""
    n_time, n, n_batch = h.shape
    later = np.zeros((n, n_batch), h.dtype)
    back = np.empty(n_batch, h.dtype)
    for t in range(n_time - 1, -1, -1):
        for i in range(n):
            for b in range(n_batch):
                back[b] = signal[t, i, b] - v_th * later[i, b]
            if w_rec_t.size:
                for j in range(n):
                    w = w_rec_t[i, j]
                    for b in range(n_batch):
                        back[b] += w * later[j, b]
            for b in range(n_batch):
                delta[t, i, b] = h[t, i, b] * back[b] + alpha * later[i, b]
        later[:] = delta[t]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def spike_outer_event(delta: Array, z: Array, gradient_t: Array) -> None:  # pragma: no cover - compiled
    """Adds to `gradient_t` [pre, post]."""
    n_batch, n_time, n = delta.shape
    n_pre = z.shape[2]
    end = np.zeros(n_pre + 1, np.int64)
    for b in range(n_batch):
        for t in range(n_time - 1):
            for i in range(n_pre):
                end[i + 1] += z[b, t, i] != 0
    end = np.cumsum(end)
    # Spikes sorted by neuron: its row of the gradient is then summed up within the nearest cache.
    rows, place = np.empty(end[-1], np.int64), end.copy()
    for b in range(n_batch):
        for t in range(n_time - 1):
            for i in range(n_pre):
                if z[b, t, i] != 0:
                    rows[place[i]] = b * n_time + t + 1
                    place[i] += 1
    by_step, sent = delta.reshape(n_batch * n_time, n), z.reshape(n_batch * n_time, n_pre)
    for i in range(n_pre):
        out = gradient_t[i]
        out[:] = 0
        for k in range(end[i], end[i + 1]):
            row, size = by_step[rows[k]], sent[rows[k] - 1, i]
            for j in range(n):
                out[j] += size * row[j]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def exponential_filter(x: Array, decay: float, reverse: bool, y: Array) -> None:  # pragma: no cover - compiled
    """Fills y [batch, time, neuron]."""
    n_batch, n_time, n = x.shape
    last = np.empty(n, x.dtype)
    for b in range(n_batch):
        last[:] = 0
        for k in range(n_time):
            t = n_time - 1 - k if reverse else k
            for j in range(n):
                last[j] = decay * last[j] + x[b, t, j]
                y[b, t, j] = last[j]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def online_traces(
    h: Array,
    signal: Array,
    presynaptic: Array,
    trace: Array,
    filtered: Array,
    gradient: Array,
    summed: Array,
    alpha: float,
    kappa: float,
) -> None:  # pragma: no cover - compiled
    """Advances trace, filtered, gradient and summed in place."""
    n_batch, n_time, n_post = h.shape
    n_pre = presynaptic.shape[2]
    for b in range(n_batch):
        for t in range(n_time):
            for i in range(n_pre):
                trace[b, i] = alpha * trace[b, i] + presynaptic[b, t, i]
            for j in range(n_post):
                hj, lj = h[b, t, j], signal[b, t, j]
                bar, g, s = filtered[b, j], gradient[j], summed[b, j]
                if hj == 0:  # the trace itself is zero: only its filtered copy decays
                    for i in range(n_pre):
                        bar[i] *= kappa
                        g[i] += lj * bar[i]
                else:
                    for i in range(n_pre):
                        e = hj * trace[b, i]
                        bar[i] = kappa * bar[i] + e
                        g[i] += lj * bar[i]
                        s[i] += e
