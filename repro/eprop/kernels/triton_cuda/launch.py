"""The operators on CUDA: they hand tensors to the kernels. Imported only where Triton is."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from repro.eprop.kernels import reference
from repro.eprop.kernels.triton_cuda import kernels, lstm

FEW_NEURONS = 64  # up to which the recurrent weights fit into the registers of one program
TILE = 16384  # weights in flight at once where they do not
CELLS = 32  # of a program of a filter: one warp
UNITS = 256  # LSTM units of a program
SYNAPSES = 128  # of a program that carries eligibility vectors


@functools.cache  # never dropped: a recorded graph reads where the array lies
def _numbers(dtype: torch.dtype, device: torch.device, *values: float) -> Tensor:
    """Constants as an array: a number handed over as an argument would be cut to float32."""
    return torch.tensor(values, dtype=dtype, device=device)


def _inner(x: Tensor) -> Tensor:
    """[batch, time, neuron] -> [time, batch, neuron]; no copy where it lies so."""
    return x.transpose(0, 1).contiguous()


def _shape(n: int, recurrent: bool) -> dict[str, int]:
    """The smallest power of two for n neurons, how many rows of weights to read at once (0: all are on chip), warps."""
    wide = max(triton.next_power_of_2(n), 16)
    few = n <= FEW_NEURONS or not recurrent
    return {"N": wide, "ROWS": 0 if few else max(TILE // wide, 1), "num_warps": min(max(wide // 32, 1), 16)}


def lif_forward(
    current: Tensor,
    w_rec: Tensor,
    beta: Tensor,
    v: Tensor,
    a: Tensor,
    z: Tensor,
    refractory: Tensor,
    alpha: float,
    rho: float,
    v_th: float,
    refractory_steps: int,
    dampening: float,
    keep_v: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """See `repro.eprop.kernels.reference.lif_forward`; the spikes as events are not made."""
    drive, recurrent = _inner(current), w_rec.numel() > 0
    steps, batch, n = drive.shape
    z_out, h_out = torch.empty_like(drive), torch.empty_like(drive)
    v_out = torch.empty_like(drive) if keep_v else drive.new_empty(0)
    state = [x.clone(memory_format=torch.contiguous_format) for x in (v, a, z, refractory)]
    shape = _shape(n, recurrent)
    weights = (w_rec.mT if shape["ROWS"] else w_rec).contiguous()
    spiking = torch.empty(batch, n, dtype=torch.int32, device=drive.device)
    numbers = _numbers(drive.dtype, drive.device, alpha, rho, v_th, refractory_steps, dampening / v_th)
    arrays = drive, weights, beta.contiguous(), *state, z_out, h_out, v_out, spiking, numbers
    flags = {"RECURRENT": recurrent, "PER_TRIAL": w_rec.ndim == 3, "ADAPTS": beta.numel() > 0, "KEEP_V": keep_v}
    with torch.cuda.device_of(drive):
        kernels.lif_forward[(batch,)](*arrays, steps, n, **flags, **shape)
    none = torch.empty(0, dtype=torch.int64, device=drive.device)
    kept = v_out.transpose(0, 1) if keep_v else v_out
    return z_out.transpose(0, 1), h_out.transpose(0, 1), kept, state[0], state[1], state[3], none, none.clone()


def bptt_reverse(
    h: Tensor, signal: Tensor, direct: Tensor, w_rec: Tensor, beta: Tensor, alpha: float, rho: float, v_th: float
) -> Tensor:
    """See `repro.eprop.kernels.reference.bptt_reverse`."""
    slope, recurrent = _inner(h), w_rec.numel() > 0
    steps, batch, n = slope.shape
    delta, numbers = torch.empty_like(slope), _numbers(h.dtype, h.device, alpha, rho, v_th)
    shape = _shape(n, recurrent)
    weights = (w_rec.mT if shape["ROWS"] else w_rec).contiguous()
    excitable = torch.empty(batch, n, dtype=torch.int32, device=h.device)
    recurrent_sum = slope.new_empty(batch, n)
    direct_inner = _inner(direct) if direct.numel() else direct
    arrays = slope, _inner(signal), direct_inner, weights, beta.contiguous(), delta, excitable, recurrent_sum, numbers
    flags = {"RECURRENT": recurrent, "PER_TRIAL": w_rec.ndim == 3, "DIRECT": direct.numel() > 0}
    flags["ADAPTS"] = beta.numel() > 0
    with torch.cuda.device_of(h):
        kernels.bptt_reverse[(batch,)](*arrays, steps, n, **flags, **shape)
    return delta.transpose(0, 1)


def local_reverse(post: Tensor, signal: Tensor, beta: Tensor, alpha: float, rho: float) -> Tensor:
    """See `repro.eprop.kernels.reference.local_reverse`."""
    if not beta.numel():
        return exponential_filter(post * signal, alpha, reverse=True)
    slope = _inner(post)
    steps, batch, n = slope.shape
    delta, numbers = torch.empty_like(slope), _numbers(post.dtype, post.device, alpha, rho)
    arrays = slope, _inner(signal), beta.contiguous(), delta, numbers
    with torch.cuda.device_of(post):
        kernels.local_reverse[(triton.cdiv(batch * n, CELLS),)](*arrays, steps, n, batch * n, CELLS=CELLS, num_warps=1)
    return delta.transpose(0, 1)


def exponential_filter(x: Tensor, decay: float, reverse: bool) -> Tensor:
    """See `repro.eprop.kernels.reference.exponential_filter`."""
    inner = _inner(x)
    y, cells = torch.empty_like(inner), inner[0].numel()
    arrays = inner, y, _numbers(x.dtype, x.device, decay)
    with torch.cuda.device_of(x):
        grid = (triton.cdiv(cells, CELLS),)
        kernels.exponential_filter[grid](*arrays, len(inner), cells, REVERSE=reverse, CELLS=CELLS, num_warps=1)
    return y.transpose(0, 1)


filtered_product = functools.partial(reference.filtered_product, by=exponential_filter)
filtered_product_gradients = functools.partial(reference.filtered_product_gradients, by=exponential_filter)


def carry(vectors: Tensor, keep: Tensor, rows: Tensor, pre: Tensor, left: Tensor) -> Tensor:
    """See `repro.eprop.kernels.eligibility_vectors.carry`; `vectors` lie in memory as they are indexed."""
    n, batch, gates, n_pre = vectors.shape
    gradient = vectors.new_empty(gates, n, n_pre)
    arrays = vectors, *(x.contiguous() for x in (keep, rows, pre, left)), gradient
    with torch.cuda.device_of(vectors):
        grid = n * gates, triton.cdiv(n_pre, SYNAPSES)
        kernels.carry[grid](*arrays, batch, n, n_pre, len(rows), GATES=gates, PRE=SYNAPSES, num_warps=SYNAPSES // 32)
    return gradient


def lstm_step(neuron: Any, currents: Tensor, c: Tensor, *written: Tensor) -> None:
    """See `repro.eprop.kernels.reference.lstm_step`."""
    arrays = currents.contiguous(), c.contiguous(), *written, _numbers(c.dtype, c.device, neuron.forget_bias)
    with torch.cuda.device_of(c):
        grid = (triton.cdiv(c.numel(), UNITS),)
        lstm.lstm_step[grid](*arrays, c.numel(), c.shape[1], SQUASH=neuron.squash, CELLS=UNITS)


def lstm_step_reverse(
    d_h: Tensor,
    from_later: Tensor | None,
    jacobians: Sequence[Tensor],
    own_cell: Tensor,
    d_cell: Tensor,
    d_current: Tensor,
) -> None:
    """See `repro.eprop.kernels.reference.lstm_step_reverse`."""
    later = d_h if from_later is None else from_later
    arrays = (*(x.contiguous() for x in (d_h, later, *jacobians)), own_cell, d_cell, d_current)
    with torch.cuda.device_of(d_h):
        grid = (triton.cdiv(d_h.numel(), UNITS),)
        lstm.lstm_step_reverse[grid](*arrays, d_h.numel(), d_h.shape[1], LATER=from_later is not None, CELLS=UNITS)
