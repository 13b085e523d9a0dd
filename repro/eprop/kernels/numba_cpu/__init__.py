"""The operators of `repro.eprop.kernels.reference`, compiled by numba for the CPU: tensors in, tensors out.

Kernels work on arrays that lie in memory as [time, batch, neuron].
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.eprop.kernels.dispatch import FEW_NEURONS
from repro.eprop.kernels.events import series
from repro.eprop.kernels.numba_cpu import bptt as _bptt
from repro.eprop.kernels.numba_cpu import events as _events
from repro.eprop.kernels.numba_cpu import lstm as _lstm
from repro.eprop.kernels.numba_cpu import recursions as _recursions
from repro.eprop.kernels.numba_cpu import softmax as _softmax
from repro.eprop.kernels.numba_cpu.network import Signals, inner, network_forward, network_reverse, real_of

bptt: Any = _bptt  # numba's own types do not describe what a kernel takes
events: Any = _events
lstm: Any = _lstm
recursions: Any = _recursions
softmax: Any = _softmax
STEPS_TOGETHER = 4  # that the kernel of eligibility vectors takes


def _weights(w: Tensor) -> Any:
    """Weights of all trials or of each, as the array [1 or batch, neuron, neuron] that kernels want."""
    return w.contiguous().view(-1, *w.shape[-2:]).numpy() if w.numel() else w.new_empty(0, 0, 0).numpy()


def _series(like: Tensor) -> Tensor:
    return series(like, *like.shape)


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
    keep_v: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """See `repro.eprop.kernels.reference.lif_forward`."""
    constants = alpha, rho, v_th, refractory_steps, dampening / v_th, 0.0, 0.0
    state, none = (v, a, z, refractory), w_rec.new_empty(0, 0)
    made = network_forward(current, (none, w_rec, none), beta, state, none, constants, keep_v)
    kept = made.v if keep_v else made.v.flatten()
    return made.z, made.h, kept, *made.state[:2], made.state[3], made.spikes.channel, made.spikes.start


def local_reverse(post: Tensor, signal: Tensor, beta: Tensor, alpha: float, rho: float) -> Tensor:
    """See `repro.eprop.kernels.reference.local_reverse`."""
    signals = Signals(signal, signal[..., :0], post.new_empty(post.shape[2], 0))
    none = torch.empty(0, dtype=torch.int32, device="cpu")
    constants = alpha, rho, 0.0, 0.0
    return network_reverse(post, signals, None, None, (none, none), beta, constants, delta_every=1).delta


def bptt_reverse(
    h: Tensor, signal: Tensor, direct: Tensor, w_rec: Tensor, beta: Tensor, alpha: float, rho: float, v_th: float
) -> Tensor:
    """See `repro.eprop.kernels.reference.bptt_reverse`."""
    delta = _series(h)
    real = real_of(delta)
    numbers, strength = (real(alpha), real(rho), real(v_th)), beta.contiguous().numpy()
    if h.shape[2] <= FEW_NEURONS and not direct.numel() and w_rec.ndim == 2:
        arrays = inner(h), inner(signal), w_rec.contiguous().numpy(), strength
        bptt.bptt_reverse_few(*arrays, *numbers, inner(delta))
        return delta
    by_distance: Any = inner(direct) if direct.numel() else direct.new_empty(0, 0, 0).numpy()
    weights = _weights(w_rec.mT), strength
    same = signal.stride()[:2] == (0, 0)  # the rate term: one row for all trials and steps
    signal = inner(signal[:1, :1] if same else signal)
    bptt.bptt_reverse(inner(h), signal, by_distance, *weights, *numbers, inner(delta))
    return delta


def exponential_filter(x: Tensor, decay: float, reverse: bool) -> Tensor:
    """See `repro.eprop.kernels.reference.exponential_filter`."""
    y, steps = _series(x), x.shape[1]
    recursions.exponential_filter(inner(x).reshape(steps, -1), real_of(y)(decay), reverse, inner(y).reshape(steps, -1))
    return y


def filtered_product(h: Tensor, signal: Tensor, decay: float) -> Tensor:
    """See `repro.eprop.kernels.reference.filtered_product`."""
    y = _series(signal)
    recursions.filtered_product(inner(h), inner(signal), real_of(h)(decay), inner(y))
    return y


def filtered_product_gradients(by_y: Tensor, h: Tensor, signal: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """See `repro.eprop.kernels.reference.filtered_product_gradients`."""
    by_h, by_signal = _series(h).zero_(), _series(signal)
    arrays = (inner(x) for x in (by_y, h, signal))
    recursions.filtered_product_gradients(*arrays, real_of(h)(decay), inner(by_h), inner(by_signal))
    return by_h, by_signal


def online_traces(*arrays_then_decays: Any) -> None:
    """See `repro.eprop.kernels.reference.online_traces`."""
    *arrays, alpha, rho, kappa = arrays_then_decays
    read, written = arrays[:4], arrays[4:]
    real = real_of(read[0])
    numpy_arrays: Any = (*(x.contiguous().numpy() for x in read), *(x.numpy() for x in written))
    recursions.online_traces(*numpy_arrays, real(alpha), real(rho), real(kappa))


def event_linear(channel: Tensor, start: Tensor, weights: Tensor) -> Tensor:
    """See `repro.eprop.kernels.reference.event_linear`."""
    total = weights.new_empty(len(start) - 1, weights.shape[0])
    events.event_linear(channel.numpy(), start.numpy(), weights.T.contiguous().numpy(), total.numpy())
    return total


def event_outer(delta: Tensor, channel: Tensor, start: Tensor, channels: int) -> Tensor:
    """See `repro.eprop.kernels.reference.event_outer`."""
    gradient_t = delta.new_zeros(channels, delta.shape[1])
    events.event_outer(delta.contiguous().numpy(), channel.numpy(), start.numpy(), gradient_t.numpy())
    return gradient_t.T.contiguous()


def event_linear_each(channel: Tensor, start: Tensor, weights: Tensor, steps: int) -> Tensor:
    """See `repro.eprop.kernels.reference.event_linear_each`."""
    current = series(weights, len(weights), steps, weights.shape[1])
    arrays = channel.numpy(), start.numpy(), weights.mT.contiguous().numpy()
    events.event_linear_each(*arrays, current.transpose(0, 1).numpy())
    return current


def event_outer_each(delta: Tensor, channel: Tensor, start: Tensor, channels: int) -> Tensor:
    """See `repro.eprop.kernels.reference.event_outer_each`."""
    gradient_t = delta.new_zeros(len(delta), channels, delta.shape[2])
    events.event_outer_each(inner(delta), channel.numpy(), start.numpy(), gradient_t.numpy())
    return gradient_t.mT


def product_where(x: Tensor, weights: Tensor, where: Tensor) -> Tensor:
    """See `repro.eprop.kernels.reference.product_where`."""
    y = series(x, *where.shape)
    arrays = inner(x), inner(where), inner(y)
    if weights.ndim == 2 and len(where) == len(x):  # no trial needs its rows together: in the order of memory
        arrays = tuple(array.reshape(-1, 1, array.shape[2]) for array in arrays)
    events.product_where(*arrays, _weights(weights.mT))
    return y


def carry(vectors: Tensor, keep: Tensor, rows: Tensor, pre: Tensor, left: Tensor) -> Tensor:
    """See `repro.eprop.kernels.eligibility_vectors.carry`."""
    missing = -len(rows) % STEPS_TOGETHER
    rows, pre = (torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x for x in (rows, pre))
    gradient = vectors.new_zeros(vectors.shape[0], *vectors.shape[2:])
    arrays = (x.contiguous().numpy() for x in (keep, rows, pre, left))
    events.carry(vectors.numpy(), *arrays, gradient.numpy())
    return gradient.transpose(0, 1)


def lstm_step(neuron: Any, currents: Tensor, c: Tensor, *written: Tensor) -> None:
    """See `repro.eprop.kernels.reference.lstm_step`."""
    real = real_of(currents)
    arrays = currents.unflatten(1, (4, -1)).numpy(), c.contiguous().numpy(), *(x.numpy() for x in written)
    lstm.lstm_step(neuron.squash, real(0.5), real(neuron.forget_bias), *arrays)


def lstm_step_reverse(
    d_h: Tensor,
    from_later: Tensor | None,
    jacobians: Sequence[Tensor],
    own_cell: Tensor,
    d_cell: Tensor,
    d_current: Tensor,
) -> None:
    """See `repro.eprop.kernels.reference.lstm_step_reverse`."""
    later = None if from_later is None else from_later.contiguous().numpy()
    read = (x.contiguous().numpy() for x in jacobians)
    written = (x.numpy() for x in (own_cell, d_cell, d_current))
    lstm.lstm_step_reverse(d_h.contiguous().numpy(), later, *read, *written)


def cross_entropy(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """See `repro.eprop.kernels.reference.cross_entropy`."""
    nats, error = logits.new_empty(len(logits)), torch.empty_like(logits, memory_format=torch.contiguous_format)
    arrays = logits.contiguous().numpy(), target.contiguous().numpy(), logits.amax(dim=1).numpy()
    softmax.cross_entropy(*arrays, nats.numpy(), error.numpy())
    return nats, error
