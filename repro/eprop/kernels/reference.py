"""The kernels in plain torch, on any device: what the compiled ones must equal. [batch, time, neuron] everywhere.

`beta` [neuron] is the strength of the threshold's adaptation; of no elements where no neuron adapts. Spikes as events
are `channel` [event] and `start` [time * batch + 1]: see `repro.eprop.kernels.events`. A row is one step of one trial,
[time, batch] flattened.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Filter = Callable[[Tensor, float, bool], Tensor]  # as `exponential_filter`

OPERATORS = (
    *("lif_forward", "local_reverse", "bptt_reverse", "exponential_filter", "online_traces"),
    *("event_linear", "event_outer", "event_linear_each", "event_outer_each", "product_where", "carry"),
    *("filtered_product", "filtered_product_gradients"),
    *("lstm_step", "lstm_step_reverse", "cross_entropy"),
)


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
    """A network of LIF and ALIF neurons over a whole sequence (Eq. 20, 21, 25, 26; `step` of those neurons).

    `current` [batch, time, neuron] is what the inputs send; `w_rec` [post, pre], or [batch, post, pre] where each trial
    has separate weights, or of no elements for a network without recurrence; `v`, `a`, `z`, `refractory`
    [batch, neuron] the state before the first step. Returns z, h, v [batch, time, neuron] (v of no elements unless
    `keep_v`); voltage, adaptation (where no neuron adapts it may stay as it was) and refractory counter after the last
    step [batch, neuron]; and the spikes as events,
    `channel` and `start` (of no elements where they are not made).
    """
    trajectory, strength = [], beta if beta.numel() else 0.0
    for t in range(current.shape[1]):
        recurrent = _product(z, w_rec.mT) if w_rec.numel() else 0
        v = alpha * v + (current[:, t] + recurrent) - v_th * z
        a = rho * a + z
        refractory = torch.clamp(refractory + refractory_steps * z - 1, min=0)
        free, threshold = (refractory == 0).to(v.dtype), v_th + strength * a
        z = free * (v > threshold).to(v.dtype)
        h = free * (dampening / v_th) * torch.clamp(1 - torch.abs((v - threshold) / v_th), min=0)
        trajectory.append((z, h, v))
    stacked = [torch.stack(series, dim=1) for series in zip(*trajectory, strict=True)]
    none = torch.empty(0, dtype=torch.int64, device=z.device)
    kept = stacked[2] if keep_v else v.new_empty(0)
    return stacked[0], stacked[1], kept, v.clone(), a.clone(), refractory.clone(), none, none.clone()


def local_reverse(post: Tensor, signal: Tensor, beta: Tensor, alpha: float, rho: float) -> Tensor:
    """The recursion of `repro.eprop.neurons.local_jacobians.reverse` for LIF and ALIF neurons, `post` being dz/dv.

    delta^t = alpha delta^(t+1) + m^t and b^t = rho b^(t+1) - beta m^t, where m^t = post^t (signal^t + b^(t+1)): the
    alpha filter of Eq. 22 and the adaptation of Eq. 27, moved to the postsynaptic side.
    """
    if not beta.numel():
        return exponential_filter(post * signal, alpha, reverse=True)
    delta = torch.empty_like(post)
    later = onward = torch.zeros_like(post[:, 0])
    for t in range(post.shape[1] - 1, -1, -1):
        through = post[:, t] * (signal[:, t] + onward)
        delta[:, t] = later = alpha * later + through
        onward = rho * onward - beta * through
    return delta


def bptt_reverse(
    h: Tensor, signal: Tensor, direct: Tensor, w_rec: Tensor, beta: Tensor, alpha: float, rho: float, v_th: float
) -> Tensor:
    """dE/dv of every neuron and step (Eq. 14), from `signal`, the derivative of E by z at fixed future spikes, and
    `direct` (of no elements where there is none), that by the distance v - A of voltage and threshold at a fixed z,
    read only where h is not zero.

    As `local_reverse`, but m^t = h^t (signal^t + b^(t+1) + W_rec^T delta^(t+1) - v_th delta^(t+1)) + direct^t. `w_rec`
    as in `lif_forward`.
    """
    delta, strength = torch.zeros_like(h), beta if beta.numel() else 0.0
    later = onward = torch.zeros_like(h[:, 0])
    for t in range(h.shape[1] - 1, -1, -1):
        recurrent = _product(later, w_rec) if w_rec.numel() else 0
        through = h[:, t] * (signal[:, t] + onward + recurrent - v_th * later)
        if direct.numel():
            through = through + direct[:, t] * (h[:, t] != 0)
        delta[:, t] = later = alpha * later + through
        onward = rho * onward - strength * through
    return delta


def _product(x: Tensor, weights: Tensor) -> Tensor:
    """x [batch, neuron] times weights of all trials [neuron, neuron], or of each [batch, neuron, neuron]."""
    return x @ weights if weights.ndim == 2 else (x[:, None] @ weights)[:, 0]


def exponential_filter(x: Tensor, decay: float, reverse: bool) -> Tensor:
    """y^t = decay y^(t-1) + x^t along time, or from the end to the beginning."""
    steps = range(x.shape[1])
    y = torch.empty_like(x)
    last = torch.zeros_like(x[:, 0])
    for t in reversed(steps) if reverse else steps:
        last = decay * last + x[:, t]
        y[:, t] = last
    return y


def filtered_product(h: Tensor, signal: Tensor, decay: float, by: Filter = exponential_filter) -> Tensor:
    """y^t = decay y^(t+1) + h^t signal^t; an h of one trial is that of all. A device may have another filter."""
    return by(h * signal, decay, True)


def filtered_product_gradients(
    by_y: Tensor, h: Tensor, signal: Tensor, decay: float, by: Filter = exponential_filter
) -> tuple[Tensor, Tensor]:
    """The gradients of h (of one trial's the sum over trials) and of the signal in `filtered_product`."""
    by_product = by(by_y, decay, False)
    by_h = by_product * signal
    return by_h if len(h) == len(by_h) else by_h.sum(dim=0, keepdim=True), by_product * h


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
    """Eligibility traces forward in time (Eq. 22, 27, 28, 45), one chunk of steps; `trace` and what follows is updated.

    `h`, `signal` [batch, time, post] (the signal not yet filtered), `presynaptic` [batch, time, pre] (delayed by the
    caller); `trace` z-hat [batch, pre]; `adapted` epsilon_a [batch, post, pre], which by Eq. 27 and 28 is a filter of
    e itself, epsilon_a^(t+1) = rho epsilon_a^t + e^t; `filtered`, the kappa-filtered eligibility trace
    [batch, post, pre]; `gradient` [post, pre] gains sum_t L^t e-bar^t; `summed` [batch, post, pre] gains sum_t e^t.
    """
    for t in range(h.shape[1]):
        trace.mul_(alpha).add_(presynaptic[:, t])
        e = h[:, t, :, None] * trace[:, None, :]
        if beta.numel():
            e = e - (h[:, t] * beta)[:, :, None] * adapted
            adapted.mul_(rho).add_(e)
        filtered.mul_(kappa).add_(e)
        gradient.add_(torch.einsum("bj,bji->ji", signal[:, t], filtered))
        summed.add_(e)


def event_linear(channel: Tensor, start: Tensor, weights: Tensor) -> Tensor:
    """Spikes as events times `weights` [post, pre]: [row, post]."""
    total = weights.new_zeros(len(start) - 1, weights.shape[0])
    return total.index_add_(0, _rows(start), weights.T[channel])


def event_outer(delta: Tensor, channel: Tensor, start: Tensor, channels: int) -> Tensor:
    """sum over rows of delta_j x_i for spikes x as events: [post, pre]; `delta` is [row, post]."""
    return delta.new_zeros(channels, delta.shape[1]).index_add_(0, channel, delta[_rows(start)]).T.contiguous()


def event_linear_each(channel: Tensor, start: Tensor, weights: Tensor, steps: int) -> Tensor:
    """As `event_linear` with weights of each trial [batch, post, pre]: [batch, time, post]. Spikes are those of each
    trial, or of one for all."""
    dense = _dense(channel, start, steps, weights.shape[2], weights.dtype)
    return dense @ weights.mT


def event_outer_each(delta: Tensor, channel: Tensor, start: Tensor, channels: int) -> Tensor:
    """As `event_outer`, a sum over time for each trial [batch, post, pre]; `delta` is [batch, time, post]. Spikes are
    those of each trial, or of one for all."""
    return delta.mT @ _dense(channel, start, delta.shape[1], channels, delta.dtype)


def product_where(x: Tensor, weights: Tensor, where: Tensor) -> Tensor:
    """x [batch, time, pre] by `weights` [pre, post] of all trials, or [batch, pre, post] of each. Where `where`
    [batch, time, post] is zero the result is not needed, and may be zero. Where it is that of one trial the result is
    the sum over trials, [1, time, post]."""
    y = x @ weights
    return y if len(where) == len(y) else y.sum(dim=0, keepdim=True)


def carry(vectors: Tensor, keep: Tensor, rows: Tensor, pre: Tensor, left: Tensor) -> Tensor:
    """See `repro.eprop.kernels.eligibility_vectors.carry`."""
    gradient = torch.einsum("bj,jbgi->gji", left, vectors)
    vectors.mul_(keep.T[:, :, None, None]).add_(torch.einsum("tbgj,tbi->jbgi", rows, pre))
    return gradient


def lstm_step(neuron: Any, currents: Tensor, c: Tensor, *written: Tensor) -> None:
    """`step` of LSTM units: the state after it (c, h) and the Jacobians, in their order, into the arrays `written`.

    `currents` [batch, 4 unit] may be overwritten."""
    state, jacobians = neuron.step(c, currents)
    for array, values in zip(written, (*state, *jacobians), strict=True):
        array.copy_(values)


def lstm_step_reverse(
    d_h: Tensor,
    from_later: Tensor | None,
    jacobians: Sequence[Tensor],
    own_cell: Tensor,
    d_cell: Tensor,
    d_current: Tensor,
) -> None:
    """A step of LSTM units in reverse (Eq. 8, 9), from the step's `LSTMJacobians` and L = `d_h` + `from_later`: dE/dh
    by the step's errors, and through the recurrent weights (None: there is no such), each [batch, unit].

    `own_cell` [batch, unit] is dE/dc of the step through the cell path of later steps; it becomes that of the step
    before, in place. `d_cell` [batch, unit] receives dE/dc of the step, and `d_current` [batch, 4, unit] dE/dI of its
    gates.
    """
    d, by_gate, output, direct = jacobians
    signal = d_h if from_later is None else d_h + from_later
    torch.mul(signal, output, out=d_cell).add_(own_cell)
    torch.mul(d_cell[:, None], by_gate, out=d_current[:, :-1])
    torch.mul(signal, direct, out=d_current[:, -1])
    torch.mul(d_cell, d, out=own_cell)


def cross_entropy(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The cross-entropy of the softmax of `logits` [row, word] with the words `target` [row] in nats [row], and its
    derivative by the logits: p - 1 at the word that came, p elsewhere."""
    log_p, target = logits.log_softmax(dim=1), target[:, None]
    error = log_p.exp()
    error.scatter_add_(1, target, error.new_full((1, 1), -1.0).expand(target.shape))
    return -log_p.gather(1, target)[:, 0], error


def _rows(start: Tensor) -> Tensor:
    """The row of each event."""
    return torch.repeat_interleave(torch.diff(start))


def _dense(channel: Tensor, start: Tensor, steps: int, channels: int, dtype: torch.dtype) -> Tensor:
    spikes = torch.zeros(len(start) - 1, channels, dtype=dtype, device=channel.device)
    spikes[_rows(start), channel] = 1
    return spikes.view(steps, -1, channels).transpose(0, 1)
