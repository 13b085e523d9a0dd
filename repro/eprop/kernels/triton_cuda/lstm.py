"""A step of LSTM units, forward and in reverse, in Triton; `repro.eprop.kernels.reference` has what each computes.

A program has some cells, a cell being one unit of one sequence. Arrays lie in memory as they are indexed: [batch, unit]
or [batch, gate, unit]. tanh x is 2 sigmoid 2x - 1: Triton's interpreter has no tanh.
"""

from typing import Any  # in quotes below: Triton compiles what it reads, annotations too

import triton
import triton.language as tl


@triton.jit
def _sigmoid(x: "Any") -> "Any":  # pragma: no cover - compiled
    return 1 / (1 + tl.exp(-x))


@triton.jit
def lstm_step(
    currents: "Any",
    c_before: "Any",
    c: "Any",
    h: "Any",
    d: "Any",
    by_gate: "Any",
    output: "Any",
    direct: "Any",
    numbers: "Any",
    cells: int,
    n: tl.constexpr,
    SQUASH: tl.constexpr,
    CELLS: tl.constexpr,
) -> None:  # pragma: no cover - compiled
    """`cells` are batch * n."""
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside = cell < cells
    gates = currents + cell // n * 4 * n + cell % n
    i = _sigmoid(tl.load(gates, inside, 0))
    f = _sigmoid(tl.load(gates + n, inside, 0) + tl.load(numbers))
    candidate = 2 * _sigmoid(2 * tl.load(gates + 2 * n, inside, 0)) - 1
    o = _sigmoid(tl.load(gates + 3 * n, inside, 0))
    before = tl.load(c_before + cell, inside, 0)
    after = f * before + i * candidate  # Eq. 35
    seen, slope = after, o
    if SQUASH:
        seen = 2 * _sigmoid(2 * after) - 1
        slope = o * (1 - seen * seen)
    three = by_gate + cell // n * 3 * n + cell % n
    tl.store(c + cell, after, inside)
    tl.store(h + cell, o * seen, inside)
    tl.store(d + cell, f, inside)
    tl.store(three, candidate * i * (1 - i), inside)
    tl.store(three + n, before * f * (1 - f), inside)
    tl.store(three + 2 * n, i * (1 - candidate * candidate), inside)
    tl.store(output + cell, slope, inside)
    tl.store(direct + cell, seen * o * (1 - o), inside)


@triton.jit
def lstm_step_reverse(
    d_h: "Any",
    from_later: "Any",
    d: "Any",
    by_gate: "Any",
    output: "Any",
    direct: "Any",
    own_cell: "Any",
    d_cell: "Any",
    d_current: "Any",
    cells: int,
    n: tl.constexpr,
    LATER: tl.constexpr,
    CELLS: tl.constexpr,
) -> None:  # pragma: no cover - compiled
    """`cells` are batch * n; `from_later` is read if LATER."""
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside = cell < cells
    signal = tl.load(d_h + cell, inside, 0)
    if LATER:
        signal += tl.load(from_later + cell, inside, 0)
    at_cell = signal * tl.load(output + cell, inside, 0) + tl.load(own_cell + cell, inside, 0)
    three, four = by_gate + cell // n * 3 * n + cell % n, d_current + cell // n * 4 * n + cell % n
    tl.store(d_cell + cell, at_cell, inside)
    tl.store(own_cell + cell, at_cell * tl.load(d + cell, inside, 0), inside)
    for gate in tl.static_range(3):
        tl.store(four + gate * n, at_cell * tl.load(three + gate * n, inside, 0), inside)
    tl.store(four + 3 * n, signal * tl.load(direct + cell, inside, 0), inside)
