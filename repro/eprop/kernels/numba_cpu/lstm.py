"""One step of LSTM units, compiled by numba: all that is no exponential in one pass over memory."""

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.recursions import Array


@compiled
def lstm_step(
    squash: bool,
    gates: Array,
    c: Array,
    seen: Array,
    h: Array,
    d: Array,
    by_gate: Array,
    output: Array,
    direct: Array,
) -> None:  # pragma: no cover - compiled
    """Fills the output h and the Jacobians of `repro.eprop.neurons.lstm.LSTM.step`, from the `gates` [batch, 4 unit],
    the cell state c before the step, and what the output sees of that after it; each [batch, unit]."""
    n_batch, n = c.shape
    for b in range(n_batch):
        for j in range(n):
            i, f, candidate, o = gates[b, j], gates[b, n + j], gates[b, 2 * n + j], gates[b, 3 * n + j]
            s = seen[b, j]
            h[b, j] = o * s
            d[b, j] = f
            by_gate[b, 0, j] = candidate * i * (1 - i)
            by_gate[b, 1, j] = c[b, j] * f * (1 - f)
            by_gate[b, 2, j] = i * (1 - candidate * candidate)
            output[b, j] = o * (1 - s * s) if squash else o
            direct[b, j] = s * o * (1 - o)
