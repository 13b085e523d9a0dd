"""The kernels as torch operators: compiled by numba on the CPU, by Triton on CUDA; plain torch where one is missing."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from repro.kernels import fallback

compiled: Any = None
sparse: Any = None
if os.environ.get("REPRO_NUMBA") != "0":
    with contextlib.suppress(ImportError):
        from repro.kernels import compiled, sparse
gpu_ops: Any = None
if torch.cuda.is_available():
    with contextlib.suppress(ImportError):
        from repro.kernels import gpu_ops

# Up to so few neurons BPTT's products are dense.
FEW_NEURONS = 64


def _operator(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Define an operator `repro::name` whose implementation on any device is the fallback of that name."""

    def define(function: Callable[..., Any]) -> Any:
        return torch.library.custom_op(f"repro::{name}", function, mutates_args=())

    return define


def _on_cpu(operator: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a compiled version of an operator for the CPU, if there is a compiler."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if compiled is not None:
            operator.register_kernel("cpu")(function)
        return function

    return register


def _inner(x: Tensor) -> Any:
    """[batch, time, neuron] -> the compiled kernels' [time, batch, neuron], as an array; no copy where it lies so."""
    return x.transpose(0, 1).contiguous().numpy()


def _weights(w: Tensor) -> Any:
    """Weights of all trials or of each, as the array [1 or batch, neuron, neuron] that compiled kernels want."""
    return w.contiguous().view(-1, *w.shape[-2:]).numpy() if w.numel() else w.new_empty(0, 0, 0).numpy()


def series(like: Tensor, batch: int, steps: int, n: int) -> Tensor:
    """An empty [batch, time, neuron] that lies in memory as [time, batch, neuron], of the dtype of `like`."""
    return torch.empty(steps, batch, n, dtype=like.dtype).transpose(0, 1)


def _series(like: Tensor) -> Tensor:
    return series(like, *like.shape)


@_operator("lif_forward")
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
    """See `repro.kernels.fallback.lif_forward`. Returns z, h, v (of no elements unless kept), the last state v, a,
    refractory, and the spikes as `channel` and `start` of `repro.kernels.events` (of no elements where not made)."""
    state, none = (v, a, z, refractory), torch.empty(0, dtype=torch.int64, device=z.device)
    z, h, v, a, left = fallback.lif_forward(current, w_rec, beta, *state, alpha, rho, v_th, refractory_steps, dampening)
    return z, h, v if keep_v else v.new_empty(0), v[:, -1].clone(), a, left, none, none.clone()


@_on_cpu(lif_forward)
def _lif_forward_cpu(
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
    batch, steps, n = current.shape
    z_out, h_out = _series(current), _series(current)
    v_out = _series(current) if keep_v else current.new_empty(0, 0, 0)
    start = torch.empty(steps * batch + 1, dtype=torch.int64)
    channel = torch.empty(batch * n * (1 + steps // max(refractory_steps, 1)), dtype=torch.int64)  # what can be
    real = z_out.numpy().dtype.type
    state = [x.clone(memory_format=torch.contiguous_format) for x in (v, a, z, refractory)]
    numbers = (real(x) for x in (alpha, rho, v_th, refractory_steps, dampening / v_th))
    weights = _weights(w_rec.mT), beta.contiguous().numpy()
    out = (*map(_inner, (z_out, h_out, v_out)), channel.numpy(), start.numpy())
    events = compiled.lif_forward(_inner(current), *weights, *(x.numpy() for x in state), *numbers, *out)
    kept = v_out if keep_v else v_out.flatten()
    return z_out, h_out, kept, state[0], state[1], state[3], channel[:events].clone(), start


@_operator("local_reverse")
def local_reverse(post: Tensor, signal: Tensor, beta: Tensor, alpha: float, rho: float) -> Tensor:
    """See `repro.kernels.fallback.local_reverse`."""
    return fallback.local_reverse(post, signal, beta, alpha, rho)


@_on_cpu(local_reverse)
def _local_reverse_cpu(post: Tensor, signal: Tensor, beta: Tensor, alpha: float, rho: float) -> Tensor:
    delta = _series(post)
    real = delta.numpy().dtype.type
    arrays = _inner(post), _inner(signal), beta.contiguous().numpy()
    compiled.local_reverse(*arrays, real(alpha), real(rho), _inner(delta))
    return delta


@_operator("bptt_reverse")
def bptt_reverse(
    h: Tensor, signal: Tensor, direct: Tensor, w_rec: Tensor, beta: Tensor, alpha: float, rho: float, v_th: float
) -> Tensor:
    """See `repro.kernels.fallback.bptt_reverse`."""
    return fallback.bptt_reverse(h, signal, direct, w_rec, beta, alpha, rho, v_th)


@_on_cpu(bptt_reverse)
def _bptt_reverse_cpu(
    h: Tensor, signal: Tensor, direct: Tensor, w_rec: Tensor, beta: Tensor, alpha: float, rho: float, v_th: float
) -> Tensor:
    delta = _series(h)
    real = delta.numpy().dtype.type
    numbers, strength = (real(alpha), real(rho), real(v_th)), beta.contiguous().numpy()
    if h.shape[2] <= FEW_NEURONS and not direct.numel() and w_rec.ndim == 2:
        compiled.bptt_reverse_few(
            _inner(h), _inner(signal), w_rec.contiguous().numpy(), strength, *numbers, _inner(delta)
        )
    else:
        own = _inner(direct) if direct.numel() else direct.new_empty(0, 0, 0).numpy()
        arrays = _inner(h), _inner(signal), own, _weights(w_rec.mT), strength
        compiled.bptt_reverse(*arrays, *numbers, _inner(delta))
    return delta


def product_where(x: Tensor, weights: Tensor, where: Tensor) -> Tensor:
    """See `repro.kernels.events.times`; compiled, on a CPU."""
    y = series(x, x.shape[0], x.shape[1], weights.shape[-1])
    sparse.product_where(_inner(x), _weights(weights.mT), _inner(where), _inner(y))
    return y


@_operator("exponential_filter")
def exponential_filter(x: Tensor, decay: float, reverse: bool) -> Tensor:
    """See `repro.kernels.fallback.exponential_filter`; the one operator here that autograd can differentiate."""
    return fallback.exponential_filter(x, decay, reverse)


@_on_cpu(exponential_filter)
def _exponential_filter_cpu(x: Tensor, decay: float, reverse: bool) -> Tensor:
    y, steps = _series(x), x.shape[1]
    real = y.numpy().dtype.type
    compiled.exponential_filter(_inner(x).reshape(steps, -1), real(decay), reverse, _inner(y).reshape(steps, -1))
    return y


def _filter_setup(ctx: Any, inputs: tuple[Tensor, float, bool], output: Tensor) -> None:
    _, ctx.decay, ctx.reverse = inputs


def _filter_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return exponential_filter(grad, ctx.decay, not ctx.reverse), None, None


exponential_filter.register_autograd(_filter_backward, setup_context=_filter_setup)


if gpu_ops is not None:
    lif_forward.register_kernel("cuda")(gpu_ops.lif_forward)
    local_reverse.register_kernel("cuda")(gpu_ops.local_reverse)
    bptt_reverse.register_kernel("cuda")(gpu_ops.bptt_reverse)
    exponential_filter.register_kernel("cuda")(gpu_ops.exponential_filter)


def online_traces(
    h: Tensor,
    signal: Tensor,
    presynaptic: Tensor,
    beta: Tensor,
    trace: Tensor,
    adapted: Tensor,
    filtered: Tensor,
    gradient: Tensor,
    summed: Tensor,
    alpha: float,
    rho: float,
    kappa: float,
) -> None:
    """See `repro.kernels.fallback.online_traces`; works in place, so it is a function and no operator."""
    read = h, signal, presynaptic, beta
    written = trace, adapted, filtered, gradient, summed
    if compiled is None or h.device.type != "cpu":
        fallback.online_traces(*read, *written, alpha, rho, kappa)
        return
    real = h.numpy().dtype.type
    arrays: Any = (*(x.contiguous().numpy() for x in read), *(x.numpy() for x in written))
    compiled.online_traces(*arrays, real(alpha), real(rho), real(kappa))
