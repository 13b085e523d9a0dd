"""Sparse products compiled by numba: with spikes as events, or with a result that is needed in few places; and
eligibility vectors that are carried from window to window. `repro.eprop.kernels.reference` has what each computes.

Arrays are time-major, [time, batch, neuron]; a row is one step of one trial. Where each trial has separate weights
the loop over trials is outside, so that these stay in the cache.
"""

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.few import dots, list_for, list_nonzero
from repro.eprop.kernels.numba_cpu.recursions import Array


@compiled
def event_linear(channel: Array, start: Array, weights_t: Array, current: Array) -> None:  # pragma: no cover - compiled
    """Fills current [row, post]; `weights_t` is [pre, post]."""
    for row in range(current.shape[0]):
        for j in range(current.shape[1]):
            current[row, j] = 0
        for k in range(start[row], start[row + 1]):
            i = channel[k]
            for j in range(current.shape[1]):
                current[row, j] += weights_t[i, j]


@compiled
def event_outer(delta: Array, channel: Array, start: Array, gradient_t: Array) -> None:  # pragma: no cover - compiled
    """Adds to `gradient_t` [pre, post]; delta is [row, post]."""
    for row in range(delta.shape[0]):
        for k in range(start[row], start[row + 1]):
            i = channel[k]
            for j in range(delta.shape[1]):
                gradient_t[i, j] += delta[row, j]


@compiled
def event_linear_each(
    channel: Array, start: Array, weights_t: Array, current: Array
) -> None:  # pragma: no cover - compiled
    """Fills current [time, batch, post]; `weights_t` is [batch, pre, post]."""
    n_time, n_batch, n = current.shape
    senders = (start.size - 1) // n_time
    for b in range(n_batch):
        for t in range(n_time):
            for j in range(n):
                current[t, b, j] = 0
            row = t * senders + b % senders
            for k in range(start[row], start[row + 1]):
                i = channel[k]
                for j in range(n):
                    current[t, b, j] += weights_t[b, i, j]


@compiled
def event_outer_each(
    delta: Array, channel: Array, start: Array, gradient_t: Array
) -> None:  # pragma: no cover - compiled
    """Adds to `gradient_t` [batch, pre, post]; delta is [time, batch, post]."""
    n_time, n_batch, n = delta.shape
    senders = (start.size - 1) // n_time
    for b in range(n_batch):
        for t in range(n_time):
            row = t * senders + b % senders
            for k in range(start[row], start[row + 1]):
                i = channel[k]
                for j in range(n):
                    gradient_t[b, i, j] += delta[t, b, j]


@compiled
def product_where(x: Array, where: Array, y: Array, weights_t: Array) -> None:  # pragma: no cover - compiled
    """Fills y [time, batch, post] with x [time, batch, pre] times `weights_t` [1 or batch, post, pre] where `where` is
    not zero, and with zero elsewhere. Where y and `where` are of one trial the products of all trials are summed."""
    n_time, n_batch, _ = x.shape
    wanted = list_for(y.shape[2])
    products = np.zeros(wanted.size, x.dtype)
    y[:] = 0
    for b in range(n_batch):
        weights, to = weights_t[b % weights_t.shape[0]], b % y.shape[1]
        for t in range(n_time):
            count = list_nonzero(where[t, to], wanted)
            dots(weights, x[t, b], wanted, count, products)
            for k in range(count):
                y[t, to, wanted[k]] += products[k]


@compiled
def carry(
    vectors: Array, keep: Array, rows: Array, pre: Array, left: Array, gradient: Array
) -> None:  # pragma: no cover - compiled
    """See `repro.eprop.kernels.eligibility_vectors`; adds to gradient [post, gate, pre]. Steps are a multiple of four,
    which are taken together: so a row of vectors passes through the registers once."""
    n_post, n_batch, n_gates, n_pre = vectors.shape
    for j in range(n_post):
        for b in range(n_batch):
            for g in range(n_gates):
                vector, total = vectors[j, b, g], gradient[j, g]
                decay, d_cell = keep[b, j], left[b, j]
                for t in range(0, pre.shape[0], 4):
                    x0, x1, x2, x3 = pre[t, b], pre[t + 1, b], pre[t + 2, b], pre[t + 3, b]
                    r0, r1, r2, r3 = rows[t, b, g, j], rows[t + 1, b, g, j], rows[t + 2, b, g, j], rows[t + 3, b, g, j]
                    for i in range(n_pre):
                        before = vector[i]
                        total[i] += d_cell * before
                        vector[i] = decay * before + r0 * x0[i] + r1 * x1[i] + r2 * x2[i] + r3 * x3[i]
                    decay, d_cell = vectors.dtype.type(1), vectors.dtype.type(0)
