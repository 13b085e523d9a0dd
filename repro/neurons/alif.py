"""LIF neurons with adaptive thresholds (Eq. 25-29), and populations in which only some adapt."""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from repro.neurons.integrate_and_fire import IntegrateAndFire
from repro.neurons.local import Local
from repro.neurons.neuron import Own, Trajectory
from repro.neurons.spike import spike


@dataclasses.dataclass(frozen=True)
class ALIF(IntegrateAndFire):
    """Parameters of a population of LIF neurons of which the last `n_adaptive` have adaptive thresholds.

    Times in ms. `beta` is in the units of Eq. 25: a spike raises the threshold by beta. The rest of the population is
    LIF, beta = 0.
    """

    tau_m_ms: float
    v_th: float
    refractory_ms: int
    dampening: float
    beta: float
    tau_a_ms: float
    n_adaptive: int
    dt_ms: float = 1.0
    names: ClassVar[tuple[str, ...]] = ("v", "a")

    @property
    def rho(self) -> float:
        """Decay of the threshold adaptation in one time step, exp(-dt / tau_a)."""
        return math.exp(-self.dt_ms / self.tau_a_ms)

    def update(self, own: Own, fired: Tensor, sent: Tensor, current: Tensor) -> Own:
        """Eq. 20 and 26. The threshold adapts by the spikes that were fired, none while refractory, and D sees that."""
        v, a = own
        return self.alpha * v + current - self.v_th * sent, self.rho * a + fired

    def output(self, own: Own) -> Tensor:
        """Eq. 21 with the threshold of Eq. 25."""
        return spike(own[0], self.threshold(own[1]), self.v_th, self.dampening)

    def threshold(self, a: Tensor) -> Tensor:
        """A = v_th + beta a (Eq. 25), [..., neuron]."""
        return self.v_th + self.adaptation(a) * a if self.n_adaptive else torch.full_like(a, self.v_th)

    def adaptation(self, like: Tensor) -> Tensor:
        """beta [neuron]: zero for those that do not adapt; of no elements where none does."""
        if not self.n_adaptive:
            return like.new_empty(0)
        index = torch.arange(like.shape[-1], device=like.device)
        return self.beta * (index >= like.shape[-1] - self.n_adaptive).to(like.dtype)

    def local(self, trajectory: Trajectory) -> Local:
        """D of Eq. 27, [[alpha, 0], [h, rho - h beta]] with the h of the step before; dz/ds = (h, -beta h) (Eq. 28).

        Before the first step h is taken as zero: nothing that e-prop sums up looks back that far.
        """
        h, beta = trajectory.h, self.adaptation(trajectory.h) if self.n_adaptive else 0.0
        h_before = torch.nn.functional.pad(h[:, :-1], (0, 0, 1, 0))
        zero, one = torch.zeros_like(h), torch.ones_like(h)
        d = torch.stack([self.alpha * one, zero, h_before, self.rho - h_before * beta], dim=-1).unflatten(-1, (2, 2))
        by_current, by_sent = torch.stack([one, zero], dim=-1), torch.stack([-self.v_th * one, zero], dim=-1)
        return Local(d, by_current, by_sent, torch.stack([h, -beta * h], dim=-1))
