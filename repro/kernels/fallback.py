"""The kernels in plain torch, on any device: what the compiled ones must equal. [batch, time, neuron] everywhere.

`beta` [neuron] is the strength of the threshold's adaptation; of no elements where no neuron adapts.
"""

import torch
from torch import Tensor


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A network of LIF and ALIF neurons over a whole sequence (Eq. 20, 21, 25, 26; `step` of those neurons).

    `current` [batch, time, neuron] is what the inputs send; `w_rec` [post, pre], or [batch, post, pre] where each trial
    has weights of its own, or of no elements for a network without recurrence; `v`, `a`, `z`, `refractory`
    [batch, neuron] the state before the first step. Returns z, h, v [batch, time, neuron], and the adaptation and the
    refractory counter after the last step [batch, neuron].
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
    return stacked[0], stacked[1], stacked[2], a.clone(), refractory.clone()


def local_reverse(post: Tensor, signal: Tensor, beta: Tensor, alpha: float, rho: float) -> Tensor:
    """The reverse recursion of `repro.neurons.local.reverse` for LIF and ALIF neurons, post being dz/dv.

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
