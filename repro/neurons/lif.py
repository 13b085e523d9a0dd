"""The leaky integrate-and-fire neuron (Eq. 20-24) with its refractory period."""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from repro.neurons.integrate_and_fire import IntegrateAndFire
from repro.neurons.local import Local
from repro.neurons.neuron import Own, Trajectory
from repro.neurons.spike import spike


@dataclasses.dataclass(frozen=True)
class LIF(IntegrateAndFire):
    """Parameters of a population of LIF neurons. Times in ms; the threshold sets the unit of voltage."""

    tau_m_ms: float
    v_th: float
    refractory_ms: int
    dampening: float
    dt_ms: float = 1.0
    names: ClassVar[tuple[str, ...]] = ("v",)

    @property
    def rho(self) -> float:
        """No adaptation."""
        return 0.0

    def update(self, own: Own, fired: Tensor, sent: Tensor, current: Tensor) -> Own:
        """Eq. 20."""
        return (self.alpha * own[0] + current - self.v_th * sent,)

    def output(self, own: Own) -> Tensor:
        """Eq. 21."""
        return spike(own[0], own[0].new_tensor(self.v_th), self.v_th, self.dampening)

    def adaptation(self, like: Tensor) -> Tensor:
        """No adaptation."""
        return like.new_empty(0)

    def local(self, trajectory: Trajectory) -> Local:
        """D = alpha (below Eq. 21), since the reset acts through z; dv/dI = 1; the reset's dv/dz = -v_th; dz/dv = h."""
        h = trajectory.h[..., None]
        ones = torch.ones_like(h)
        return Local(self.alpha * ones[..., None], ones, -self.v_th * ones, h)
