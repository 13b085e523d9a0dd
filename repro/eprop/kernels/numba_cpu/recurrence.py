"""What BPTT's learning signal has beside that of e-prop, W_rec^T delta - v_th delta of the next step (Eq. 14), and B
times the error, in one product; compiled by numba.

It is made only where a neuron can spike: the learning signal is not needed elsewhere. This takes 85 us a step for 32
trials of 400 neurons of which half can spike, a library's product of all neurons 120 us (MKL and oneDNN alike, weights
packed once or not), and 100 us of those alone that can spike in any trial. A library would be faster where more than
some three quarters of the neurons can spike.
"""

from typing import NamedTuple

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.recursions import Array

TRIALS = 16  # whose rows lie in the nearest cache (32 kB) for 400 neurons


class Through(NamedTuple):
    """`beside` [batch, column]: delta of the next step and the error, side by side. `pull` [neuron, column]: what they
    count for a neuron, that is w_rec^T with -v_th on its diagonal, and B. Rows begin with a cache line: elsewhere a
    product takes half as long again."""

    beside: Array
    pull: Array


@compiled
def add_through_network(
    post: Array, real: Array, delta: Array, error: Array, net: Through, total: Array
) -> None:  # pragma: no cover - compiled
    """Adds pull (delta, error) to total [batch, neuron] where `post` [batch, neuron] is not zero, in the trials that
    are `real` [batch] at this step and not padding."""
    n_batch, n = post.shape
    for b in range(n_batch):
        for j in range(n):
            net.beside[b, j] = delta[b, j]
        for o in range(error.shape[1]):
            net.beside[b, n + o] = error[b, o]
    listed, count = np.empty((n, TRIALS), np.int64), np.empty(n, np.int64)
    for first in range(0, n_batch, TRIALS):
        _list_trials(post, real, first, listed, count)
        _add_products(net, listed, count, total)


@compiled
def _list_trials(
    post: Array, real: Array, first: int, listed: Array, count: Array
) -> None:  # pragma: no cover - compiled
    """Lists for each neuron the trials, of TRIALS from `first` on, in which it can spike."""
    count[:] = 0
    for b in range(first, min(first + TRIALS, post.shape[0])):
        if real[b]:
            for i in range(post.shape[1]):
                listed[i, count[i]] = b
                count[i] += post[b, i] != 0


@compiled
def _add_products(net: Through, listed: Array, count: Array, total: Array) -> None:  # pragma: no cover - compiled
    """Adds the products that are listed; four trials at a time, since a row of `pull` comes from farther away."""
    beside, zero = net.beside, net.beside.dtype.type(0)
    for i in range(len(net.pull)):
        w, trials, s = net.pull[i], listed[i], 0
        while s + 4 <= count[i]:
            b_0, b_1, b_2, b_3 = trials[s], trials[s + 1], trials[s + 2], trials[s + 3]
            x_0, x_1, x_2, x_3 = beside[b_0], beside[b_1], beside[b_2], beside[b_3]
            y_0 = y_1 = y_2 = y_3 = zero
            for k in range(len(w)):
                y_0 += w[k] * x_0[k]
                y_1 += w[k] * x_1[k]
                y_2 += w[k] * x_2[k]
                y_3 += w[k] * x_3[k]
            total[b_0, i] += y_0
            total[b_1, i] += y_1
            total[b_2, i] += y_2
            total[b_3, i] += y_3
            s += 4
        for b in trials[s : count[i]]:
            x_0, y_0 = beside[b], zero
            for k in range(len(w)):
                y_0 += w[k] * x_0[k]
            total[b, i] += y_0
