"""Spiking neurons as the paper prints them, a step at a time on autograd's tape: nothing here is the library's."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from repro.eprop.neurons.alif import ALIF
from repro.eprop.neurons.lif import LIF

# No two time constants are equal, and 1 / v_th matters.
NEURONS: dict[str, Any] = {
    "lif": LIF(tau_m_ms=15.0, v_th=0.6, refractory_ms=3, dampening=0.3),
    "alif": ALIF(tau_m_ms=15.0, v_th=0.6, refractory_ms=3, dampening=0.3, beta=0.1, tau_a_ms=90.0, n_adaptive=7),
}


class State(NamedTuple):
    """Voltage, threshold adaptation, output and refractory counter, each [batch, neuron]."""

    v: Tensor
    a: Tensor
    z: Tensor
    refractory: Tensor


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def betas(neuron: Any, n: int) -> Tensor:
    """beta of each neuron: the last `n_adaptive` adapt."""
    adaptive = getattr(neuron, "n_adaptive", 0)
    return getattr(neuron, "beta", 0.0) * (torch.arange(n) >= n - adaptive).double()


def unrolled(neuron: Any, current: Tensor, w_rec: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
    """z and h [batch, time, neuron] (Eq. 20, 21, 25, 26) and the last state.

    h is a function of the voltage that autograd differentiates too, with torch.relu's derivative at the ends of the
    triangle, where a neuron at rest is. `w_rec` is [post, pre], or [batch, post, pre]; autapses count.
    """
    batch, _, n = current.shape
    rest = torch.zeros(batch, n, dtype=current.dtype)
    v, a, z, refractory = state or (rest, rest, rest, rest)
    alpha, v_th, beta = math.exp(-neuron.dt_ms / neuron.tau_m_ms), neuron.v_th, betas(neuron, n)
    rho = math.exp(-neuron.dt_ms / neuron.tau_a_ms) if isinstance(neuron, ALIF) else 0.0
    outputs, slopes = [], []
    for arriving in current.unbind(dim=1):
        recurrent = torch.einsum("bji,bi->bj", w_rec.expand(batch, n, n), z)
        v, a = alpha * v + arriving + recurrent - v_th * z, rho * a + z
        refractory = (refractory + round(neuron.refractory_ms / neuron.dt_ms) * z.detach() - 1).clamp(min=0)
        distance = v - v_th - beta * a
        h = (refractory == 0) * neuron.dampening / v_th * torch.relu(1 - (distance / v_th).abs())
        z = (refractory == 0) * (distance > 0).to(v.dtype) + h.detach() * (distance - distance.detach())
        outputs.append(z)
        slopes.append(h)
    return torch.stack(outputs, dim=1), torch.stack(slopes, dim=1), State(v, a, z, refractory)


def filtered(x: Tensor, decay: float) -> Tensor:
    """y^t = decay y^(t-1) + x^t along time."""
    last, series = torch.zeros_like(x[:, 0]), []
    for row in x.unbind(dim=1):
        last = decay * last + row
        series.append(last)
    return torch.stack(series, dim=1)


def eprop_sum(neuron: Any, h: Tensor, signal: Tensor, pre: Tensor, trace: str) -> Tensor:
    """sum_t L_j^t e_ji^t [batch, post, pre], forward in time (Eq. 7, 22-24; Eq. 27, 28 for neurons that adapt).

    `pre` [batch, time, pre] is what arrives in each step: x^t, or z^(t-1).
    """
    alpha = math.exp(-neuron.dt_ms / neuron.tau_m_ms) if trace == "full" else 0.0
    beta = betas(neuron, h.shape[2])[:, None] if trace == "full" else 0.0
    rho = math.exp(-neuron.dt_ms / neuron.tau_a_ms) if isinstance(neuron, ALIF) else 0.0
    arriving, total = filtered(pre, alpha), torch.zeros(h.shape[0], h.shape[2], pre.shape[2], dtype=h.dtype)
    adapted = torch.zeros_like(total)
    for t in range(h.shape[1]):
        slope = h[:, t, :, None]
        e = slope * (arriving[:, t, None, :] - beta * adapted)
        adapted = slope * arriving[:, t, None, :] + (rho - slope * beta) * adapted
        total = total + signal[:, t, :, None] * e
    return total


def delayed(z: Tensor, first: Tensor | None = None) -> Tensor:
    """z^(t-1) [batch, time, neuron], beginning with `first` [batch, neuron] (zero if None)."""
    first = torch.zeros_like(z[:, 0]) if first is None else first
    return torch.cat([first[:, None], z[:, :-1]], dim=1)


def without_diagonal(w: Tensor) -> Tensor:
    """The same [..., post, pre] without autapses."""
    return w * (1 - torch.eye(w.shape[-1], dtype=w.dtype))


def relative(result: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest entry."""
    return float(((result - wanted).abs().max() / wanted.abs().max()).detach())
