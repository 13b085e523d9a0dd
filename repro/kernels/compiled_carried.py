"""`repro.kernels.carried` compiled by numba."""

from numba import njit

from repro.kernels.compiled import FAST, Array


@njit(cache=True, fastmath=FAST, error_model="numpy")
def carry(
    vectors: Array, keep: Array, rows: Array, pre: Array, left: Array, right: Array, gradient: Array
) -> None:  # pragma: no cover - compiled
    """vectors [post, batch, gate, pre], keep, left, right [post, batch], rows [post, batch, gate, step], pre
    [batch, step, pre]; adds to gradient [post, gate, pre]."""
    n_post, n_batch, n_gates, n_pre = vectors.shape
    n_steps = pre.shape[1]
    for j in range(n_post):
        for b in range(n_batch):
            decay, at_left, at_right = keep[j, b], left[j, b], right[j, b]
            for g in range(n_gates):
                for i in range(n_pre):
                    gradient[j, g, i] += at_left * vectors[j, b, g, i]
                    vectors[j, b, g, i] *= decay
                for t in range(n_steps):
                    row = rows[j, b, g, t]
                    for i in range(n_pre):
                        vectors[j, b, g, i] += row * pre[b, t, i]
                for i in range(n_pre):
                    gradient[j, g, i] -= at_right * vectors[j, b, g, i]
