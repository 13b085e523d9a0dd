"""The kernels in plain torch, on any device: what the compiled ones must equal. [batch, time, neuron] everywhere."""

import torch
from torch import Tensor


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
    """A network of LIF neurons over a whole sequence (Eq. 20, 21; `repro.neurons.lif.LIF.step`).

    `current` [batch, time, neuron] is what the inputs send; `w_rec` [post, pre], or of no elements for a network
    without recurrence; `v`, `z`, `refractory` [batch, neuron] the state before the first step. Returns z, v, h
    [batch, time, neuron] and the refractory counter after the last step [batch, neuron].
    """
    trajectory = []
    for t in range(current.shape[1]):
        recurrent = z @ w_rec.T if w_rec.numel() else 0
        v = alpha * v + (current[:, t] + recurrent) - v_th * z
        refractory = torch.clamp(refractory + refractory_steps * z - 1, min=0)
        free = (refractory == 0).to(v.dtype)
        z = free * (v > v_th).to(v.dtype)
        h = free * (dampening / v_th) * torch.clamp(1 - torch.abs((v - v_th) / v_th), min=0)
        trajectory.append((z, v, h))
    stacked = [torch.stack(series, dim=1) for series in zip(*trajectory, strict=True)]
    return stacked[0], stacked[1], stacked[2], refractory.clone()


def local_reverse(post: Tensor, signal: Tensor, decay: float) -> Tensor:
    """delta^t = decay delta^(t+1) + post^t signal^t: the alpha filter of Eq. 22, moved to the postsynaptic side."""
    return exponential_filter(post * signal, decay, reverse=True)


def bptt_reverse(h: Tensor, signal: Tensor, w_rec: Tensor, alpha: float, v_th: float) -> Tensor:
    """dE/dv of every neuron and step (Eq. 14), from `signal`, the derivative of E by z at fixed future spikes.

    dE/dz^t = signal^t + W_rec^T dE/dv^(t+1) - v_th dE/dv^(t+1), and dE/dv^t = h^t dE/dz^t + alpha dE/dv^(t+1).
    """
    delta = torch.zeros_like(h)
    later = torch.zeros_like(h[:, 0])
    for t in range(h.shape[1] - 1, -1, -1):
        recurrent = later @ w_rec if w_rec.numel() else 0
        later = h[:, t] * (signal[:, t] + recurrent - v_th * later) + alpha * later
        delta[:, t] = later
    return delta


def spike_outer(delta: Tensor, z: Tensor) -> Tensor:
    """sum over batch and time of delta_j^t z_i^(t-1): the gradient by W_rec [post, pre], z^0 being zero."""
    return torch.einsum("btj,bti->ji", delta[:, 1:], z[:, :-1])


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
    trace: Tensor,
    filtered: Tensor,
    gradient: Tensor,
    summed: Tensor,
    alpha: float,
    kappa: float,
) -> None:
    """Eligibility traces forward in time (Eq. 22, 23, 45), one chunk of steps; the last four arguments are updated.

    `h`, `signal` [batch, time, post] (the signal not yet filtered), `presynaptic` [batch, time, pre] (delayed by the
    caller); `trace` z-hat [batch, pre]; `filtered`, the kappa-filtered eligibility trace [batch, post, pre];
    `gradient` [post, pre] gains sum_t L^t e-bar^t; `summed` [batch, post, pre] gains sum_t e^t.
    """
    for t in range(h.shape[1]):
        trace.mul_(alpha).add_(presynaptic[:, t])
        e = h[:, t, :, None] * trace[:, None, :]
        filtered.mul_(kappa).add_(e)
        gradient.add_(torch.einsum("bj,bji->ji", signal[:, t], filtered))
        summed.add_(e)
