"""Recursions over time compiled by numba; `repro.eprop.kernels.reference` has what each computes.

Arrays are time-major, [time, batch, neuron]. `beta` [neuron] may have no elements: then no threshold adapts.
"""

from typing import Any

import llvmlite.binding as llvm
import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled

# LLVM gives up vectorising a loop over more arrays than it likes to compare for overlap; ours never do.
llvm.set_option("", "-runtime-memory-check-threshold=128")

Array = np.ndarray[Any, Any]


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
def filtered_product(h: Array, signal: Array, decay: float, y: Array) -> None:  # pragma: no cover - compiled
    """Fills y; h may be of one trial."""
    n_time, n_batch, n = signal.shape
    last = np.zeros((n_batch, n), h.dtype)
    for t in range(n_time - 1, -1, -1):
        for b in range(n_batch):
            slope = h[t, b % h.shape[1]]
            for j in range(n):
                last[b, j] = decay * last[b, j] + slope[j] * signal[t, b, j]
                y[t, b, j] = last[b, j]


@compiled
def filtered_product_gradients(
    by_y: Array, h: Array, signal: Array, decay: float, by_h: Array, by_signal: Array
) -> None:  # pragma: no cover - compiled
    """Fills by_signal and adds to by_h, which like h may be of one trial."""
    n_time, n_batch, n = signal.shape
    last = np.zeros((n_batch, n), h.dtype)
    for t in range(n_time):
        for b in range(n_batch):
            slope, by_slope = h[t, b % h.shape[1]], by_h[t, b % h.shape[1]]
            for j in range(n):
                last[b, j] = decay * last[b, j] + by_y[t, b, j]
                by_slope[j] += last[b, j] * signal[t, b, j]
                by_signal[t, b, j] = last[b, j] * slope[j]


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
