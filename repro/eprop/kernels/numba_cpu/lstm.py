"""One step of LSTM units, forward and in reverse, compiled by numba. `repro.eprop.kernels.reference` has what each
computes.

Loops over units are short, each with few arrays and constant indices of gates: so the compiler vectorizes them. The
arrays between them are rows, which stay in the nearest cache.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.recursions import Array

# tanh x = x P(x^2) / Q(x^2), within 4e-7 for float32 (Eigen's minimax fit); beyond EDGE it is 1 or -1.
EDGE = np.float32(7.90531110763549805)
P = tuple(
    np.float32(coefficient)
    for coefficient in (
        *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
        *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
    )
)
Q = tuple(
    np.float32(coefficient)
    for coefficient in (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent, in the precision of x; of float32 it vectorizes."""
    return math.tanh(x)


@overload(tanh)
def _tanh(x: Any) -> Callable[[Any], Any]:
    def by_c_library(x: Any) -> Any:
        return math.tanh(x)

    def rational(x: Any) -> Any:
        x = EDGE if x > EDGE else x
        x = -EDGE if x < -EDGE else x  # NaN stays NaN
        s = x * x
        p = (((((P[0] * s + P[1]) * s + P[2]) * s + P[3]) * s + P[4]) * s + P[5]) * s + P[6]
        q = ((Q[0] * s + Q[1]) * s + Q[2]) * s + Q[3]
        return x * p / q

    return rational if x == types.float32 else by_c_library


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
    signal: Array,
    d: Array,
    by_gate: Array,
    output: Array,
    direct: Array,
    own_cell: Array,
    d_cell: Array,
    d_current: Array,
) -> None:  # pragma: no cover - compiled
    """`d_current` is [batch, 4, unit]."""
    n_batch, n = signal.shape
    for b in range(n_batch):
        for j in range(n):
            d_cell[b, j] = signal[b, j] * output[b, j] + own_cell[b, j]
        for j in range(n):
            own_cell[b, j] = d_cell[b, j] * d[b, j]
        for gate in range(3):
            for j in range(n):
                d_current[b, gate, j] = d_cell[b, j] * by_gate[b, gate, j]
        for j in range(n):
            d_current[b, 3, j] = signal[b, j] * direct[b, j]
