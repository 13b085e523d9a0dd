"""The kernels in Triton, for CUDA; `repro.eprop.kernels.reference` has what each computes.

A whole sequence is one launch. The neurons of a trial are connected: a trial is one program, which holds its state
in registers; a filter has a program for each few cells, a cell being a trial's neuron. Of few neurons the recurrent
weights too stay on chip; of many they are read from the cache, and only the rows of neurons that spike or, backwards,
of those that could. Every sum has one order, so that two runs on one device are bit-identical. Inside, arrays are
[time, batch, neuron].
"""

from typing import Any  # in quotes below: Triton compiles what it reads, annotations too

import triton
import triton.language as tl

AHEAD = tl.constexpr(16)  # steps for which what is read is on its way


@triton.jit
def _write_list(wanted: "Any", cell: "Any", places: "Any") -> "Any":  # pragma: no cover - compiled
    """Write the wanted ones of `cell` to `places`, in order; returns their number."""
    one = wanted.to(tl.int32)
    tl.debug_barrier()  # all have read the last list
    tl.store(places + tl.cumsum(one, 0) - 1, cell, wanted)
    tl.debug_barrier()
    return tl.sum(one)


@triton.jit
def lif_forward(
    current: "Any",
    w_rec: "Any",
    beta: "Any",
    v_state: "Any",
    a_state: "Any",
    z_state: "Any",
    left_state: "Any",
    z_out: "Any",
    h_out: "Any",
    v_out: "Any",
    spiking: "Any",
    numbers: "Any",
    steps: tl.constexpr,
    n: tl.constexpr,
    N: tl.constexpr,
    ROWS: tl.constexpr,
    RECURRENT: tl.constexpr,
    PER_TRIAL: tl.constexpr,
    ADAPTS: tl.constexpr,
    KEEP_V: tl.constexpr,
) -> None:  # pragma: no cover - compiled
    """`w_rec` is [post, pre] on chip (ROWS = 0), else [pre, post], of each trial if PER_TRIAL; `spiking`
    [batch, neuron] lists who spikes."""
    alpha, rho, v_th = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    refractory_steps, scale = tl.load(numbers + 3), tl.load(numbers + 4)
    cell = tl.arange(0, N)
    inside, first = cell < n, tl.program_id(0).to(tl.int64) * n
    stride = tl.num_programs(0).to(tl.int64) * n
    if PER_TRIAL:
        w_rec += first * n
    v, a = tl.load(v_state + first + cell, inside, 0), tl.load(a_state + first + cell, inside, 0)
    z, left = tl.load(z_state + first + cell, inside, 0), tl.load(left_state + first + cell, inside, 0)
    threshold = tl.zeros_like(v) + v_th
    if ADAPTS:
        strength = tl.load(beta + cell, inside, 0)
    if RECURRENT and ROWS == 0:
        w = tl.load(w_rec + cell[:, None] * n + cell[None, :], inside[:, None] & inside[None, :], 0)
    for t in tl.range(0, steps, num_stages=AHEAD if ROWS == 0 else 1):
        at = t * stride + first + cell
        drive = tl.load(current + at, inside, 0)
        if RECURRENT and ROWS == 0:
            drive += tl.sum(w * z[None, :], axis=1)
        elif RECURRENT:
            count, begin = _write_list(z != 0, cell, spiking + first), 0
            while begin < count:
                k = begin + tl.arange(0, ROWS)
                pre = tl.load(spiking + first + k, k < count, 0)
                wanted = (k < count)[:, None] & inside[None, :]
                drive += tl.sum(tl.load(w_rec + pre[:, None] * n + cell[None, :], wanted, 0), axis=0)
                begin += ROWS
        v = alpha * v + drive - v_th * z
        if ADAPTS:
            a = rho * a + z
            threshold = v_th + strength * a
        left = tl.maximum(left + refractory_steps * z - 1, 0)
        free = (left == 0).to(v.dtype)
        z = free * (v > threshold).to(v.dtype)
        tl.store(z_out + at, z, inside)
        tl.store(h_out + at, free * scale * tl.maximum(1 - tl.abs((v - threshold) / v_th), 0), inside)
        if KEEP_V:
            tl.store(v_out + at, v, inside)
    tl.store(v_state + first + cell, v, inside)
    tl.store(a_state + first + cell, a, inside)
    tl.store(left_state + first + cell, left, inside)


@triton.jit
def bptt_reverse(
    h: "Any",
    signal: "Any",
    direct: "Any",
    w_rec: "Any",
    beta: "Any",
    delta: "Any",
    excitable: "Any",
    recurrent_sum: "Any",
    numbers: "Any",
    steps: tl.constexpr,
    n: tl.constexpr,
    N: tl.constexpr,
    ROWS: tl.constexpr,
    RECURRENT: tl.constexpr,
    PER_TRIAL: tl.constexpr,
    DIRECT: tl.constexpr,
    ADAPTS: tl.constexpr,
) -> None:  # pragma: no cover - compiled
    """`w_rec` as in `lif_forward`; `excitable` [batch, neuron] lists the neurons with h != 0, and `recurrent_sum`
    [batch, neuron] is, for these, the sum over post of w_rec times `later`. Rows of other neurons are not read."""
    alpha, rho, v_th = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    cell = tl.arange(0, N)
    inside, first = cell < n, tl.program_id(0).to(tl.int64) * n
    stride = tl.num_programs(0).to(tl.int64) * n
    if PER_TRIAL:
        w_rec += first * n
    later = tl.zeros([N], h.dtype.element_ty)
    onward = tl.zeros_like(later)
    if ADAPTS:
        strength = tl.load(beta + cell, inside, 0)
    if RECURRENT and ROWS == 0:
        w = tl.load(w_rec + cell[:, None] * n + cell[None, :], inside[:, None] & inside[None, :], 0)
    for step in tl.range(0, steps, num_stages=AHEAD if ROWS == 0 else 1):
        at = (steps - 1 - step) * stride + first + cell
        slope, back = tl.load(h + at, inside, 0), tl.load(signal + at, inside, 0) - v_th * later
        if ADAPTS:
            back += onward
        if RECURRENT and ROWS == 0:
            back += tl.sum(w * later[:, None], axis=0)
        elif RECURRENT:
            count, begin = _write_list(slope != 0, cell, excitable + first), 0
            while begin < count:
                k = begin + tl.arange(0, ROWS)
                pre = tl.load(excitable + first + k, k < count, 0)
                wanted = (k < count)[:, None] & inside[None, :]
                rows = tl.load(w_rec + pre[:, None] * n + cell[None, :], wanted, 0)
                tl.store(recurrent_sum + first + pre, tl.sum(rows * later[None, :], axis=1), k < count)
                begin += ROWS
            tl.debug_barrier()
            back += tl.load(recurrent_sum + first + cell, slope != 0, 0)
        through = slope * back
        if DIRECT:
            through += tl.load(direct + at, inside & (slope != 0), 0)
        later = alpha * later + through
        if ADAPTS:
            onward = rho * onward - strength * through
        tl.store(delta + at, later, inside)


@triton.jit
def local_reverse(
    post: "Any",
    signal: "Any",
    beta: "Any",
    delta: "Any",
    numbers: "Any",
    steps: tl.constexpr,
    n: tl.constexpr,
    cells: int,
    CELLS: tl.constexpr,
) -> None:  # pragma: no cover - compiled
    """`cells` are batch * n."""
    alpha, rho = tl.load(numbers), tl.load(numbers + 1)
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside, strength = cell < cells, tl.load(beta + cell % n)
    later = tl.zeros([CELLS], post.dtype.element_ty)
    onward = tl.zeros_like(later)
    for step in tl.range(0, steps, num_stages=AHEAD):
        at = (steps - 1 - step) * tl.cast(cells, tl.int64) + cell
        through = tl.load(post + at, inside, 0) * (tl.load(signal + at, inside, 0) + onward)
        later = alpha * later + through
        onward = rho * onward - strength * through
        tl.store(delta + at, later, inside)


@triton.jit
def exponential_filter(
    x: "Any", y: "Any", numbers: "Any", steps: tl.constexpr, cells: int, REVERSE: tl.constexpr, CELLS: tl.constexpr
) -> None:  # pragma: no cover - compiled
    """`cells` are batch * n."""
    decay = tl.load(numbers)
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside = cell < cells
    last = tl.zeros([CELLS], x.dtype.element_ty)
    for step in tl.range(0, steps, num_stages=AHEAD):
        t = steps - 1 - step if REVERSE else step
        at = t * tl.cast(cells, tl.int64) + cell
        last = decay * last + tl.load(x + at, inside, 0)
        tl.store(y + at, last, inside)


@triton.jit
def carry(
    vectors: "Any",
    keep: "Any",
    rows: "Any",
    pre: "Any",
    left: "Any",
    gradient: "Any",
    batch: tl.constexpr,
    n: tl.constexpr,
    n_pre: tl.constexpr,
    steps: tl.constexpr,
    GATES: tl.constexpr,
    PRE: tl.constexpr,
) -> None:  # pragma: no cover - compiled
    """One gate of one unit and some of its synapses: a program goes through all trials; gradient [gate, post, pre].
    `repro.eprop.kernels.eligibility_vectors` has the other shapes."""
    j, g = tl.program_id(0) // GATES, tl.program_id(0) % GATES
    i = tl.program_id(1) * PRE + tl.arange(0, PRE)
    inside = i < n_pre
    total = tl.zeros([PRE], vectors.dtype.element_ty)
    for b in range(batch):
        at = ((tl.cast(j, tl.int64) * batch + b) * GATES + g) * n_pre + i
        before = tl.load(vectors + at, inside, 0)
        total += tl.load(left + b * n + j) * before
        after = tl.load(keep + b * n + j) * before
        for t in tl.static_range(steps):
            row = tl.load(rows + ((t * batch + b) * GATES + g) * n + j)
            after += row * tl.load(pre + (t * batch + b) * n_pre + i, inside, 0)
        tl.store(vectors + at, after, inside)
    tl.store(gradient + (g * n + j) * n_pre + i, total, inside)
