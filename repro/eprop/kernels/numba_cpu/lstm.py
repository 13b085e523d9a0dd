"""One step of LSTM units, forward and in reverse, compiled by numba. `repro.eprop.kernels.reference` has what each
computes.

Loops over units are short, each with few arrays and constant indices of gates: so the compiler vectorizes them. The
arrays between them are rows, which stay in the nearest cache.
"""

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.functions import tanh
from repro.eprop.kernels.numba_cpu.recursions import Array


@compiled
def lstm_step(
    squash: bool,
    half: float,
    forget_bias: float,
    gates: Array,
    c_before: Array,
    c: Array,
    h: Array,
    d: Array,
    by_gate: Array,
    output: Array,
    direct: Array,
) -> None:  # pragma: no cover - compiled
    """`gates` [batch, 4, unit] are the currents, and are overwritten; `half` is 1/2 in the precision of the arrays."""
    n_batch, n = c.shape
    one = half + half
    for b in range(n_batch):
        for j in range(n):  # sigmoid x = (1 + tanh x/2) / 2
            gates[b, 0, j] = half + half * tanh(half * gates[b, 0, j])
        for j in range(n):
            d[b, j] = half + half * tanh(half * (gates[b, 1, j] + forget_bias))
        for j in range(n):
            gates[b, 2, j] = tanh(gates[b, 2, j])
        for j in range(n):
            gates[b, 3, j] = half + half * tanh(half * gates[b, 3, j])
        for j in range(n):  # Eq. 35
            c[b, j] = d[b, j] * c_before[b, j] + gates[b, 0, j] * gates[b, 2, j]
        for j in range(n):
            by_gate[b, 0, j] = gates[b, 2, j] * gates[b, 0, j] * (one - gates[b, 0, j])
            by_gate[b, 2, j] = gates[b, 0, j] * (one - gates[b, 2, j] * gates[b, 2, j])
        for j in range(n):
            by_gate[b, 1, j] = c_before[b, j] * d[b, j] * (one - d[b, j])
        for j in range(n):
            o, seen = gates[b, 3, j], tanh(c[b, j]) if squash else c[b, j]
            h[b, j] = o * seen
            output[b, j] = o * (one - seen * seen) if squash else o
            direct[b, j] = o * seen * (one - o)


@compiled
def lstm_step_reverse(
    d_h: Array,
    from_later: Array | None,
    d: Array,
    by_gate: Array,
    output: Array,
    direct: Array,
    own_cell: Array,
    d_cell: Array,
    d_current: Array,
) -> None:  # pragma: no cover - compiled
    """The last gate's part of `d_current` [batch, 4, unit] has the signal first."""
    n_batch, n = d_h.shape
    for b in range(n_batch):
        for j in range(n):
            if from_later is None:
                d_current[b, 3, j] = d_h[b, j]
            else:
                d_current[b, 3, j] = d_h[b, j] + from_later[b, j]
        for j in range(n):
            d_cell[b, j] = d_current[b, 3, j] * output[b, j] + own_cell[b, j]
        for j in range(n):
            own_cell[b, j] = d_cell[b, j] * d[b, j]
        for gate in range(3):
            for j in range(n):
                d_current[b, gate, j] = d_cell[b, j] * by_gate[b, gate, j]
        for j in range(n):
            d_current[b, 3, j] *= direct[b, j]
