"""The kernels as torch operators: compiled by numba on the CPU, plain torch elsewhere and where numba is missing."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from repro.kernels import fallback

compiled: Any = None
if os.environ.get("REPRO_NUMBA") != "0":
    with contextlib.suppress(ImportError):
        from repro.kernels import compiled

# Up to this many neurons, and from this many trials on, SIMD over trials beats SIMD over neurons.
FLAT_NEURONS, FLAT_BATCH = 64, 8
# Above this share of ones the dense product beats adding a row a spike (65 Hz at 1 ms).
DENSE_SPIKES = 0.065


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


def _flat(batch: int, n: int) -> bool:
    return n <= FLAT_NEURONS and batch >= FLAT_BATCH


def _inner(x: Tensor) -> Any:
    """[batch, time, neuron] -> the flat kernels' [time, neuron, batch], as an array."""
    return x.permute(1, 2, 0).contiguous().numpy()


def _outer(x: Any) -> Tensor:
    return torch.from_numpy(x).permute(2, 0, 1).contiguous()


@_operator("lif_forward")
def lif_forward(
    current: Tensor,
    w_rec: Tensor,
    v: Tensor,
    z: Tensor,
    refractory: Tensor,
    alpha: float,
    v_th: float,
    refractory_steps: int,
    dampening: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `repro.kernels.fallback.lif_forward`."""
    return fallback.lif_forward(current, w_rec, v, z, refractory, alpha, v_th, refractory_steps, dampening)


@_on_cpu(lif_forward)
def _lif_forward_cpu(
    current: Tensor,
    w_rec: Tensor,
    v: Tensor,
    z: Tensor,
    refractory: Tensor,
    alpha: float,
    v_th: float,
    refractory_steps: int,
    dampening: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    real = current.numpy().dtype.type
    numbers: Any = real(alpha), real(v_th), real(refractory_steps), real(dampening / v_th)
    if _flat(current.shape[0], current.shape[2]):
        drive = _inner(current)
        z_out, v_out, h_out = (torch.empty(drive.shape, dtype=current.dtype).numpy() for _ in range(3))
        state: Any = (s.T.contiguous().numpy() for s in (v, z, refractory))
        left = compiled.lif_forward_flat(drive, w_rec.contiguous().numpy(), *state, *numbers, z_out, v_out, h_out)
        return _outer(z_out), _outer(v_out), _outer(h_out), torch.from_numpy(left).T.contiguous()
    out = [torch.empty_like(current, memory_format=torch.contiguous_format) for _ in range(3)]
    left = compiled.lif_forward_event(
        current.contiguous().numpy(),
        w_rec.T.contiguous().numpy(),
        v.contiguous().numpy(),
        z.contiguous().numpy(),
        refractory.contiguous().numpy(),
        *numbers,
        *(x.numpy() for x in out),
    )
    return out[0], out[1], out[2], torch.from_numpy(left)


@_operator("local_reverse")
def local_reverse(post: Tensor, signal: Tensor, decay: float) -> Tensor:
    """See `repro.kernels.fallback.local_reverse`."""
    return fallback.local_reverse(post, signal, decay)


@_on_cpu(local_reverse)
def _local_reverse_cpu(post: Tensor, signal: Tensor, decay: float) -> Tensor:
    delta = torch.empty_like(post, memory_format=torch.contiguous_format)
    real = delta.numpy().dtype.type
    compiled.local_reverse(post.contiguous().numpy(), signal.contiguous().numpy(), real(decay), delta.numpy())
    return delta


@_operator("bptt_reverse")
def bptt_reverse(h: Tensor, signal: Tensor, w_rec: Tensor, alpha: float, v_th: float) -> Tensor:
    """See `repro.kernels.fallback.bptt_reverse`."""
    return fallback.bptt_reverse(h, signal, w_rec, alpha, v_th)


@_on_cpu(bptt_reverse)
def _bptt_reverse_cpu(h: Tensor, signal: Tensor, w_rec: Tensor, alpha: float, v_th: float) -> Tensor:
    real = h.numpy().dtype.type
    w_rec_t = w_rec.T.contiguous().numpy()
    if _flat(h.shape[0], h.shape[2]):
        inner = _inner(h)
        delta = torch.empty(inner.shape, dtype=h.dtype).numpy()
        compiled.bptt_reverse_flat(inner, _inner(signal), w_rec_t, real(alpha), real(v_th), delta)
        return _outer(delta)
    out = torch.empty_like(h, memory_format=torch.contiguous_format)
    compiled.bptt_reverse_event(
        h.contiguous().numpy(), signal.contiguous().numpy(), w_rec_t, real(alpha), real(v_th), out.numpy()
    )
    return out


@_operator("spike_outer")
def spike_outer(delta: Tensor, z: Tensor) -> Tensor:
    """See `repro.kernels.fallback.spike_outer`."""
    return fallback.spike_outer(delta, z)


@_on_cpu(spike_outer)
def _spike_outer_cpu(delta: Tensor, z: Tensor) -> Tensor:
    if _flat(delta.shape[0], delta.shape[2]) or z.sum() > DENSE_SPIKES * z.numel():
        return fallback.spike_outer(delta, z)
    gradient_t = torch.empty(z.shape[2], delta.shape[2], dtype=delta.dtype)
    compiled.spike_outer_event(delta.contiguous().numpy(), z.contiguous().numpy(), gradient_t.numpy())
    return gradient_t.T.contiguous()


@_operator("exponential_filter")
def exponential_filter(x: Tensor, decay: float, reverse: bool) -> Tensor:
    """See `repro.kernels.fallback.exponential_filter`; the one operator here that autograd can differentiate."""
    return fallback.exponential_filter(x, decay, reverse)


@_on_cpu(exponential_filter)
def _exponential_filter_cpu(x: Tensor, decay: float, reverse: bool) -> Tensor:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    compiled.exponential_filter(x.contiguous().numpy(), y.numpy().dtype.type(decay), reverse, y.numpy())
    return y


def _filter_setup(ctx: Any, inputs: tuple[Tensor, float, bool], output: Tensor) -> None:
    _, ctx.decay, ctx.reverse = inputs


def _filter_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return exponential_filter(grad, ctx.decay, not ctx.reverse), None, None


exponential_filter.register_autograd(_filter_backward, setup_context=_filter_setup)


def online_traces(
    h: Tensor,
    signal: Tensor,
    presynaptic: Tensor,
    trace: Tensor,
    filtered: Tensor,
    gradient: Tensor,
    summed: Tensor,
    alpha: float,
    kappa: float,
) -> None:
    """See `repro.kernels.fallback.online_traces`; works in place, so it is a function and no operator."""
    tensors = (h, signal, presynaptic, trace, filtered, gradient, summed)
    if compiled is None or h.device.type != "cpu":
        fallback.online_traces(*tensors, alpha, kappa)
        return
    real = h.numpy().dtype.type
    arrays: Any = (x.numpy() for x in tensors)
    compiled.online_traces(*arrays, real(alpha), real(kappa))
