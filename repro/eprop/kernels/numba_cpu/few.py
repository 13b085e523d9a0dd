"""Products of a matrix with a vector of which few elements are needed, compiled by numba."""

import numpy as np

from repro.eprop.kernels.numba_cpu.compiled import compiled
from repro.eprop.kernels.numba_cpu.recursions import Array

TOGETHER = 4  # rows of weights that `dots` takes at a time


@compiled
def list_for(n: int) -> Array:  # pragma: no cover - compiled
    """An array that `list_nonzero` may fill, for a vector of n elements."""
    return np.zeros(n + TOGETHER, np.int64)


@compiled
def list_nonzero(x: Array, wanted: Array) -> int:  # pragma: no cover - compiled
    """List where the vector x is not zero; returns how often. The last one is repeated, for `dots`."""
    count = 0
    for i in range(x.size):
        wanted[count] = i
        count += x[i] != 0
    for k in range(count, count + TOGETHER):
        wanted[k] = wanted[max(count - 1, 0)]
    return count


@compiled
def dots(weights: Array, x: Array, wanted: Array, count: int, out: Array) -> None:  # pragma: no cover - compiled
    """Fills `out` with the products of x and those rows of `weights` that are `wanted`: `count` of them, and a few
    more. Four rows at a time share each element of x."""
    for k in range(0, count, TOGETHER):
        row_0, row_1 = weights[wanted[k]], weights[wanted[k + 1]]
        row_2, row_3 = weights[wanted[k + 2]], weights[wanted[k + 3]]
        sum_0 = sum_1 = sum_2 = sum_3 = x.dtype.type(0)
        for j in range(x.size):
            sum_0 += row_0[j] * x[j]
            sum_1 += row_1[j] * x[j]
            sum_2 += row_2[j] * x[j]
            sum_3 += row_3[j] * x[j]
        out[k], out[k + 1], out[k + 2], out[k + 3] = sum_0, sum_1, sum_2, sum_3
